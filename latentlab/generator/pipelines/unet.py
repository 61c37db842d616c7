"""AnimateDiff (Guo et al. 2024) and ModelScope text-to-video (Wang et al. 2023): U-Nets on image latents."""

from __future__ import annotations

from torch import Tensor

from latentlab.generator.condition import Condition
from latentlab.generator.generator import GeneratorConfig
from latentlab.generator.pipelines.pipeline import Diffusion, all_count, per_clip


class ModelScope(Diffusion):
    """ModelScope text-to-video, and what is built like it (Zeroscope)."""

    clips = GeneratorConfig(num_frames=16, height=256, width=256, fps=8.0, guidance=9.0)

    @property
    def denoiser(self):
        return self.pipe.unet

    def embed(self, captions: list[str]) -> Condition:
        tokens, _ = self.pipe.encode_prompt(captions, self.device, 1, False)
        return Condition(tokens, all_count(tokens))

    def network(self, x: Tensor, time: float, condition: Condition) -> Tensor:
        return self.denoiser(x, per_clip(time, x), encoder_hidden_states=condition.tokens, return_dict=False)[0]


class AnimateDiff(ModelScope):
    """AnimateDiff: an image model with motion modules, which know clips up to the length they were trained on."""

    clips = GeneratorConfig(num_frames=16, height=512, width=512, fps=8.0, guidance=7.5)

    def check_latents(self, latents: Tensor) -> None:
        super().check_latents(latents)
        longest = self.denoiser.config.motion_max_seq_length
        if latents.shape[2] > longest:
            raise ValueError(f"these motion modules know {longest} frames at most, got {latents.shape[2]}")

    def network(self, x: Tensor, time: float, condition: Condition) -> Tensor:
        per_frame = condition.tokens.repeat_interleave(x.shape[2], dim=0)
        return self.denoiser(x, per_clip(time, x), encoder_hidden_states=per_frame, return_dict=False)[0]
