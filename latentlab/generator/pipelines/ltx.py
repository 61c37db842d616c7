"""LTX-Video (HaCohen et al. 2024): flow matching on packed latents, with more noise levels for longer clips."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from latentlab.generator.condition import Condition
from latentlab.generator.generator import GeneratorConfig
from latentlab.generator.methods import check_counts
from latentlab.generator.pipelines.image import Opening
from latentlab.generator.pipelines.pipeline import per_clip
from latentlab.generator.pipelines.schedule import flow_levels

# From how many latents to how many the shift grows, and from what to what: the pipeline's defaults.
SHIFT = {"base_image_seq_len": 256, "max_image_seq_len": 4096, "base_shift": 0.5, "max_shift": 1.15}


class LTX(Opening):
    """LTX-Video, of captions and of images that clips begin with; the frame rate of `config` is told to the network."""

    clips = GeneratorConfig(num_frames=161, height=512, width=704, fps=25.0, guidance=3.0)

    @property
    def patch(self) -> int:
        return self.pipe.transformer_spatial_patch_size

    def levels(self, num_steps: int, shape: Sequence[int]) -> Float[Tensor, " level"]:
        """Those of the scheduler, shifted towards noise in proportion to the number of latents in a clip."""
        check_counts(num_steps=num_steps)
        scheduler, tokens = self.pipe.scheduler, int(np.prod(shape[1:]))
        few, many, low, high = (scheduler.config.get(name, default) for name, default in SHIFT.items())
        shift = low + (high - low) / (many - few) * (tokens - few)
        return flow_levels(scheduler, num_steps, sigmas=np.linspace(1.0, 1 / num_steps, num_steps), mu=shift)

    def settings(self) -> dict[str, Any]:
        return {"fps": self.config.fps, **super().settings()}

    def embed(self, captions: list[str]) -> Condition:
        tokens, mask, _, _ = self.pipe.encode_prompt(captions, do_classifier_free_guidance=False, device=self.device)
        return Condition(tokens, mask.bool())

    def network(self, x: Tensor, time: float, condition: Condition) -> Tensor:
        frames, height, width = x.shape[2:]
        ratio, patches = self.coder.space_ratio, (self.patch, self.pipe.transformer_temporal_patch_size)
        raw = self.pipe.transformer(
            hidden_states=self.pipe._pack_latents(x, *patches),
            encoder_hidden_states=condition.tokens,
            timestep=self.token_times(time, x, condition) if "image" in condition.more else per_clip(time, x),
            encoder_attention_mask=condition.mask,
            num_frames=frames,
            height=height,
            width=width,
            rope_interpolation_scale=(self.coder.time_ratio / self.config.fps, ratio, ratio),
            return_dict=False,
        )[0]
        return self.pipe._unpack_latents(raw, frames, height, width, *patches)
