"""CogVideoX 2B and 5B (Yang et al. 2024): v-prediction up to zero signal, latents with frames before channels."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from latentlab.generator.condition import Condition
from latentlab.generator.generator import GeneratorConfig
from latentlab.generator.pipelines.image import further_channels
from latentlab.generator.pipelines.pipeline import Diffusion, all_count, per_clip
from latentlab.shapes import Video


class CogVideoX(Diffusion):
    """CogVideoX 1.0; the network of image to video is told an image in further channels of the first frame."""

    clips = GeneratorConfig(num_frames=49, height=480, width=720, fps=8.0, guidance=6.0)

    def __init__(self, pipe) -> None:
        if pipe.transformer.config.patch_size_t is not None:
            raise ValueError(
                "CogVideoX 1.5 takes latent frames in groups and pads clips for it, which is not supported; "
                "2B and 5B of CogVideoX 1.0 are"
            )
        super().__init__(pipe)

    @property
    def patch(self) -> int:
        return self.denoiser.config.patch_size

    def embed(self, captions: list[str]) -> Condition:
        tokens, _ = self.pipe.encode_prompt(captions, do_classifier_free_guidance=False, device=self.device)
        return Condition(tokens, all_count(tokens))

    def look(self, image: Video) -> dict[str, Tensor]:
        if not self.further_channels:
            return super().look(image)
        return {"channels": F.pad(self.coder.encode(image), (0, 0, 0, 0, 0, self.latent_shape[1] - 1))}

    def network(self, x: Tensor, time: float, condition: Condition) -> Tensor:
        frames, height, width = x.shape[2:]
        if self.further_channels:
            x = further_channels(x, condition)
        ratio, rotary = self.coder.space_ratio, None
        if self.denoiser.config.use_rotary_positional_embeddings:
            rotary = self.pipe._prepare_rotary_positional_embeddings(ratio * height, ratio * width, frames, x.device)
        raw = self.denoiser(
            hidden_states=x.transpose(1, 2),
            encoder_hidden_states=condition.tokens,
            timestep=per_clip(time, x),
            image_rotary_emb=rotary,
            return_dict=False,
        )[0]
        return raw.transpose(1, 2)
