"""One cell of the scoreboard: a finder finds, and its directions are tried on clips that it has not seen."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np

from latentlab.directions import Direction
from latentlab.directions.edit import Moves
from latentlab.directions.manipulate import Manipulator
from latentlab.scoreboard.direction_score import DirectionScore, match_targets, score_directions
from latentlab.scoreboard.finders import find
from latentlab.scoreboard.side_effects import SideEffects, measure_side_effects
from latentlab.scoreboard.sweep import STRENGTHS
from latentlab.scoreboard.worlds import World
from latentlab.shapes import Codes
from latentlab.spaces.hooks import counted

UNLABELLED = 1000  # codes that finders without labels get
Row = TypeVar("Row", DirectionScore, SideEffects)


@dataclass(frozen=True)
class Cell:
    """What a cell is of.

    Attributes:
        space: name of the world.
        finder: by its name in `latentlab.scoreboard.finders`.
        labels: that it gets; 0 is for finders without, whose directions are matched with targets on one half of the
            clips and tried on the other.
        variant, shuffled: of the labels, see `World.labelled`.
        seed: of the labelled clips and of the finder; None is all of them.
    """

    space: str
    finder: str
    labels: int = 0
    variant: str = "independent"
    shuffled: bool = False
    seed: int | None = 0


@dataclass(frozen=True)
class CellResult:
    """What a finder found there, and what its directions do.

    Attributes:
        cell: what this is of.
        factors: names, of the effects in `scores`.
        scores: one a direction.
        beside: side effects of each, or none where they were not measured.
        fit_seconds: that the finder took.
        decoded: clips.
        passes: of the networks, each clip of a call counted.
        failed: why there are no scores.
    """

    cell: Cell
    factors: tuple[str, ...] = ()
    scores: tuple[DirectionScore, ...] = ()
    beside: tuple[SideEffects, ...] = ()
    fit_seconds: float = float("nan")
    decoded: int = 0
    passes: int = 0
    failed: str = ""

    def record(self) -> dict[str, Any]:
        """As a file holds it."""
        if self.failed:
            return {**asdict(self.cell), "failed": self.failed}
        beside = [asdict(one) for one in self.beside] or [{}] * len(self.scores)
        scores = [asdict(score) | more for score, more in zip(self.scores, beside, strict=True)]
        made = {name: getattr(self, name) for name in ("fit_seconds", "decoded", "passes", "factors")}
        return {**asdict(self.cell), **made, "scores": scores}

    @staticmethod
    def of_record(record: Mapping[str, Any]) -> CellResult:
        """Reads what `record` gave, or a file of it: JSON has null where a number was NaN."""
        cell = Cell(**{name: record[name] for name in asdict(Cell("", "")) if name in record})
        if "scores" not in record:
            return CellResult(cell, failed=record.get("failed", "nothing was measured"))
        rows = record["scores"]
        return CellResult(
            cell,
            tuple(record["factors"]),
            tuple(_read(DirectionScore, row) for row in rows),
            tuple(_read(SideEffects, row) for row in rows if "background" in row),
            *(record[name] for name in ("fit_seconds", "decoded", "passes")),
        )


def _read(kind: type[Row], row: Mapping[str, Any]) -> Row:
    return kind(**{field.name: _value(row.get(field.name, field.default)) for field in fields(kind)})


def _value(found: Any) -> Any:
    """What is null, or was not measured yet when the row was written, is NaN."""
    if isinstance(found, list | tuple):
        return tuple(map(_value, found))
    return float("nan") if found is None or found is MISSING else found


def score_cell(
    world: World,
    cell: Cell,
    *,
    strengths: Sequence[float] = STRENGTHS,
    count: int = 20,
    steps: int = 300,
    side_effects: bool = False,
) -> CellResult:
    """What a finder finds in a world, and what its directions do.

    Args:
        world: the cell's space, with clips labelled and to try on.
        cell: finder, labels and seed.
        strengths: rising, through 0.
        count: directions of a finder without labels.
        steps: of contrastive learning.
        side_effects: whether background, flicker and the way back are measured too.

    >>> from latentlab.scoreboard.worlds import OracleWorld
    >>> result = score_cell(OracleWorld(mix=0), Cell("oracle", "effect", labels=1000), strengths=(-2.0, 0.0, 2.0))
    >>> result.scores[0].precision > 0.9
    True
    """
    seed, labels = cell.seed or 0, cell.labels
    codes, factors = world.labelled(labels or UNLABELLED, cell.variant, seed, shuffled=cell.shuffled)
    truth: dict[str, np.ndarray] | None = world.truth(seed)
    options: dict[str, Any] = {"strengths": strengths}
    decoded = 0
    with counted(world.networks) as passes:
        began = time.perf_counter()
        found = find(cell.finder, codes, factors, world, seed=seed, count=count, steps=steps)
        seconds = time.perf_counter() - began
        if isinstance(found, Manipulator):
            testbed, truth, options["move"] = world.testbed(seed), None, partial(_network_move, found)
            chosen: list[Moves] = [Direction(target, np.zeros(codes.shape[1]), 1.0) for target in world.targets]
        elif labels:
            testbed = world.testbed(seed)
            chosen = [towards(found, target) for target in world.targets]
        else:
            halves = np.array_split(np.arange(world.clips), 2)
            first, testbed = (world.testbed(seed, half.tolist()) for half in halves)
            each = list(found)
            decoded += len(first.codes) * (1 + 2 * len(each))
            chosen = [
                replace(each[i], name=target, vector=sign * each[i].vector)
                for target, (i, sign) in match_targets(first, each, world.targets).items()
            ]
        scores = tuple(score_directions(testbed, chosen, truth=truth, **options))
        decoded += len(testbed.codes) * (1 + len(chosen) * (len(strengths) - 1))
        beside: tuple[SideEffects, ...] = ()
        if testbed.mask is not None and side_effects:
            beside = tuple(
                measure_side_effects(testbed, direction, score.strength, move=options.get("move"))
                for score, direction in zip(scores, chosen, strict=True)
            )
            decoded += 2 * len(testbed.codes) * len(chosen)
    return CellResult(cell, tuple(testbed.factor_units.names), scores, beside, seconds, decoded, passes.clips)


def towards(found: Any, target: str) -> Direction:
    """The direction of a target; one that does nothing where it could not be found, as with no star among few clips."""
    try:
        return found[target]
    except KeyError:
        return Direction(target, np.zeros(found.directions_.shape[1]), 1.0)


def _network_move(network: Manipulator, codes: Codes, direction: Moves, strength: float) -> Codes:
    """The network's edit, in the place of one along a direction."""
    return network.edit(codes, direction.name, strength)
