"""What is known of clips that were scored, and of sets of them, as `scores.json` holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from latentlab.metrics.kernel import PrecisionRecall
from latentlab.metrics.sets import Comparison


@dataclass(frozen=True)
class ClipRow:
    """One clip.

    Attributes:
        clip: path of the file.
        frames, height, width, fps: of it.
        part: frames that were scored at once.
        figures: numbers by column; None where there is none.
        reason: why flicker was not measured.
        cuts: frames that begin another shot.
        note: what was done to read it.
        partner: path of the clip that PSNR and SSIM are against.
        partner_note, features_note: why there is no comparison, or of what.
        key: of its line in the file of finished rows.
        seen: frames, height and width that features were made of.
    """

    clip: str
    frames: int
    height: int = 0
    width: int = 0
    fps: float = 0.0
    part: int = 0
    figures: Mapping[str, float | None] = field(default_factory=dict)
    reason: str = ""
    cuts: tuple[int, ...] = ()
    note: str = ""
    partner: str = ""
    partner_note: str = ""
    features_note: str = ""
    key: str = ""
    seen: tuple[int, ...] = ()

    @staticmethod
    def of_line(row: Mapping[str, Any], columns: tuple[str, ...]) -> ClipRow:
        """Reads a finished row."""
        own = {name: row[name] for name in ClipRow.__dataclass_fields__ if name in row}
        own |= {name: tuple(own.get(name, ())) for name in ("cuts", "seen")}
        return ClipRow(**own, figures={name: row.get(name) for name in columns})

    def record(self) -> dict[str, Any]:
        """As a file holds it: without what is empty because nothing was compared."""
        compared = ("partner", "partner_note", "features_note")
        own = {name: value for name, value in asdict(self).items() if name not in ("key", "seen", "figures")}
        own["cuts"] = list(self.cuts)
        return {name: value for name, value in own.items() if value or name not in compared} | dict(self.figures)


@dataclass(frozen=True)
class SetScores:
    """Distances of the clips from the reference, as sets; or a note why there are none."""

    frechet: Comparison | None = None
    kernel: Comparison | None = None
    inside: PrecisionRecall | None = None
    note: str = ""

    def record(self) -> dict[str, Any]:
        if self.frechet is None or self.kernel is None:
            return {"note": self.note}
        inside = asdict(self.inside) if self.inside else {}
        return {"frechet": asdict(self.frechet), "kernel": asdict(self.kernel), **inside}


@dataclass(frozen=True)
class AllScores:
    """All of it.

    Attributes:
        clips: a row each.
        mean: of each column that some clip has.
        unreadable: files that gave no row, each with its reason.
        left_out: files that are no clips, each with its reason.
        against: the sets compared; None without a reference.
    """

    clips: tuple[ClipRow, ...]
    mean: Mapping[str, float]
    unreadable: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    against: SetScores | None = None

    def record(self) -> dict[str, Any]:
        return {
            "clips": [row.record() for row in self.clips],
            "mean": dict(self.mean),
            "unreadable": dict(self.unreadable),
            "left_out": dict(self.left_out),
            "against": self.against and self.against.record(),
        }
