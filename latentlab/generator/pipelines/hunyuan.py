"""HunyuanVideo (Kong et al. 2024): flow matching, its guidance distilled into the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from latentlab.generator.condition import Condition
from latentlab.generator.generator import GeneratorConfig
from latentlab.generator.methods import check_counts
from latentlab.generator.pipelines.pipeline import Flow, per_clip
from latentlab.generator.pipelines.schedule import flow_levels
from latentlab.generator.solver import Velocity


class Hunyuan(Flow):
    """HunyuanVideo, text to video; guidance is told to the network and costs no second call."""

    clips = GeneratorConfig(num_frames=129, height=720, width=1280, fps=24.0, guidance=6.0)

    @property
    def patch(self) -> int:
        return self.denoiser.config.patch_size

    def levels(self, num_steps: int, shape: Sequence[int]) -> Float[Tensor, " level"]:
        del shape
        check_counts(num_steps=num_steps)
        return flow_levels(self.pipe.scheduler, num_steps, sigmas=np.linspace(1.0, 0.0, num_steps + 1)[:-1])

    def embed(self, captions: list[str]) -> Condition:
        tokens, pooled, mask = self.pipe.encode_prompt(captions, device=self.device)
        return Condition(tokens, mask.bool(), {"pooled": pooled})

    def network_velocity(self, condition: Condition, guidance: float = 1.0) -> Velocity:
        """The velocity field under a condition, guidance being one more thing that the network is told.

        Raises:
            ValueError: a condition that says what guidance leads away from, which this network has learned.
        """
        if not self.denoiser.config.guidance_embeds:
            return super().network_velocity(condition, guidance)
        if condition.against is not None:
            raise ValueError(
                "guidance is built into this network, which has learned where it leads away from: a negative caption "
                "has no effect; leave negative= and against= out"
            )
        scale = torch.full((len(condition),), guidance, device=self.device, dtype=self.dtype) * 1000.0
        return super().network_velocity(replace(condition, more={**condition.more, "guidance": scale}))

    def prepared(self, condition: Condition, guidance: float) -> Condition:
        return super().prepared(condition, 1.0 if self.denoiser.config.guidance_embeds else guidance)

    def network(self, x: Tensor, time: float, condition: Condition) -> Tensor:
        return self.denoiser(
            hidden_states=x,
            timestep=per_clip(time, x),
            encoder_hidden_states=condition.tokens,
            encoder_attention_mask=condition.mask.to(x.dtype),
            pooled_projections=condition.more["pooled"],
            guidance=condition.more.get("guidance"),
            return_dict=False,
        )[0]
