"""Autoencoder latents as codes."""

from __future__ import annotations

from typing import Any

from latentlab.checks import Count, clear_errors
from latentlab.generator.generator import Generator
from latentlab.shapes import Codes, Video
from latentlab.spaces.space import AXES, Described


class LatentSpace(Described):
    """The autoencoder's latents, flattened.

    Args:
        generator: whose autoencoder.
        num_frames: frames of the latents; None is the generator's own.

    >>> import latentlab
    >>> space = latentlab.LatentSpace(latentlab.load())
    >>> space.shape, space.dim
    ((6, 16, 8, 8), 6144)
    """

    axes = AXES

    @clear_errors
    def __init__(self, generator: Generator, *, num_frames: Count | None = None) -> None:
        self.generator, self.device = generator, generator.device
        channel, frame, height, width = generator.latent_shape
        self.shape = (channel, num_frames or frame, height, width)

    def settings(self) -> dict[str, Any]:
        return {"weights": self.generator.fingerprint()}

    @clear_errors
    def encode(self, video: Video) -> Codes:
        """Codes `(sample, dim)` of clips."""
        latents = self.generator.encode(video)
        if latents.shape[1:] != self.shape:
            raise ValueError(f"this space holds latents {self.shape}, these clips have {tuple(latents.shape[1:])}")
        return latents.flatten(1)

    @clear_errors
    def decode(self, codes: Codes) -> Video:
        """Clips of codes."""
        return self.generator.decode(self.unflatten(codes))
