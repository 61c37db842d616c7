"""Latent spaces behind one interface: `encode` turns clips into codes, `decode` turns codes into clips."""

from __future__ import annotations

from typing import Protocol

from einops import rearrange

from latentlab.generator.generator import Generator
from latentlab.generator.vector_vae import VectorVAE
from latentlab.shapes import Codes, Latents, Video


class Space(Protocol):
    """What interpolation, direction finders and metrics need of a space; a user's own model joins by having it."""

    def encode(self, video: Video) -> Codes: ...
    def decode(self, codes: Codes) -> Video: ...


class LatentSpace:
    """The autoencoder's latents, flattened.

    Args:
        generator: whose autoencoder.
        num_frames: of the clips; None is the generator's own.
    """

    def __init__(self, generator: Generator, *, num_frames: int | None = None) -> None:
        self.generator = generator
        channel, frame, height, width = generator.latent_shape
        self.shape = (channel, num_frames or frame, height, width)

    def encode(self, video: Video) -> Codes:
        """Codes `(sample, dim)` of clips."""
        latents = self.generator.encode(video)
        if latents.shape[1:] != self.shape:
            raise ValueError(f"this space holds latents {self.shape}, these clips have {tuple(latents.shape[1:])}")
        return latents.flatten(1)

    def decode(self, codes: Codes) -> Video:
        """Clips of codes."""
        return self.generator.decode(self.unflatten(codes))

    def unflatten(self, codes: Codes) -> Latents:
        """Codes with the axes of latents again."""
        return codes.reshape(len(codes), *self.shape)


class NoiseSpace(LatentSpace):
    """Inverted noise, flattened: the point from which the sampler draws the clip.

    Args:
        generator: whose denoiser.
        num_steps: of the solver, each way.
        method: of the solver, see `Generator.sample`.
        num_frames: of the clips; None is the generator's own.
        progress: show a bar.
    """

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


class VectorSpace:
    """The short code of a vector VAE; one of single frames codes a clip frame by frame.

    Args:
        vae: see `load_vector_vae`.
        num_frames: of the clips; None is the VAE's own.

    Raises:
        ValueError: a VAE of clips, asked for another length.
    """

    def __init__(self, vae: VectorVAE, *, num_frames: int | None = None) -> None:
        own = vae.config.num_frames
        if own > 1 and num_frames not in (None, own):
            raise ValueError(f"this VAE codes clips of {own} frames, not of {num_frames}")
        self.vae, self.num_frames = vae, num_frames or own
        self.pieces = self.num_frames // own

    def encode(self, video: Video) -> Codes:
        """Codes `(sample, dim)`, frame after frame where the VAE codes frames."""
        if video.ndim != 5 or video.shape[2] != self.num_frames:
            raise ValueError(f"this space holds clips of {self.num_frames} frames, got shape {tuple(video.shape)}")
        codes = self.vae.encode(rearrange(video, "b c (p f) h w -> (b p) c f h w", p=self.pieces))
        return rearrange(codes, "(b p) d -> b (p d)", p=self.pieces)

    def decode(self, codes: Codes) -> Video:
        """Clips of codes."""
        video = self.vae.decode(rearrange(codes, "b (p d) -> (b p) d", p=self.pieces))
        return rearrange(video, "(b p) c f h w -> b c (p f) h w", p=self.pieces)
