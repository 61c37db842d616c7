"""What the name of a direction means: "light", "hue@240", "shape=star"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from latentlab.factors import Factor


@dataclass(frozen=True)
class Target:
    """A factor, and which way it is to move.

    A name is read against the factors that there are, so that one called "hair=long" is itself: the longest factor
    that it begins with, followed by nothing, by "@" and an angle, or by "=" and a value.

    Args:
        factor: its name.
        angle: degrees, of a circular factor.
        value: in the factor's own word, of a categorical one.

    >>> hair, hue = Factor("hair=long", "continuous", 0, 1), Factor("hue", "circular", 0, 360)
    >>> Target.parse("hair=long", [hair, hue]), Target.parse("hue@240", [hair, hue]).angle
    (Target(factor='hair=long', angle=None, value=None), 240.0)
    """

    factor: str
    angle: float | None = None
    value: str | None = None

    @staticmethod
    def parse(name: str, factors: Sequence[Factor]) -> Target:
        """What a name means among some factors.

        Raises:
            KeyError: no such factor, or not the way that factors of its kind are told to move.
        """
        for spec in sorted(factors, key=lambda spec: -len(spec.name)):
            if not name.startswith(spec.name):
                continue
            way = name.removeprefix(spec.name)
            if not way and spec.kind in ("continuous", "ordinal"):
                return Target(spec.name)
            if spec.kind == "circular" and re.fullmatch(r"@-?\d+\.?\d*", way):
                return Target(spec.name, angle=float(way[1:]))
            if spec.kind == "categorical" and way[:1] == "=" and (not spec.labels or way[1:] in spec.labels):
                return Target(spec.name, value=way[1:])
            if way[:1] in ("", "@", "="):
                raise KeyError(f"no target {name!r}; a direction of {spec.name} is {_ways(spec)}")
        raise KeyError(
            f"no target {name!r}; factors are {', '.join(spec.name for spec in factors)}, as in "
            f"{', '.join(dict.fromkeys(map(_ways, factors)))}"
        )

    def __str__(self) -> str:
        if self.angle is not None:
            return f"{self.factor}@{self.angle:g}"
        return self.factor if self.value is None else f"{self.factor}={self.value}"


def _ways(spec: Factor) -> str:
    if spec.kind == "circular":
        return f"{spec.name}@ANGLE, in degrees"
    if spec.kind == "categorical":
        return f"{spec.name}=VALUE" + (f", one of {', '.join(spec.labels)}" if spec.labels else "")
    return spec.name
