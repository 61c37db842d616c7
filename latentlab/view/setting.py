"""What an explorer shows: one immutable setting, so that it can be kept, undone, named and exported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from latentlab.directions.mask import PROFILES
from latentlab.face import renamed
from latentlab.shapes import Video

PATHS = ("slerp", "lerp", "nlerp")
NamedStrengths = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class ExplorerState:
    """All that the picture depends on.

    Attributes:
        strengths: (direction, standard deviations) of each slider that is not at 0.
        keys: (frame, strengths) at some frames, in order; between them strengths change evenly, before the first and
            after the last they stay. Where there are any, they take the place of `strengths`.
        position: from the clip (0) to the other clip (1).
        path: of the interpolation.
        profile: of the edit over time.
        box: (left, top, right, bottom) in shares of the frame, where the edit acts; None is everywhere.
        frames: (first, last) frame in which it acts; None is all.
        painted: rows of "0" and "1" over the frame, where the edit acts; empty is everywhere.
        caption, seed: of a clip that the generator draws, to be edited in place of the given one; None is that one.
    """

    strengths: NamedStrengths = ()
    keys: tuple[tuple[int, NamedStrengths], ...] = ()
    position: float = 0.0
    path: str = "slerp"
    profile: str = "constant"
    box: tuple[float, float, float, float] | None = None
    frames: tuple[int, int] | None = None
    painted: tuple[str, ...] = ()
    caption: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.path not in PATHS or self.profile not in PROFILES:
            raise ValueError(
                f"path is one of {', '.join(PATHS)} and profile one of {', '.join(PROFILES)}; "
                f"got {self.path!r} and {self.profile!r}"
            )
        if not 0 <= self.position <= 1:
            raise ValueError(f"position is from 0 to 1, got {self.position}")
        if self.box is not None:
            left, top, right, bottom = self.box
            if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
                raise ValueError(f"a box is (left, top, right, bottom) in shares of the frame, 0 to 1; got {self.box}")
        if self.frames is not None and not 0 <= self.frames[0] <= self.frames[1]:
            raise ValueError(f"frames are (first, last), got {self.frames}")
        at = [frame for frame, _ in self.keys]
        if any(frame < 0 for frame in at) or any(a >= b for a, b in pairwise(at)):
            raise ValueError(f"keys are at rising frames from 0, got {at}")
        if len({len(row) for row in self.painted}) > 1 or set("".join(self.painted)) - {"0", "1"}:
            raise ValueError("`painted` is rows of one length made of 0 and 1")

    def moved(self, **changes: Any) -> ExplorerState:
        """The same with something changed."""
        return replace(self, **changes)

    @property
    def names(self) -> tuple[str, ...]:
        """Directions that are moved along, at any frame."""
        listed = [there for _, there in self.keys] if self.keys else [self.strengths]
        return tuple(dict.fromkeys(name for there in listed for name, _ in there))

    def at(self, frame: int) -> dict[str, float]:
        """Strengths at a frame.

        >>> ExplorerState(keys=((0, ()), (10, (("light", 2.0),)))).at(5)
        {'light': 1.0}
        """
        if not self.keys:
            return dict(self.strengths)
        known = [key for key, _ in self.keys]
        return {
            name: float(np.interp(frame, known, [dict(there).get(name, 0.0) for _, there in self.keys]))
            for name in self.names
        }

    def keyed(self, frame: int, strengths: Mapping[str, float]) -> ExplorerState:
        """The same with these strengths at a frame."""
        keys = dict(self.keys) | {frame: tuple((name, value) for name, value in strengths.items() if value)}
        return replace(self, strengths=(), keys=tuple(sorted(keys.items())))

    def unkeyed(self, frame: int) -> ExplorerState:
        """The same without the key at a frame; the last one leaves its strengths for all frames."""
        keys = tuple(key for key in self.keys if key[0] != frame)
        return self if keys == self.keys else replace(self, keys=keys, strengths=() if keys else self.keys[0][1])

    def mask(self, video: Video) -> torch.Tensor | None:
        """Box, frames and paint as a mask `(1, 1, frame, height, width)` of clips like `video`; None is everywhere."""
        if self.box is None and self.frames is None and not self.painted:
            return None
        count, height, width = video.shape[2:]
        left, top, right, bottom = self.box or (0.0, 0.0, 1.0, 1.0)
        first, last = self.frames or (0, count - 1)
        mask = torch.zeros(1, 1, count, height, width)
        rows = slice(int(top * height), max(int(top * height) + 1, round(bottom * height)))
        columns = slice(int(left * width), max(int(left * width) + 1, round(right * width)))
        mask[:, :, first : last + 1, rows, columns] = 1
        if self.painted:
            paint = torch.tensor([[float(cell) for cell in row] for row in self.painted])
            mask = mask * F.interpolate(paint[None, None], (height, width))[:, :, None]
        return mask

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)

    @staticmethod
    def from_dict(written: dict[str, Any]) -> ExplorerState:
        """Reads what `to_dict` wrote.

        >>> ExplorerState.from_dict(ExplorerState(strengths=(("light", 1.0),)).to_dict()).strengths
        (('light', 1.0),)
        """
        unknown = set(written) - {f.name for f in fields(ExplorerState)}
        if unknown:
            raise ValueError(f"a setting has no {', '.join(sorted(unknown))}")
        known = dict(written)
        known["strengths"] = _strengths(written.get("strengths", ()))
        known["keys"] = tuple((int(frame), _strengths(there)) for frame, there in written.get("keys", ()))
        known["painted"] = tuple(written.get("painted", ()))
        for name in ("box", "frames"):
            known[name] = None if written.get(name) is None else tuple(written[name])
        return ExplorerState(**known)


def _strengths(written: Any) -> NamedStrengths:
    return tuple((str(name), float(value)) for name, value in written)


__getattr__ = renamed(__name__, {"Setting": "ExplorerState"})
