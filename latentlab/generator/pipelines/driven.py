"""Any pipeline of diffusers as a generator: a velocity is its own call, stopped at its first scheduler step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from latentlab.generator.condition import Condition
from latentlab.generator.inverted import Inverted
from latentlab.generator.pipelines.account import HALF, ROUNDING, compared
from latentlab.generator.pipelines.call import Call, Size, default_of
from latentlab.generator.pipelines.coder import Coder
from latentlab.generator.pipelines.controlled import ControlledCall, controlled
from latentlab.generator.pipelines.driver import codec_name, denoisers, device_of, moved_back, unheard
from latentlab.generator.pipelines.foreign import networks_of
from latentlab.generator.pipelines.held import filled, held_latents, keeps
from latentlab.generator.pipelines.holes import TakesMasks, read_heard_mask
from latentlab.generator.pipelines.path import Path
from latentlab.generator.pipelines.reading import (
    ONE_AT_A_TIME,
    PAIR,
    apart,
    each_told,
    pictures,
    read_captions,
    read_guidance,
)
from latentlab.generator.pipelines.remembered import Answers, identity_of
from latentlab.generator.pipelines.sizes import Sizes, held_to
from latentlab.generator.pipelines.visit import Visit
from latentlab.generator.run import batched
from latentlab.generator.solver import Velocity
from latentlab.shapes import Latents, Mask, Video, check_video


class Driven(TakesMasks):
    """A pipeline of diffusers that nobody here wrote a family for.

    Args:
        pipe: the pipeline, which is left as it is.
        call: further arguments of its call, such as `prompt_embeds`, `control_image` or `fps`.
        num_frames, height, width: of its clips; None are the call's own defaults.
        at_most: frames, and pixels a side, that are taken for such defaults where those make more noise.

    Attributes:
        call: its call.
        reading: how its encoders answer, and what its call makes of guidance.
        account: what was read of it, and how near it comes to that call.

    Raises:
        ValueError: a pipeline that cannot be driven; the message says why.
    """

    capturable = False

    def __init__(
        self,
        pipe,
        *,
        call: Mapping[str, Any] | None = None,
        num_frames: int | None = None,
        height: int | None = None,
        width: int | None = None,
        at_most: tuple[int, int] | None = None,
    ) -> None:
        self.pipe, self.call = pipe, Call(pipe, call or {})
        self.call.check(num_frames)
        for network in networks_of(pipe).values():
            network.eval().requires_grad_(False)
        Path.of(pipe.scheduler)  # one that cannot be inverted is refused first
        self.coder = Coder(getattr(pipe, codec_name(pipe) or ""))
        asked = num_frames if self.call.frames else 1, height, width
        with torch.no_grad(), unheard():
            asked = asked if at_most is None else held_to(self.call, self.coder, asked, *at_most)
            self.reading = read_captions(self.call, asked)
            self.sizes = Sizes(self.call, self.coder, asked)
            self.config = self.sizes.config
            self.reading = read_guidance(self.reading, self.size, self._probed)
            if self.reading.guidance != "none" and self.call.guided_by:
                weight = default_of(self.call.signature[self.call.guided_by], self.call.neutral)
                self.config = replace(self.config, guidance=weight + 1 - self.call.neutral)
            if self.reading.batches and not self._takes_two():
                self.reading = replace(self.reading, batches=False)
            size = self.size
            plain = self.call.arguments([""], size)
            self.heard_mask = read_heard_mask(self.reading, size, lambda told: self._probed(plain, told))
            self.account = compared(self, self.call, self.reading, size, self.layout(size), self.path(size))

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}; {self.account})"

    # ---------------------------------------------------------------------------------------------- what it is made of
    @property
    def denoiser(self):
        """The network between noise and latents."""
        return getattr(self.pipe, denoisers(self.pipe)[0])

    @property
    def networks(self) -> Sequence[nn.Module]:
        return self.coder.vae, *(getattr(self.pipe, name) for name in reversed(denoisers(self.pipe)))

    @property
    def adaptable(self) -> dict[str, nn.Module]:
        """The text encoders and denoisers by the names that files of adapters call them, the first denoiser last."""
        networks = networks_of(self.pipe)
        text = {name: network for name, network in networks.items() if name.startswith("text_encoder")}
        return text | {name: networks[name] for name in reversed(denoisers(self.pipe))}

    @property
    def device(self) -> torch.device:
        return device_of(self.pipe)

    @property
    def dtype(self) -> torch.dtype:
        return self.denoiser.dtype

    @property
    def size(self) -> Size:
        """Frames, height and width of its clips."""
        return self.config.num_frames, self.config.height, self.config.width

    @property
    def latent_shape(self) -> tuple[int, int, int, int]:
        return self.layout(self.size).shape

    def to(self, device: str | torch.device, dtype: torch.dtype | None = None) -> Self:
        self.pipe.to(device)
        if dtype is not None:
            for name in denoisers(self.pipe):
                getattr(self.pipe, name).to(dtype=dtype)
        return self

    def offload(self, device: str | torch.device | None = None) -> Self:
        """The same generator, whose networks wait in the memory of the CPU; each goes to `device` while it works.

        That is diffusers' model offload; after `condition`, `sample`, `invert`, `encode` and `decode` all of them wait
        again. None is the accelerator that is there.

        Raises:
            RuntimeError: there is none.
        """
        self.pipe.enable_model_cpu_offload(device=device)
        return self

    def settings(self) -> dict[str, Any]:
        given = {name: identity_of(value) for name, value in sorted(self.call.more.items()) if value is not None}
        return {**self.path(self.size).settings(), "call": given, **super().settings()}

    # ------------------------------------------------------------------------------------------------------ conditions
    @moved_back
    @torch.no_grad()
    def condition(
        self,
        captions: str | Sequence[str] = "",
        *,
        negative: str | Sequence[str] | None = None,
        image: Tensor | None = None,
        mask: Mask | None = None,
        **told: Any,
    ) -> Condition:
        """What the denoiser is told, through the pipeline's own encoders, whose answers are kept.

        Args:
            captions: one or several.
            negative: what guidance leads away from; None is what the pipeline takes by itself.
            image: what the clip is made of, for a pipeline that reads one: `(batch, 3, height, width)`, or clips whose
                first frame it is, in [-1, 1]; None is a grey one.
            mask: with clips as `image`, of a pipeline that takes a mask (`heard_mask`): 1 where they are drawn anew, as
                `inpaint` gives it; None is everywhere.
            told: further arguments of the pipeline's call, such as `prompt_embeds`.

        Raises:
            ValueError: the pipeline has no encoder for this, reads no image, or its call has no such argument.
        """
        self.call.check_known(told)
        if mask is not None:
            return self.condition_of_hole(captions, image, mask, negative=negative, **told)
        if image is not None and not self.call.reads_images:
            raise ValueError(f"this {self.call.name} makes clips of captions alone and reads no image")
        images = None if image is None else pictures(image)
        if images is not None and not keeps(self.call, self.size, images[:1]):
            raise ValueError(
                f"the call of {self.call.name} reads its image by itself, where nothing can be kept; load the pipeline "
                "with call={'image': ...}"
            )
        said, away, images = each_told(captions, negative, images)
        condition = self.reading.condition(said, self.size, negative=away, images=images, **told)
        layout = self.layout(self.size)
        if layout.held.any():
            held = held_latents(self.call, self.reading, layout, self.size, condition)
            condition = replace(condition, parts={**condition.parts, "held": held})
        return condition

    def completed(self, latents: Latents, condition: Condition) -> Latents:
        """The latents, with the image's where those are held."""
        held = self.layout(self.sizes.of(latents, self.size)).held.to(latents.device)
        if not held.any():
            return latents
        return filled(latents, held, condition, self.call.name)

    def _led_away(self, caption: str) -> Condition:
        negative = self.condition("", negative=caption).negative
        return self.condition(caption) if negative is None else negative

    def unconditional(self, condition: Condition) -> Condition:
        if condition.negative is not None:
            return condition.negative
        if self.negative:
            return self.negative[1]
        empty = self.condition("")
        return empty if empty.negative is None else empty.negative

    # ------------------------------------------------------------------------------------------------------ velocities
    def levels(self, num_steps: int, shape: Sequence[int]) -> Float[Tensor, " level"]:
        Path.of(self.pipe.scheduler)  # another may have been put in its place
        size = self.size if tuple(shape) == self.latent_shape else self._clip_of(*shape[1:])
        told = self.call.arguments(PAIR[:1], size, num_steps=num_steps)
        # Up to the network: some calls change the last level after the schedule is set.
        seen = self.call.visit(told, Visit("network", remembered=self.reading.form.answer(self.reading.blank)))
        return self.path(size).levels(seen.scheduler, num_steps)

    def predict(self, y: Tensor, s: float, condition: Condition) -> Tensor:
        return self._called(y, s, condition, 1.0)

    def network_velocity(self, condition: Condition, guidance: float = 1.0) -> Velocity:
        condition = condition.to(self.device, self.dtype)
        if guidance != 1.0 and self.reading.guidance == "classifier-free":
            empty = self.unconditional(condition).to(self.device, self.dtype).expand(len(condition))
            if any(t.shape[1:] != empty.parts[k].shape[1:] for k, t in condition.parts.items() if k in empty.parts):
                without, under = super().network_velocity(empty), super().network_velocity(condition)
                return lambda y, s: torch.lerp(without(y, s), under(y, s), guidance)
        if guidance == 1.0 or self.reading.guidance != "its own":
            return super().network_velocity(condition, guidance)
        return lambda y, s: self._called(y.float(), s, condition, guidance).to(y.dtype)

    def prepared(self, condition: Condition, guidance: float) -> Condition:
        return super().prepared(condition, 1.0 if self.reading.guidance == "its own" else guidance)

    def _called(
        self, y: Tensor, s: float, condition: Condition, guidance: float, beside: ControlledCall | None = None
    ) -> Tensor:
        beside = beside or controlled(self.denoiser)
        if len(y) > 1 and not self.reading.batches:
            rows = [slice(i, i + 1) for i in range(len(y))]
            of = [beside and beside.of_row(i) for i in range(len(y))]
            each = [self._called(y[row], s, condition[row], guidance, own) for row, own in zip(rows, of, strict=True)]
            return torch.cat(each)
        call, told = self.call, {}
        if beside is not None:
            call, told, condition = beside.call, beside.arguments(len(y)), beside.condition(condition)
        arguments = call.arguments([""] * len(y), self.sizes.of(y, self.size), guidance=guidance, **told)
        return self._visited(arguments, y, s, self.reading.answers(condition, guidance), call)

    def _visited(
        self, arguments: Mapping[str, Any], y: Tensor, s: float, answers: Answers, call: Call | None = None
    ) -> Tensor:
        """The velocity that one stopped call tells."""
        layout, path = self.sizes[self.sizes.of(y, self.size)]
        seen = Visit(
            state=lambda made: layout.placed(path.state(y, s), made),
            time=(path.timestep(s), path.sigma(s)),
            remembered=answers,
        )
        (call or self.call).visit(arguments, seen)
        if seen.heard is None:
            raise ValueError(f"the call of {self.call.name} took no step at flow time {s}")
        v = path.velocity(layout.latents(seen.heard, len(y)).to(y.dtype), y, s)
        held = layout.addresses(y.device).held
        return v if held is None else torch.where(held, torch.zeros_like(v), v)

    def _takes_two(self) -> bool:
        """Whether two clips together are what each is alone."""
        y = self.noise(2, seed=0)
        try:
            both = self.predict(y, 0.8, self.condition(PAIR))
        except ONE_AT_A_TIME:
            return False
        each = [self.predict(y[i : i + 1], 0.8, self.condition(caption)) for i, caption in enumerate(PAIR)]
        return apart(both, torch.cat(each)) <= ROUNDING.get(self.dtype, HALF)

    def _probed(self, arguments: Mapping[str, Any], answers: Answers) -> Tensor:
        """A velocity at some state."""
        drawn = np.random.default_rng(0).standard_normal((1, *self.latent_shape), np.float32)
        return self._visited(arguments, torch.from_numpy(drawn).to(self.device), 0.8, answers)

    @moved_back
    def sample(self, *args: Any, **options: Any) -> Latents:
        return super().sample(*args, **options)

    @moved_back
    def invert(self, *args: Any, **options: Any) -> Inverted:
        return super().invert(*args, **options)

    # ------------------------------------------------------------------------------------------------------------ codec
    @moved_back
    @torch.no_grad()
    def encode(self, video: Video, *, batch_size: int = 1) -> Latents:
        check_video(video=video)
        self.check_fits(video)
        z = torch.cat([self.coder.coded(part) for part in video.split(batch_size)])
        layout = self.layout(self.sizes.of(z, self.size))
        self._check_kept(z.shape[1:], layout.shape, "latents")
        return layout.normal(z)

    @moved_back
    @torch.no_grad()
    def decode(self, latents: Latents, *, batch_size: int = 1) -> Video:
        del batch_size  # arguments that its call decodes with are of one clip
        self.check_latents(latents)
        layout = self.layout(self.sizes.of(latents, self.size))
        args, options = self.sizes.decoding
        own = partial(self.coder.decoded, args=args, options=options)
        return batched(lambda y: own(layout.coded(y.to(self.device).float())), latents, 1)
