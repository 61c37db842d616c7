"""What an edit did, read off the clips: how far its target moved, what else did, and whether it kept the contract."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from latentlab.checks import clear_errors
from latentlab.data.moving.dataset import MovingShapes
from latentlab.data.moving.edits import PLACE
from latentlab.data.moving.factors import FACTORS, NAMES
from latentlab.data.moving.measure import mask, measure
from latentlab.directions.factor_units import FactorUnits
from latentlab.directions.target import Target
from latentlab.factors import Factor, FactorTable
from latentlab.metrics.temporal import flicker
from latentlab.quoted import name_of
from latentlab.shapes import Video
from latentlab.study.change import SECOND, Change
from latentlab.study.contract import BENT, OUTSIDE, TOLERANCE, Judged, Wanted, judge, outside_psnr, unedited_overlap

SEEN = 0.25  # standard deviations; a target that moves by less did not move
TOLD = 0.1  # likewise, of others that are told
REFERENCE_SEED = 2_000_003  # of the factors whose spread is the unit


@dataclass(frozen=True)
class FactorReading:
    """One factor before and after an edit.

    Attributes:
        factor: what it is.
        before, after: its value, NaN where it cannot be read.
        moved: standard deviations of the factor: of the target the way that it was to go, of others whichever way; NaN
            where it cannot be read before and after.
    """

    factor: Factor
    before: float
    after: float
    moved: float

    @property
    def same(self) -> bool:
        """Whether the same is read before and after, in its three digits."""
        return self.value(self.before) == self.value(self.after)

    def value(self, x: float) -> str:
        """A value in words."""
        if not np.isfinite(x):
            return "unreadable"
        return self.factor.labels[round(x)] if self.factor.labels else f"{x:.3g}"

    def __str__(self) -> str:
        unit = "" if self.factor.labels or not self.factor.unit else f" {self.factor.unit}"
        way = f"{self.factor.name} {self.value(self.before)} to {self.value(self.after)}{unit}"
        return f"{way} ({self.moved:+.2f} sd)" if np.isfinite(self.moved) else way


@dataclass(frozen=True)
class Account:
    """What an edit of one clip did.

    Attributes:
        target: that was to move: "light", "hue@240", "shape=star"; or the change that was asked for, in words.
        reading: of the target's factor, the first of two for a place, or that of the first of several changes.
        others: of all other factors, those that moved farthest first.
        asked: the changes in the factors' own units; none where the target had to move along a direction, however far.
        judged: how the contract is kept (`latentlab.study.contract`); None where only standard deviations are known,
            as of factors of the user's own.
        wanted: the value of the target that was asked for, NaN without.
        flicker: that the edit added, 8-bit levels; NaN where flicker cannot be seen.
        read_by: who read the factors.
    """

    target: str
    reading: FactorReading
    others: tuple[FactorReading, ...]
    asked: tuple[Change, ...] = ()
    judged: Judged | None = field(default=None, repr=False)
    wanted: float = float("nan")
    flicker: float = float("nan")
    read_by: str = "measure"

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    @property
    def failed(self) -> str:
        """Why the edit did not do what it says, the target first; "" where it did and left the rest alone."""
        return self._target_failed() or "; ".join(self._others_failed())

    @property
    def kept(self) -> bool:
        """Whether the target is where it should be, and all else within its tolerance."""
        return not self.failed

    def _target_failed(self) -> str:
        name = self.reading.factor.name
        if not np.isfinite(self.reading.before):
            return f"{name} cannot be read in the clip, so nobody knows whether it moved"
        if not np.isfinite(self.reading.after):
            return f"{name} can no longer be read"
        if self.asked:
            broken = self.judged.broken() if self.judged else [change.told for change in self.asked]
            return "; ".join(self._missed(change.told) for change in self.asked if change.told in broken)
        if self.reading.moved < -SEEN:
            return "the target moved the other way"
        if self.reading.moved < SEEN:
            return f"the target did not move: {self.reading.moved:+.2f} sd are less than {SEEN:g}"
        return ""

    def _others_failed(self) -> list[str]:
        if self.judged is None:  # factors of somebody else have no tolerance but that they do not move
            return [f"{one.factor.name} moved as well" for one in self.others if not one.moved < SEEN]
        own = [change.told for change in self.asked]
        return [self._missed(name) for name in self.judged.broken() if name not in own]

    def _missed(self, name: str) -> str:
        if self.judged is None:
            return f"nobody can judge {name}"
        if name == "outside":
            return f"pixels outside the object keep {self.judged.outside[0]:.1f} dB, and {OUTSIDE:g} are to stay"
        if name == "overlap":
            lost = f"a quarter of the clip overlaps the one wanted by {self.judged.lost[0]:.2f} less"
            return f"the shape is bent or turned: {lost} than without the edit, and {BENT:g} are allowed"
        if name == "front":
            return "the object that was behind is in front"
        kind = name.removesuffix(SECOND)
        off = float(self.judged.off[name][0]) * TOLERANCE[kind]
        if not np.isfinite(off):
            return f"{name} can no longer be read"
        if kind == "shape":
            after = next(one for one in (self.reading, *self.others) if one.factor.name == name)
            return f"the {name} is a {after.value(after.after)}"
        what = {
            "size": f"{off:.0%} off, and {TOLERANCE[kind]:.0%}",
            "place": f"{off:.1f} pixels off, and {TOLERANCE[kind]:g}",
        }
        return f"{name} is {what.get(kind, f'{off:.3g} off, and {TOLERANCE[kind]:g}')} are allowed"

    def lines(self) -> list[str]:
        """In words."""
        moved = [str(one) for one in self.others if one.moved >= TOLD]
        lost = [one.factor.name for one in self.others if np.isfinite(one.before) and not np.isfinite(one.after)]
        asked = f", asked {self.reading.value(self.wanted)}" if np.isfinite(self.wanted) else ""
        said = [
            f"target {self.target}: {self.reading}{asked}",
            f"else: {', '.join(moved) if moved else 'nothing moved'}",
        ]
        said += [f"no longer readable: {', '.join(lost)}"] if lost else []
        if self.judged is not None and np.isfinite(self.judged.outside[0]):
            said.append(f"pixels outside the object keep {self.judged.outside[0]:.1f} dB")
        if self.judged is not None and np.isfinite(self.judged.lost[0]):
            overlap, floor = float(self.judged.overlap[0].mean()), float(self.judged.floor[0].mean())
            said.append(f"its shape overlaps the one wanted by {overlap:.2f}, without an edit by {floor:.2f}")
        if np.isfinite(self.flicker):
            said.append(f"flicker added: {self.flicker:+.2f} levels")
        if self.failed:
            return [*said, f"WARNING: not kept: {self.failed}"]
        target = "is reached" if self.asked else "moved"  # of a strength nobody asked where to
        return [*said, f"kept: the target {target} and all else is within its tolerance, as {self.read_by} reads it"]

    def numbers(self) -> dict[str, Any]:
        """As a record holds it; readings that are not there are None."""

        def known(x: float) -> float | None:
            return round(float(x), 4) if np.isfinite(x) else None

        others = {one.factor.name: known(one.moved) for one in self.others}
        value = {"before": known(self.reading.before), "after": known(self.reading.after), "asked": known(self.wanted)}
        off = {} if self.judged is None else {name: known(one[0]) for name, one in self.judged.off.items()}
        parts = ("outside", "overlap", "floor", "lost")
        found = {name: known(getattr(self.judged, name)[0].mean()) if self.judged else None for name in parts}
        beside = {"outside_psnr": found["outside"], "overlap": found["overlap"], "overlap_unedited": found["floor"]}
        beside |= {"overlap_lost": found["lost"]}
        beside |= {"flicker_added": known(self.flicker)}
        return {"target": self.target, **value, "moved_sd": known(self.reading.moved), "else_sd": others,
                "tolerances_off": off, **beside, "read_by": self.read_by, "kept": self.kept,
                "failed": self.failed}  # fmt: skip


@clear_errors
def account(
    before: Video,
    after: Video,
    target: str | Change | Sequence[Change],
    *,
    towards: int = 1,
    read: Callable[[Video], FactorTable] = measure,
    reference: FactorTable | None = None,
    space: Callable[[Video], Video] | None = None,
) -> Account:
    """What an edit of one clip did.

    Args:
        before: the clip without the edit: decoded, so that what the space itself loses is not taken for the edit's.
        after: with it.
        target: what was to move, as the direction is named; or the changes that were asked for.
        towards: 1, or -1 if it was to move the other way, as by a negative strength.
        read: the factors of clips; default those of moving shapes. Of others there are no tolerances: what moves by
            more than a quarter of a standard deviation was not left alone.
        reference: factors whose spread is the unit; default those of moving shapes.
        space: what it makes of clips without an edit: how well it holds a new shape.

    Raises:
        KeyError: the target is no factor.
        ValueError: not one clip, or the reader does not take it.

    >>> from latentlab.data import moving_shapes
    >>> same = {"shape": 3, "hue": 10, "size": 8, "speed": 0.5, "background_hue": 200, "blur": 0.0}
    >>> dark, bright = (moving_shapes(1, seed=0, fixed={**same, "light": light})[0] for light in (0.6, 0.9))
    >>> print(account(dark, bright, "light").lines()[0])
    target light: light 0.6 to 0.9 share of full brightness (+2.06 sd)
    >>> account(dark, bright, Change.of("light", 0.3, "by")).kept
    True
    """
    if len(before) != 1 or len(after) != 1:
        raise ValueError(f"an account is of one clip, got {len(before)} before and {len(after)} after")
    if not isinstance(target, str | Change) and not len(target):
        raise ValueError("an account needs a target, got none")
    factor_units = FactorUnits.of(MovingShapes(1024, REFERENCE_SEED).factors() if reference is None else reference)
    tables = read(before), read(after)
    several = () if isinstance(target, str | Change) else target
    asked: tuple[Change, ...] = (target,) if isinstance(target, Change) else tuple(several)
    moved, wanted = factor_units.distances(*tables)[0], float("nan")
    if isinstance(target, str):
        own = (factor_units.target(target)[0],)
        moved[own[0]] = towards * factor_units.along(target, *tables)[0]
    else:
        own = tuple(factor_units.names.index(name) for name in asked[0].columns)
        wanted = float(asked[0].after(tables[0].values[0])[own[0]])
    judged = _judged(before, after, target if isinstance(target, str) else asked, space) if read is measure else None
    values = [table.values[0] for table in tables]
    readings = [FactorReading(*one) for one in zip(factor_units.specs, *values, moved, strict=True)]
    others = [one for i, one in enumerate(readings) if i not in own]
    others.sort(key=lambda one: -np.nan_to_num(one.moved))
    said = target if isinstance(target, str) else ", ".join(map(str, asked))
    by = name_of(read).rpartition(".")[2]
    added = flicker_added(before, after)
    return Account(said, readings[own[0]], tuple(others), asked, judged, wanted, added, by)


def _judged(
    before: Video, after: Video, target: str | Sequence[Change], space: Callable[[Video], Video] | None
) -> Judged:
    """How all is kept: targets where they are asked for in their unit, and all else."""
    wanted = known = Wanted.read(before)
    if not isinstance(target, str):
        for change in target:
            wanted = wanted.after(change)
        of_all = not all(change.of_the_object for change in target)
        outside = None if of_all else outside_psnr(before, after, mask(before), mask(after))
        return judge(after, wanted, outside=outside, floor=unedited_overlap(known, wanted, before, after, space))
    name = Target.parse(target, FACTORS).factor
    rows, centre = known.rows.copy(), known.centre
    rows[:, NAMES.index(name)] = np.nan
    if name in (*PLACE, "direction", "speed"):  # of a strength in standard deviations nobody knows to where
        centre = np.full_like(centre, np.nan)
    return judge(after, Wanted(rows, centre, known.pose), floor=known.overlap(before))


@clear_errors
def flicker_added(before: Video, after: Video) -> float:
    """Levels of 255 that an edit adds; NaN of clips too short to flicker.

    >>> from latentlab.data import moving_shapes
    >>> clip, _ = moving_shapes(1, seed=0)
    >>> flicker_added(clip, clip)
    0.0
    """
    if before.shape[2] < 3:
        return float("nan")
    return float(flicker(after).overall) - float(flicker(before).overall)
