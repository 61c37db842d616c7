"""What an explorer shows: one immutable setting, so that it can be kept, undone, named and exported."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import torch

from latentlab.directions.mask import PROFILES
from latentlab.shapes import Video

PATHS = ("slerp", "lerp", "nlerp")


@dataclass(frozen=True)
class Setting:
    """All that the picture depends on.

    Attributes:
        strengths: (direction, standard deviations) of each slider that is not at 0.
        position: from the clip (0) to the other clip (1).
        path: of the interpolation.
        profile: of the edit over time.
        box: (left, top, right, bottom) in shares of the frame, where the edit acts; None is everywhere.
        frames: (first, last) frame in which it acts; None is all.
    """

    strengths: tuple[tuple[str, float], ...] = ()
    position: float = 0.0
    path: str = "slerp"
    profile: str = "constant"
    box: tuple[float, float, float, float] | None = None
    frames: tuple[int, int] | None = None

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

    def moved(self, **changes: Any) -> Setting:
        """The same with something changed."""
        return replace(self, **changes)

    def mask(self, video: Video) -> torch.Tensor | None:
        """Box and frames as a mask `(1, 1, frame, height, width)` of clips like `video`."""
        if self.box is None and self.frames is None:
            return None
        count, height, width = video.shape[2:]
        left, top, right, bottom = self.box or (0.0, 0.0, 1.0, 1.0)
        first, last = self.frames or (0, count - 1)
        mask = torch.zeros(1, 1, count, height, width)
        rows = slice(int(top * height), max(int(top * height) + 1, round(bottom * height)))
        columns = slice(int(left * width), max(int(left * width) + 1, round(right * width)))
        mask[:, :, first : last + 1, rows, columns] = 1
        return mask

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)

    @staticmethod
    def from_dict(written: dict[str, Any]) -> Setting:
        """Reads what `to_dict` wrote.

        >>> Setting.from_dict(Setting(strengths=(("light", 1.0),)).to_dict()).strengths
        (('light', 1.0),)
        """
        unknown = set(written) - {f.name for f in fields(Setting)}
        if unknown:
            raise ValueError(f"a setting has no {', '.join(sorted(unknown))}")
        known = dict(written)
        known["strengths"] = tuple((str(name), float(value)) for name, value in written.get("strengths", ()))
        for name in ("box", "frames"):
            known[name] = None if written.get(name) is None else tuple(written[name])
        return Setting(**known)
