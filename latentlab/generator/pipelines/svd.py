"""Stable Video Diffusion (Blattmann et al. 2023): an image set in motion; v-prediction on exploding variance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from einops import repeat
from torch import Tensor

from latentlab.generator.condition import Condition
from latentlab.generator.generator import GeneratorConfig
from latentlab.generator.pipelines.pipeline import Diffusion, all_count, per_clip


class StableVideo(Diffusion):
    """Stable Video Diffusion; its condition is an image, and guidance rises from 1 at the first frame to its value at
    the last."""

    clips = GeneratorConfig(num_frames=14, height=576, width=1024, fps=7.0, guidance=3.0)

    def __init__(self, pipe) -> None:
        super().__init__(pipe)
        self.config = replace(self.config, num_frames=pipe.unet.config.num_frames)
        self.coder.frames_at_once = pipe.unet.config.num_frames  # as the pipeline decodes

    @property
    def denoiser(self):
        return self.pipe.unet

    @torch.no_grad()
    def condition(
        self,
        captions: Tensor | str | Sequence[str],
        *,
        motion_bucket: float = 127,
        noise: float = 0.02,
        seed: int = 0,
    ) -> Condition:
        """What the denoiser is told by an image.

        Args:
            captions: the image, `(batch, 3, height, width)` or clips whose first frame it is, in [-1, 1]; this model
                reads no captions.
            motion_bucket: how much should move, 0 to 255.
            noise: standard deviation of what is added to the image; the clip keeps to it the less, the more there is.
            seed: of that noise; item i depends on `(seed, i)` alone.

        Raises:
            ValueError: a caption, or an image that the model cannot hold.
        """
        if not isinstance(captions, Tensor):
            raise ValueError(
                f"Stable Video Diffusion reads no captions, got {captions!r}; its condition is an image: "
                "caption=generator.condition(video[:, :, 0])"
            )
        image = self.first_frame(captions)
        rngs = [np.random.default_rng([seed, i]) for i in range(len(image))]
        added = np.stack([rng.standard_normal(image.shape[1:], np.float32) for rng in rngs])
        # The U-Net takes the image's latents as the autoencoder has them, not at unit variance.
        latents = self.coder.encode(image + noise * torch.from_numpy(added).to(image))
        unscaled = latents[:, :, 0] / self.coder.vae.config.scaling_factor
        ids = torch.tensor([[self.config.fps - 1, motion_bucket, noise]], device=self.device)
        tokens = self._look(image[:, :, 0])
        return Condition(tokens, all_count(tokens), {"image": unscaled, "ids": ids.expand(len(image), -1)})

    def _look(self, image: Tensor) -> Tensor:
        """The image as CLIP sees it, one token."""
        from diffusers.pipelines.stable_video_diffusion.pipeline_stable_video_diffusion import _resize_with_antialiasing

        if self.pipe.image_encoder is None or self.pipe.feature_extractor is None:
            raise ValueError(
                "this StableVideoDiffusionPipeline was loaded without an image encoder; pass its embeddings instead: "
                'Condition(tokens, mask, {"image": latents of the image, "ids": [[fps - 1, motion bucket, noise]]})'
            )
        seen = self.pipe.feature_extractor(
            images=(_resize_with_antialiasing(image, (224, 224)) + 1) / 2,
            do_normalize=True,
            do_center_crop=False,
            do_resize=False,
            do_rescale=False,
            return_tensors="pt",
        ).pixel_values
        encoder = self.pipe.image_encoder
        return encoder(seen.to(self.device, encoder.dtype)).image_embeds[:, None]

    def embed(self, captions: list[str]) -> Condition:
        return self.condition(captions)

    def unconditional(self, condition: Condition) -> Condition:
        more = {**condition.more, "image": torch.zeros_like(condition.more["image"])}
        return Condition(torch.zeros_like(condition.tokens), condition.mask, more)

    def guidance_scale(self, guidance: float, y: Tensor, s: float) -> Tensor:
        del s
        return torch.linspace(1.0, guidance, y.shape[2], device=y.device, dtype=y.dtype)[:, None, None]

    def timestep(self, s: float) -> float:
        """log(sigma) / 4, from the smallest sigma to the largest that the model was trained on."""
        config = self.pipe.scheduler.config
        sigma = s / (1 - s) if s < 1 else math.inf
        return 0.25 * math.log(min(max(sigma, config.sigma_min), config.sigma_max))

    def network(self, x: Tensor, time: float, condition: Condition) -> Tensor:
        given = condition.more["image"].shape[-2:]
        if given != x.shape[-2:]:
            raise ValueError(
                f"the image has {tuple(given)} latents, the clip {tuple(x.shape[-2:])}; give both one size"
            )
        image = repeat(condition.more["image"], "b c h w -> b f c h w", f=x.shape[2])
        raw = self.denoiser(
            torch.cat([x.transpose(1, 2), image], dim=2),
            per_clip(time, x),
            encoder_hidden_states=condition.tokens,
            added_time_ids=condition.more["ids"],
            return_dict=False,
        )[0]
        return raw.transpose(1, 2)
