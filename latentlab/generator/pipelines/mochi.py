"""Mochi 1 (Genmo 2024): flow matching whose network counts time from noise to data."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from latentlab.generator.condition import Condition
from latentlab.generator.generator import GeneratorConfig
from latentlab.generator.methods import check_counts
from latentlab.generator.pipelines.pipeline import Flow, per_clip
from latentlab.generator.pipelines.schedule import flow_levels

THRESHOLD = 0.025  # noise below which the first half of the steps stays


class Mochi(Flow):
    """Mochi 1, text to video."""

    capturable = False  # its attention looks up which tokens count
    clips = GeneratorConfig(num_frames=19, height=480, width=848, fps=30.0, guidance=4.5)

    @property
    def patch(self) -> int:
        return self.denoiser.config.patch_size

    def levels(self, num_steps: int, shape: Sequence[int]) -> Float[Tensor, " level"]:
        """Linear near noise for the first half of the steps, quadratic for the rest."""
        from diffusers.pipelines.mochi.pipeline_mochi import linear_quadratic_schedule

        del shape
        check_counts(num_steps=num_steps)
        sigmas = linear_quadratic_schedule(num_steps, THRESHOLD) if num_steps > 1 else [1.0]
        return flow_levels(self.pipe.scheduler, num_steps, sigmas=sigmas)

    def embed(self, captions: list[str]) -> Condition:
        # One by one: where a folder asks for it, the pipeline blanks a whole batch whose last caption is empty.
        options = {"do_classifier_free_guidance": False, "device": self.device}
        told = [self.pipe.encode_prompt([caption], **options)[:2] for caption in captions]
        return Condition.cat([Condition(tokens, mask.bool()) for tokens, mask in told])

    def network(self, x: Tensor, time: float, condition: Condition) -> Tensor:
        towards_data = self.denoiser(
            hidden_states=x,
            encoder_hidden_states=condition.tokens,
            timestep=per_clip(self.pipe.scheduler.config.num_train_timesteps - time, x),
            encoder_attention_mask=condition.mask,
            return_dict=False,
        )[0]
        return -towards_data
