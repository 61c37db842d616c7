"""Wan 2.1 and 2.2, text to video (Wan team 2025): flow matching on 16 or 48 channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from latentlab.generator.adapters.pipeline import Flow, all_count, per_clip
from latentlab.generator.condition import Condition
from latentlab.generator.generator import GeneratorConfig


class Wan(Flow):
    """Wan: 2.1, 2.2 TI2V-5B without an image (a timestep for each token), 2.2 A14B (one network above a level, another
    below it).

    Attributes:
        guidance_2: guidance of A14B's second network, where any guidance is asked for; None is that of the first.
    """

    clips = GeneratorConfig(num_frames=81, height=480, width=832, fps=16.0, guidance=5.0)
    guidance_2: float | None = None

    @property
    def denoiser(self):
        return self.pipe.transformer or self.pipe.transformer_2

    @property
    def networks(self) -> Sequence[nn.Module]:
        both = (self.pipe.transformer, self.pipe.transformer_2)
        return self.coder.vae, *(network for network in both if network is not None)

    @property
    def patch(self) -> int:
        return self.denoiser.config.patch_size[1]

    def embed(self, captions: list[str]) -> Condition:
        tokens, _ = self.pipe.encode_prompt(
            captions, do_classifier_free_guidance=False, max_sequence_length=512, device=self.device
        )
        return Condition(tokens, all_count(tokens))

    def settings(self) -> dict[str, Any]:
        own = {"boundary": self.pipe.config.boundary_ratio, "guidance_2": self.guidance_2}
        return super().settings() | {name: value for name, value in own.items() if value is not None}

    def guidance_scale(self, guidance: float, y: Tensor, s: float) -> float:
        del y
        return guidance if self.guidance_2 is None or self._above_the_boundary(s) else self.guidance_2

    def _above_the_boundary(self, s: float) -> bool:
        return self.pipe.config.boundary_ratio is None or s >= self.pipe.config.boundary_ratio

    def network(self, x: Tensor, time: float, condition: Condition) -> Tensor:
        noisy = self._above_the_boundary(time / self.pipe.scheduler.config.num_train_timesteps)
        expert = self.pipe.transformer if noisy else self.pipe.transformer_2
        times = per_clip(time, x)
        if self.pipe.config.expand_timesteps:
            tokens = x.shape[2] * (x.shape[3] // self.patch) * (x.shape[4] // self.patch)
            times = times[:, None].expand(-1, tokens)
        return expert(x, times, condition.tokens, return_dict=False)[0]
