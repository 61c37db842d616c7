"""Wan 2.1 and 2.2, text and image to video (Wan team 2025): flow matching on 16 or 48 channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latentlab.generator.condition import Condition
from latentlab.generator.generator import GeneratorConfig
from latentlab.generator.pipelines.image import Opening, further_channels
from latentlab.generator.pipelines.pipeline import Flow, all_count, per_clip
from latentlab.shapes import Video


class Wan(Opening):
    """Wan: 2.1, 2.2 TI2V-5B (a timestep for each token), 2.2 A14B (one network above a level, another below it).

    Of an image, TI2V-5B takes the latents in the place of the clip's first ones. The networks of image to video are
    told those of the image and of grey frames after it in further channels, and those of 2.1 what CLIP sees of it.

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

    def look(self, image: Video) -> dict[str, Tensor]:
        if self.pipe.config.expand_timesteps:
            return super().look(image)
        if not self.further_channels:
            return Flow.look(self, image)
        frames, *_ = self._fitting(self.config.num_frames, 1, 1)
        latents = self.coder.encode(F.pad(image, (0, 0, 0, 0, 0, frames - 1)))
        given = torch.zeros_like(latents[:, : self.coder.time_ratio])  # for each frame that a latent codes
        given[:, :, 0] = 1
        seen = {"channels": torch.cat([given, latents], dim=1)}
        if self.denoiser.config.image_dim is None:
            return seen
        if self.pipe.image_encoder is None or self.pipe.image_processor is None:
            raise ValueError(
                f"this {type(self.pipe).__name__} was loaded without an image encoder, which its network of image to "
                "video needs; load a folder that has one"
            )
        pictures = (image[:, :, 0].movedim(1, -1) * 127.5 + 127.5).round().clamp(0, 255).byte().cpu().numpy()
        return {**seen, "sight": self.pipe.encode_image(list(pictures), self.device)}

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
            times = self.token_times(time, x, condition)
        if self.further_channels:
            x = further_channels(x, condition)
        return expert(x, times, condition.tokens, condition.more.get("sight"), return_dict=False)[0]
