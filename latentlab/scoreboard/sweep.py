"""Sweeps: codes moved along a direction by rising strengths, decoded and read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from latentlab.directions.edit import Moves, edit
from latentlab.directions.factor_units import FactorUnits
from latentlab.face import renamed_attributes
from latentlab.factors import FactorTable
from latentlab.shapes import Codes, Mask
from latentlab.spaces.around import Around

STRENGTHS = tuple(np.linspace(-3, 3, 11).round(3).tolist())  # standard deviations of the codes

Move = Callable[[Codes, Moves, float], Codes]


@renamed_attributes(ruler="factor_units")
@dataclass(frozen=True, eq=False)
class Testbed:
    """What directions are tried on.

    Attributes:
        codes: `(sample, dim)`, that no finder has seen.
        decode: codes to clips, or whatever `read` reads.
        read: the factors of them, such as `measure`.
        reference: factors whose spread is the unit.
        around: clips to their codes and how these are decoded, for the way back; None where there is none.
        mask: where the object is in clips, for what happens outside it.
    """

    codes: Codes
    decode: Callable[[Codes], Any]
    read: Callable[[Any], FactorTable]
    reference: FactorTable
    around: Callable[[Any], Around] | None = None
    mask: Callable[[Any], Mask] | None = None

    @cached_property
    def factor_units(self) -> FactorUnits:
        return FactorUnits.of(self.reference)

    @cached_property
    def base(self) -> FactorTable:
        """The factors at strength 0: the floor that all changes are counted from."""
        return self.read(self.unmoved)

    @cached_property
    def unmoved(self) -> Any:
        """The decoded codes."""
        return self.decode(self.codes)


@dataclass(frozen=True, eq=False)
class Sweep:
    """Readings of one direction at rising strengths, 0 among them."""

    name: str
    strengths: tuple[float, ...]
    tables: tuple[FactorTable, ...]

    @property
    def base(self) -> FactorTable:
        return self.tables[self.strengths.index(0.0)]


def sweep(
    testbed: Testbed, direction: Moves, strengths: Sequence[float] = STRENGTHS, *, move: Move | None = None
) -> Sweep:
    """Moves all codes by each strength, decodes and reads them; `move` stands in for `edit`."""
    if 0.0 not in strengths or list(strengths) != sorted(strengths):
        raise ValueError(f"strengths must rise and pass through 0, got {list(strengths)}")
    move = move or edit
    tables = [
        testbed.base if s == 0 else testbed.read(testbed.decode(move(testbed.codes, direction, s))) for s in strengths
    ]
    return Sweep(direction.name, tuple(map(float, strengths)), tuple(tables))


def where_one(curve: np.ndarray, strengths: Sequence[float], side: int) -> tuple[float, bool]:
    """The strength on one side at which the target has moved by one standard deviation, and whether it does."""
    order = [i for i in np.argsort(np.abs(strengths)) if side * strengths[i] >= 0]
    for near, far in pairwise(order):
        if abs(curve[far]) >= 1:
            share = (1 - abs(curve[near])) / (abs(curve[far]) - abs(curve[near]))
            return float(strengths[near] + share * (strengths[far] - strengths[near])), True
    return float(strengths[order[int(np.argmax(np.abs(curve[order])))]]) or float(strengths[order[-1]]), False


def between(seen: Sweep, strength: float, of: Callable[[FactorTable], list[np.ndarray]]) -> list[np.ndarray]:
    """What a table says, at a strength between two of the sweep."""
    right = min(max(int(np.searchsorted(seen.strengths, strength)), 1), len(seen.strengths) - 1)
    low, high = seen.strengths[right - 1 : right + 1]
    share = (strength - low) / (high - low)
    ends = (of(seen.tables[right - 1]), of(seen.tables[right]))
    return [(1 - share) * a + share * b for a, b in zip(*ends, strict=True)]
