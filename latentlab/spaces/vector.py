"""The short codes of vector VAEs."""

from __future__ import annotations

from typing import Any

import torch
from einops import rearrange

from latentlab.checks import Count, clear_errors
from latentlab.generator.vector_vae import PERIOD, VectorVAE
from latentlab.shapes import Codes, Video, check_video
from latentlab.spaces.space import Described
from latentlab.weights import fingerprint


class VectorSpace(Described):
    """The short code of a vector VAE; one of single frames codes a clip frame by frame.

    Args:
        vae: see `load_vector_vae`.
        num_frames: of the clips; None is the VAE's own.

    Attributes:
        axes: "frame" and "dim" where frames are coded one by one, else "dim"; see `groups`.

    Raises:
        TypeError: another model than a VectorVAE.
        ValueError: a VAE of clips, asked for another length.

    >>> from latentlab.generator.vector_vae import VectorVAEConfig
    >>> VectorSpace(VectorVAE(VectorVAEConfig(dims=2, motion_dims=1, num_frames=3))).groups("part")
    {'static': [0, 1], 'motion': [2, 3, 4]}
    """

    @clear_errors
    def __init__(self, vae: VectorVAE, *, num_frames: Count | None = None) -> None:
        if not isinstance(vae, VectorVAE):
            raise TypeError(f"this is a space of a VectorVAE, got {type(vae).__name__}; LatentSpace takes a generator")
        own = vae.config.num_frames
        if own > 1 and num_frames not in (None, own):
            raise ValueError(f"this VAE codes clips of {own} frames, not of {num_frames}")
        self.vae, self.num_frames = vae, num_frames or own
        self.pieces = self.num_frames // own
        one = vae.config.code_dims
        self.shape, self.axes = ((self.pieces, one), ("frame", "dim")) if self.pieces > 1 else ((one,), ("dim",))
        # Motion codes of neighbouring frames go together, and rings are uniform.
        self.prior = None if vae.config.motion_dims or vae.config.rings else "normal"

    def settings(self) -> dict[str, Any]:
        return {"weights": fingerprint(self.vae), "num_frames": self.num_frames}

    @clear_errors
    def groups(self, axis: str) -> dict[str, list[int]]:
        """Dims at each place along an axis.

        A VAE with a motion code has "part", its static and its motion dims, and "frame", the motion dims of each frame.

        Raises:
            ValueError: no such axis.
        """
        c = self.vae.config
        if self.pieces > 1 or not c.motion_dims or axis not in ("part", "frame"):
            return super().groups(axis)
        motion = torch.arange(c.dims, c.code_dims)
        if axis == "part":
            return {"static": [*range(c.dims)], "motion": motion.tolist()}
        return {f"frame{i}": row.tolist() for i, row in enumerate(motion.reshape(c.num_frames, -1))}

    @clear_errors
    def unrolled(self, codes: Codes) -> tuple[Codes, dict[str, list[int]]]:
        """Codes whose rings are points on a circle, for metrics that would take an angle for a line.

        SAP, IRS, FactorVAE and the trees of DCI see the cut of a ring as its far ends.

        Returns:
            Codes with (cos, sin) in the place of each ring, and the dims of each unit: `units` of the metrics.
        """
        c = self.vae.config
        self.unflatten(codes)
        parts = codes.reshape(len(codes), self.pieces, c.code_dims)
        angle = parts[..., : c.rings] * (2 * torch.pi / PERIOD)
        points = torch.stack([angle.cos(), angle.sin()], -1).flatten(2)
        flat = torch.cat([points, parts[..., c.rings :]], 2).flatten(1)
        places = iter(range(flat.shape[1]))
        frames = [f"frame{i} " for i in range(self.pieces)] if self.pieces > 1 else [""]
        widths = [2] * c.rings + [1] * (c.code_dims - c.rings)
        return flat, {
            f"{frame}dim{j}": [next(places) for _ in range(w)] for frame in frames for j, w in enumerate(widths)
        }

    @clear_errors
    def encode(self, video: Video) -> Codes:
        """Codes `(sample, dim)`, frame after frame where the VAE codes frames."""
        if video.ndim != 5 or video.shape[2] != self.num_frames:
            raise ValueError(f"this space holds clips of {self.num_frames} frames, got shape {tuple(video.shape)}")
        check_video(video=video)
        codes = self.vae.encode(rearrange(video.float(), "b c (p f) h w -> (b p) c f h w", p=self.pieces))
        return rearrange(codes, "(b p) d -> b (p d)", p=self.pieces)

    @clear_errors
    def decode(self, codes: Codes) -> Video:
        """Clips of codes."""
        self.unflatten(codes)
        video = self.vae.decode(rearrange(codes.float(), "b (p d) -> (b p) d", p=self.pieces))
        return rearrange(video, "(b p) c f h w -> b c (p f) h w", p=self.pieces)
