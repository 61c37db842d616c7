"""What an edit did, read off the clips: how far its target moved, and what else did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from latentlab.data.moving.dataset import MovingShapes
from latentlab.data.moving.measure import measure
from latentlab.directions.ruler import Ruler
from latentlab.factors import Factor, FactorTable
from latentlab.shapes import Video

SEEN = 0.25  # standard deviations; a target that moves by less did not move
TOLD = 0.1  # likewise, of others that are told
REFERENCE_SEED = 2_000_003  # of the factors whose spread is the unit


@dataclass(frozen=True)
class Reading:
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

    def __str__(self) -> str:
        def value(x: float) -> str:
            if not np.isfinite(x):
                return "unreadable"
            return self.factor.labels[round(x)] if self.factor.labels else f"{x:.3g}"

        unit = "" if self.factor.labels or not self.factor.unit else f" {self.factor.unit}"
        way = f"{self.factor.name} {value(self.before)} to {value(self.after)}{unit}"
        return f"{way} ({self.moved:+.2f} sd)" if np.isfinite(self.moved) else way


@dataclass(frozen=True)
class Account:
    """What an edit of one clip did.

    Attributes:
        target: that was to move: "light", "hue@240", "shape=star".
        reading: of the target's factor.
        others: of all other factors, those that moved farthest first.
    """

    target: str
    reading: Reading
    others: tuple[Reading, ...]

    @property
    def failed(self) -> str:
        """Why the edit did not do what its name says; "" where it did."""
        if not np.isfinite(self.reading.before):
            return f"{self.reading.factor.name} cannot be read in the clip, so nobody knows whether it moved"
        if not np.isfinite(self.reading.after):
            return f"{self.reading.factor.name} can no longer be read"
        if self.reading.moved < -SEEN:
            return "the target moved the other way"
        if self.reading.moved < SEEN:
            return f"the target did not move: {self.reading.moved:+.2f} sd are less than {SEEN:g}"
        most = self.others[0] if self.others else None
        if most is not None and most.moved > self.reading.moved:
            return f"{most.factor.name} moved farther than the target"
        return ""

    def lines(self) -> list[str]:
        """In words."""
        moved = [str(one) for one in self.others if one.moved >= TOLD]
        lost = [one.factor.name for one in self.others if np.isfinite(one.before) and not np.isfinite(one.after)]
        said = [f"target {self.target}: {self.reading}", f"else: {', '.join(moved) if moved else 'nothing moved'}"]
        said += [f"no longer readable: {', '.join(lost)}"] if lost else []
        return [*said, f"WARNING: {self.failed}"] if self.failed else said

    def numbers(self) -> dict[str, Any]:
        """As a record holds it; readings that are not there are None."""

        def known(x: float) -> float | None:
            return round(float(x), 4) if np.isfinite(x) else None

        others = {one.factor.name: known(one.moved) for one in self.others}
        value = {"before": known(self.reading.before), "after": known(self.reading.after)}
        return {"target": self.target, **value, "moved_sd": known(self.reading.moved), "else_sd": others,
                "failed": self.failed}  # fmt: skip


def account(
    before: Video,
    after: Video,
    target: str,
    *,
    towards: int = 1,
    read: Callable[[Video], FactorTable] = measure,
    reference: FactorTable | None = None,
) -> Account:
    """What an edit of one clip did.

    Args:
        before: the clip without the edit: decoded, so that what the space itself loses is not taken for the edit's.
        after: with it.
        target: what was to move, as the direction is named.
        towards: 1, or -1 if it was to move the other way, as by a negative strength.
        read: the factors of clips; default those of moving shapes.
        reference: factors whose spread is the unit; default those of moving shapes.

    Raises:
        KeyError: the target is no factor.
        ValueError: not one clip, or the reader does not take it.

    >>> from latentlab.data import moving_shapes
    >>> same = {"shape": 3, "hue": 10, "size": 8, "speed": 0.5, "background_hue": 200, "blur": 0.0}
    >>> dark, bright = (moving_shapes(1, seed=0, fixed={**same, "light": light})[0] for light in (0.6, 0.9))
    >>> print(account(dark, bright, "light").lines()[0])
    target light: light 0.6 to 0.9 share of full brightness (+2.06 sd)
    """
    if len(before) != 1 or len(after) != 1:
        raise ValueError(f"an account is of one clip, got {len(before)} before and {len(after)} after")
    ruler = Ruler.of(MovingShapes(1024, REFERENCE_SEED).factors() if reference is None else reference)
    index, _ = ruler.target(target)
    tables = read(before), read(after)
    moved = ruler.distances(*tables)[0]
    moved[index] = towards * ruler.along(target, *tables)[0]
    values = [table.values[0] for table in tables]
    readings = [Reading(*one) for one in zip(ruler.specs, *values, moved, strict=True)]
    others = [one for i, one in enumerate(readings) if i != index]
    others.sort(key=lambda one: -np.nan_to_num(one.moved))
    return Account(target, readings[index], tuple(others))
