"""Inverted noise as codes."""

from __future__ import annotations

from typing import Any

from latentlab.generator.generator import Generator
from latentlab.shapes import Codes, Video
from latentlab.spaces.latent import LatentSpace


class NoiseSpace(LatentSpace):
    """Inverted noise, flattened: the point from which the sampler draws the clip.

    Args:
        generator: whose denoiser.
        num_steps: of the solver, each way.
        method: of the solver, see `Generator.sample`.
        num_frames: frames of the latents; None is the generator's own.
        progress: show a bar.
    """

    prior = "normal"

    def __init__(
        self,
        generator: Generator,
        *,
        num_steps: int = 25,
        method: str = "midpoint",
        num_frames: int | None = None,
        progress: bool = False,
    ) -> None:
        super().__init__(generator, num_frames=num_frames)
        self.num_steps, self.method, self.progress = num_steps, method, progress

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "num_steps": self.num_steps, "method": self.method}

    def encode(self, video: Video) -> Codes:
        latents = self.unflatten(super().encode(video))
        progress = "inverting" if self.progress else False
        noise = self.generator.invert(latents, num_steps=self.num_steps, method=self.method, progress=progress)
        return noise.noise.flatten(1)

    def decode(self, codes: Codes) -> Video:
        progress = "sampling" if self.progress else False
        latents = self.generator.sample(
            self.unflatten(codes), num_steps=self.num_steps, method=self.method, progress=progress
        )
        return self.generator.decode(latents)
