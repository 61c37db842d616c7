"""A generator whose denoiser is a student: clips in a few steps, on levels of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NoReturn, cast

import torch
from jaxtyping import Float
from torch import Tensor

from latentlab.generator.condition import Caption, Condition
from latentlab.generator.guides import carried
from latentlab.generator.inverted import Inverted
from latentlab.generator.native import NativeGenerator
from latentlab.generator.networks.student import StudentDenoiser
from latentlab.generator.sampler import DRAW, Sampler
from latentlab.generator.solver import Velocity
from latentlab.shapes import Latents, Noise, Video


class StudentGenerator(NativeGenerator):
    """A generator that was distilled to a few steps; its guidance costs no second call.

    It draws, with method "ddim" and in its own number of steps, which are the defaults here. It follows no flow between
    its levels, so nothing can be inverted by it: that is for its teacher.

    >>> import latentlab as ll
    >>> teacher = ll.load(device="cpu")
    >>> student = StudentGenerator(teacher.autoencoder, StudentDenoiser(), teacher.clip_model, teacher.config)
    >>> student.steps, student.generate("a red star").shape
    (4, torch.Size([1, 3, 16, 64, 64]))
    """

    denoiser: StudentDenoiser

    @property
    def steps(self) -> int:
        """How many it takes."""
        return len(self.denoiser.config.levels) - 1

    def levels(self, num_steps: int, shape: Sequence[int]) -> Float[Tensor, " level"]:
        """Its levels, and no others."""
        del shape
        if num_steps != self.steps:
            raise ValueError(f"this student draws in {self.steps} steps, got num_steps={num_steps}; leave it out")
        return torch.tensor(self.denoiser.config.levels, dtype=torch.float64)

    def sample(
        self, noise: Noise | Inverted, caption: Caption | None = None, *, sampler: Sampler | None = None, **options: Any
    ) -> Latents:
        sampler = self._own(DRAW.but(guidance=1.0) if sampler is None else sampler).but(
            **{name: options.pop(name, None) for name in ("num_steps", "method", "levels", "guidance", "batch_size")}
        )
        if sampler.method != "ddim" or sampler.levels == "analysis" or options.get("churn"):
            raise ValueError(f"a student draws by method 'ddim' on levels of its own, without churn, got {sampler}")
        return super().sample(noise, caption, sampler=sampler, **options)

    def generate(self, captions: Caption, *, sampler: Sampler = DRAW, **options: Any) -> Video:
        if (asked := options.get("num_steps")) is not None:
            self.levels(asked, self.latent_shape)
        return super().generate(captions, sampler=self._own(sampler), **options)

    def invert(self, *_: Any, **__: Any) -> NoReturn:
        raise ValueError("a student follows no flow that could be inverted; invert by the model that taught it")

    def _own(self, sampler: Sampler) -> Sampler:
        """The sampler, in as many steps as the student takes where it is the one for drawing."""
        return replace(sampler, num_steps=self.steps) if sampler.num_steps == DRAW.num_steps else sampler

    def prepared(self, condition: Condition, guidance: float) -> Condition:
        """As it is: guidance asks for nothing more.

        Raises:
            ValueError: a caption to lead away from, of which the student never heard.
        """
        if condition.negative is not None:
            raise ValueError("a student's guidance leads away from the empty caption and from no other")
        return carried(self.guides, condition.to(self.device, self.dtype), self.device)

    def network_velocity(self, condition: Condition, guidance: float = 1.0) -> Velocity:
        """The mean velocity to its next level, under a guidance that it knows."""
        low, high = self.denoiser.config.guidances
        if not low <= guidance <= high:
            raise ValueError(f"this student was taught guidances from {low:g} to {high:g}, got {guidance:g}")
        condition = condition.to(self.device, self.dtype)

        def field(y: Tensor, s: float) -> Tensor:
            time, weight = (
                torch.full((len(y),), value, dtype=torch.float32, device=y.device) for value in (s, guidance)
            )
            v = self.denoiser(y.float(), time, condition.tokens, condition.mask, weight)
            return cast(Tensor, v).to(y.dtype)

        return field
