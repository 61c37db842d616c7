"""What an edit by captions did to clips whose factors latentlab does not read: likeness by CLIP, pixels, a reader."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from latentlab.checks import clear_errors
from latentlab.factors import FactorTable
from latentlab.metrics.clip_model import VideoClip
from latentlab.quoted import name_of
from latentlab.shapes import OVERSHOOT, Video, check_video
from latentlab.study.account import FactorReading, flicker_added

INVISIBLE = 0.05  # 8-bit levels a pixel


@dataclass(frozen=True)
class CaptionAccount:
    """What an edit by captions did to one clip of no known world: CLIP and pixels never say that it is kept.

    A reader of the user's own says what it reads before and after; which of it the caption asks for, nobody knows.

    Attributes:
        target: the caption that was asked for.
        before, after: likeness of the clip to it, a cosine, without and with the edit; NaN without a CLIP model.
        changed: mean change of a pixel, 8-bit levels.
        flicker: that the edit added, 8-bit levels; NaN where flicker cannot be seen.
        read_by: who compared them.
        readings: of the user's reader, what it reads differently after the edit first.
        reader: its name; "" without.
    """

    target: str
    before: float
    after: float
    changed: float
    flicker: float = float("nan")
    read_by: str = "CLIP"
    kept: bool = False
    readings: tuple[FactorReading, ...] = ()
    reader: str = ""

    @property
    def failed(self) -> str:
        """Why nobody can say that the rest was kept, and whether the clip at least came nearer to the caption."""
        if self.reader and not self.after <= self.before:
            return f"{self.reader} reads what moved, and nobody knows what of it the caption asks for"
        if self.changed < INVISIBLE:
            seen = f"nothing moved that could be seen, {self.changed:.2g} levels a pixel"
            return f"{seen}; is it a caption that the model knows?"
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
        if self.reader:
            moved = [str(one) for one in self.readings if not one.same]
            said.append(f"{self.reader} reads: {', '.join(moved) if moved else 'the same as before'}")
        if np.isfinite(self.flicker):
            said.append(f"flicker added: {self.flicker:+.2f} levels")
        return [*said, f"WARNING: not known to be kept: {self.failed}"]

    def numbers(self) -> dict[str, Any]:
        """As a record holds it."""

        def known(x: float) -> float | None:
            return round(float(x), 4) if np.isfinite(x) else None

        likeness, added = [known(x) for x in (self.before, self.after)], known(self.flicker)
        read = {one.factor.name: [known(one.before), known(one.after)] for one in self.readings}
        return {"target": self.target, "likeness": likeness, "changed": round(self.changed, 3), "flicker_added": added,
                "read_by": self.read_by, "readings": read, "reader": self.reader, "kept": self.kept,
                "failed": self.failed}  # fmt: skip


@torch.no_grad()
@clear_errors
def caption_account(
    before: Video,
    after: Video,
    caption: str,
    clip_model: VideoClip | None = None,
    read: Callable[[Video], FactorTable] | None = None,
) -> CaptionAccount:
    """What an edit of one clip by captions did.

    Args:
        before: the clip without the edit, decoded.
        after: with it.
        caption: what it was to show.
        clip_model: compares clips with captions; None compares pixels alone.
        read: a reader of such clips, a table with a row a clip.

    Raises:
        ValueError: the reader reads other factors after the edit than before it.

    >>> import latentlab as ll
    >>> clip, _ = ll.data.moving_shapes(1, seed=0)
    >>> caption_account(clip, clip, "a red star", ll.load().clip_model).failed
    'nothing moved that could be seen, 0 levels a pixel; is it a caption that the model knows?'
    """
    check_video(OVERSHOOT, before=before, after=after)
    near = [float("nan")] * 2
    if clip_model is not None:
        said = F.normalize(clip_model.encode_text([caption]), dim=1)
        near = [float(F.normalize(clip_model.encode_video(v.float()), dim=1) @ said.T) for v in (before, after)]
    changed = float((after - before).abs().mean()) * 127.5
    added = flicker_added(before, after)
    if read is None:
        return CaptionAccount(caption, near[0], near[1], changed, added)
    by, tables = name_of(read).rpartition(".")[2], (read(before), read(after))
    if tables[0].names != tables[1].names or not len(tables[0]) == len(tables[1]) == 1:
        told = [f"{len(table)} of {', '.join(table.names)}" for table in tables]
        raise ValueError(f"{by} reads one row of the same factors of a clip before and after, got {' and '.join(told)}")
    each = zip(tables[0].specs, tables[0].values[0], tables[1].values[0], strict=True)
    readings = sorted((FactorReading(*one, float("nan")) for one in each), key=lambda one: one.same)
    return CaptionAccount(caption, near[0], near[1], changed, added, readings=tuple(readings), reader=by)
