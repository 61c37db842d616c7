"""Changes of factors of every kind on one scale: standard deviations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from latentlab.directions.target import Target
from latentlab.factors import Factor, FactorTable

Coordinates = Float[np.ndarray, "sample coordinate"]


@dataclass(frozen=True)
class FactorUnits:
    """Measures how far factors moved, in standard deviations of a reference table.

    A factor is a point: a continuous or ordinal value on a line, an angle on the unit circle, a category at its corner
    of a simplex. The unit is the root of the points' total variance, so whatever the kind, two clips drawn at random
    are sqrt(2) apart in root mean square.

    Attributes:
        specs: of the factors.
        units: standard deviation of each factor's points.
        values: that each categorical factor takes; empty for the others.

    >>> table = FactorTable(np.array([[0.0, 10.0], [2.0, 190.0]]),
    ...                     (Factor("light", "continuous", 0, 2), Factor("hue", "circular", 0, 360)))
    >>> units = FactorUnits.of(table)
    >>> units.distances(table[:1], table[1:]).round(3)
    array([[2., 2.]])
    """

    specs: tuple[Factor, ...]
    units: tuple[float, ...]
    values: tuple[tuple[float, ...], ...]

    @staticmethod
    def of(reference: FactorTable) -> FactorUnits:
        """The units of factors that vary as in `reference`.

        Raises:
            ValueError: a factor is unknown everywhere or never changes.
        """
        units, values = [], []
        for spec, column in zip(reference.specs, reference.values.T, strict=True):
            known = column[np.isfinite(column)]
            found = tuple(map(float, np.unique(known))) if spec.kind == "categorical" else ()
            unit = float(np.sqrt(_points(known, spec, found).var(0).sum())) if len(known) else 0.0
            if unit == 0:
                raise ValueError(
                    f"factor {spec.name!r} never changes in the reference, so it has no unit; leave it out"
                )
            units.append(unit)
            values.append(found)
        return FactorUnits(reference.specs, tuple(units), tuple(values))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(spec.name for spec in self.specs)

    def points(self, table: FactorTable) -> list[Coordinates]:
        """Each factor as a point, `(sample, coordinate)`, in standard deviations from the origin of its values.

        Raises:
            ValueError: other factors than those that the units are of.
        """
        if table.names != self.names:
            raise ValueError(f"these are units of {self.names}, got {table.names}")
        columns = zip(self.specs, self.units, self.values, table.values.T, strict=True)
        return [_points(column, spec, values) / unit for spec, unit, values, column in columns]

    def shifts(self, before: FactorTable, after: FactorTable) -> list[Coordinates]:
        """How each factor's point moved, `(sample, coordinate)` a factor; NaN where it is unknown on either side."""
        return [b - a for a, b in zip(self.points(before), self.points(after), strict=True)]

    def distances(self, before: FactorTable, after: FactorTable) -> Float[np.ndarray, "sample factor"]:
        """How far each factor moved, whichever way."""
        return np.stack([np.linalg.norm(shift, axis=1) for shift in self.shifts(before, after)], 1)

    def along(self, name: str, before: FactorTable, after: FactorTable) -> Float[np.ndarray, " sample"]:
        """How far the target of a direction moved the way its name says: "light", "hue@240", "shape=star"."""
        factor, way = self.target(name)
        return self.shifts(before, after)[factor] @ way

    def target(self, name: str) -> tuple[int, Float[np.ndarray, " coordinate"]]:
        """Which factor a direction's name means, and the unit vector that its points should move along.

        Raises:
            KeyError: no such factor, angle or value.
        """
        target = Target.parse(name, self.specs)
        i = self.names.index(target.factor)
        if target.angle is not None:
            radians = np.deg2rad(target.angle)
            return i, np.array([np.cos(radians), np.sin(radians)])
        if target.value is None:
            return i, np.ones(1)
        words = [self.specs[i].labels[int(v)] if self.specs[i].labels else format(v, "g") for v in self.values[i]]
        if target.value not in words or len(words) < 2:
            raise KeyError(f"no target {name!r}; the reference has {', '.join(words)} of {target.factor}")
        corner = np.where(np.arange(len(words)) == words.index(target.value), 1.0, -1 / (len(words) - 1))
        return i, corner / np.linalg.norm(corner)


def _points(values: np.ndarray, spec: Factor, levels: Sequence[float]) -> Coordinates:
    if spec.kind == "circular":
        turn = 2 * np.pi * values / (spec.high - spec.low)
        return np.stack([np.cos(turn), np.sin(turn)], 1)
    if spec.kind == "categorical":
        return np.where(np.isnan(values)[:, None], np.nan, values[:, None] == np.array(levels))
    return values[:, None]
