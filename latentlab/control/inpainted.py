"""What inpainting gives: the clips, where they are new, and what it cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from latentlab.shapes import Mask, Video, in_a_line

SEEN = 0.5  # 8-bit levels of a step along a border beyond the autoencoder's own, from which it shows


@dataclass(frozen=True)
class Inpainted:
    """Clips with a hole filled, and what that cost.

    Attributes:
        video: the clips; where `region` is 0 every pixel is the source's.
        region: the mask, grown and feathered: how much of each pixel is new, 0 to 1.
        hole: what had to be filled: the mask, grown.
        free: latents that the generator drew, on their grid.
        raw: the clips as the decoder gave them, before the source was put back outside.
        start: flow time from which they were drawn; 1 is from noise alone.
        fixed: factors that are already decided there, which no caption changes; none where nobody measured that.
        outside_psnr: decibels between `raw` and the source outside the region, of each clip: what was lost before the
            source was put back. NaN where there is no outside.
        floor_psnr: the same of the autoencoder alone.
        seam: step of colour across the border beyond the source's, in 8-bit levels, see `latentlab.control.seam`; NaN
            where there is no border.
        floor_seam: the same, where the autoencoder's own clip is pasted in that way.
        extra: share of the latents that were drawn anew, less the share of the pixels that were asked for.
    """

    video: Video
    region: Mask
    hole: Mask
    free: Mask
    raw: Video
    start: float
    fixed: tuple[str, ...]
    outside_psnr: tuple[float, ...]
    floor_psnr: tuple[float, ...]
    seam: tuple[float, ...]
    floor_seam: tuple[float, ...]
    extra: tuple[float, ...]

    __repr__ = in_a_line

    def numbers(self) -> dict[str, Any]:
        """As a record holds it; None where a figure does not exist."""
        names = ("outside_psnr", "floor_psnr", "seam", "floor_seam", "extra")
        figures = {name: [None if x != x else round(x, 3) for x in getattr(self, name)] for name in names}
        return {"start": self.start, "fixed": list(self.fixed), "filled": round(float(self.hole.mean()), 4), **figures}

    def lines(self) -> list[str]:
        """What a user should know, the worst clip's figures."""
        lines = [
            f"filled {float(self.hole.mean()):.1%} of the clip from flow time {self.start:g}; "
            f"latents reach {max(self.extra):.1%} further"
        ]
        if self.fixed:
            lines.append(f"WARNING: decided by then under most captions: {', '.join(self.fixed)}; start=1 changes all")
        if not np.isnan(self.outside_psnr).all():
            lines.append(
                f"outside: the source itself; {np.nanmin(self.outside_psnr):.1f} dB before it was put back, of the "
                f"autoencoder alone {np.nanmin(self.floor_psnr):.1f}"
            )
        if not np.isnan(self.seam).all():
            floor = np.nanmax(self.floor_seam)
            lines.append(f"seam: {np.nanmax(self.seam):.2f} of 255 levels, of the autoencoder alone {floor:.2f}")
            if np.nanmax(self.seam) > floor + SEEN:
                lines.append("WARNING: the border can be seen; a larger mask, another caption or seed may fit better")
        return lines
