"""The short codes of vector VAEs."""

from __future__ import annotations

from typing import Any

from einops import rearrange

from latentlab.generator.vector_vae import VectorVAE
from latentlab.shapes import Codes, Video
from latentlab.spaces.space import Described
from latentlab.weights import fingerprint


class VectorSpace(Described):
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
        self.shape = (self.pieces * vae.config.code_dims,)
        # Motion codes of neighbouring frames go together, and rings are uniform.
        self.prior = None if vae.config.motion_dims or vae.config.rings else "normal"

    def settings(self) -> dict[str, Any]:
        return {"weights": fingerprint(self.vae), "num_frames": self.num_frames}

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
