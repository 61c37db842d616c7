"""What an edit by captions did to clips whose factors nobody reads: likeness by CLIP, and pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from latentlab.checks import clear_errors
from latentlab.metrics.clip_model import VideoClip
from latentlab.shapes import Video
from latentlab.study.account import flicker_added


@dataclass(frozen=True)
class CaptionAccount:
    """What an edit by captions did to one clip whose factors nobody reads: CLIP and pixels never say that it is kept.

    Attributes:
        target: the caption that was asked for.
        before, after: likeness of the clip to it, a cosine, without and with the edit; NaN without a CLIP model.
        changed: mean change of a pixel, 8-bit levels.
        flicker: that the edit added, 8-bit levels; NaN where flicker cannot be seen.
        read_by: who compared them.
    """

    target: str
    before: float
    after: float
    changed: float
    flicker: float = float("nan")
    read_by: str = "CLIP"
    kept: bool = False

    @property
    def failed(self) -> str:
        """Why nobody can say that the rest was kept, and whether the clip at least came nearer to the caption."""
        if not np.isfinite(self.after):
            return "there is neither a reader nor a CLIP model of such clips, so nobody knows what moved"
        if self.after <= self.before:
            return "the clip came no nearer to the caption"
        return "there is no reader of such clips, so nobody knows what else moved"

    def lines(self) -> list[str]:
        """In words."""
        said = [f"target {self.target!r}: a mean change of {self.changed:.1f} levels a pixel"]
        if np.isfinite(self.after):
            said.append(f"likeness by {self.read_by} {self.before:.3f} to {self.after:.3f}")
        if np.isfinite(self.flicker):
            said.append(f"flicker added: {self.flicker:+.2f} levels")
        return [*said, f"WARNING: not known to be kept: {self.failed}"]

    def numbers(self) -> dict[str, Any]:
        """As a record holds it."""
        likeness = [round(x, 4) if np.isfinite(x) else None for x in (self.before, self.after)]
        added = round(self.flicker, 4) if np.isfinite(self.flicker) else None
        return {"target": self.target, "likeness": likeness, "changed": round(self.changed, 3), "flicker_added": added,
                "read_by": self.read_by, "kept": self.kept, "failed": self.failed}  # fmt: skip


@torch.no_grad()
@clear_errors
def caption_account(before: Video, after: Video, caption: str, clip_model: VideoClip | None = None) -> CaptionAccount:
    """What an edit of one clip by captions did.

    Args:
        before: the clip without the edit, decoded.
        after: with it.
        caption: what it was to show.
        clip_model: compares clips with captions; None compares pixels alone.

    >>> import latentlab as ll
    >>> clip, _ = ll.data.moving_shapes(1, seed=0)
    >>> caption_account(clip, clip, "a red star", ll.load().clip_model).failed
    'the clip came no nearer to the caption'
    """
    near = [float("nan")] * 2
    if clip_model is not None:
        said = F.normalize(clip_model.encode_text([caption]), dim=1)
        near = [float(F.normalize(clip_model.encode_video(v), dim=1) @ said.T) for v in (before, after)]
    changed = float((after - before).abs().mean()) * 127.5
    return CaptionAccount(caption, near[0], near[1], changed, flicker_added(before, after))
