"""Cells of the scoreboard, seed by seed: grouped and averaged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace

import numpy as np

from latentlab.scoreboard.cell import CellResult
from latentlab.scoreboard.direction_score import DirectionScore
from latentlab.scoreboard.worlds import CONTINUOUS
from latentlab.stats import interval

OWN = {field.name for field in fields(DirectionScore)}


def grouped(results: Sequence[CellResult]) -> list[list[CellResult]]:
    """Results that differ in the seed alone."""
    groups: dict[object, list[CellResult]] = {}
    for result in results:
        groups.setdefault(replace(result.cell, seed=None), []).append(result)
    return list(groups.values())


def mean_over_targets(result: CellResult, figure: str) -> float:
    """One figure of a cell, over all its directions, those that failed among them.

    Args:
        result: the cell.
        figure: a name of `DirectionScore` or of `SideEffects`, "range" of usable strengths, or "target", the effect on
            the target itself.
    """
    of_targets = [
        _figure(result, i, figure)
        for i, score in enumerate(result.scores)
        if score.name in CONTINUOUS or result.cell.space.startswith("oracle")
    ]
    known = [value for value in of_targets if not np.isnan(value)]
    if figure == "leakage":
        known += [max([1.0, *known])] * (len(of_targets) - len(known))
    return float(np.mean(known)) if known else float("nan")


def _figure(result: CellResult, i: int, figure: str) -> float:
    score = result.scores[i]
    if figure == "target":
        return float(np.nan_to_num(score.effect[order_of([result])(score.name)]))
    if figure == "range":
        return score.high - score.low
    if figure in OWN:
        return float(getattr(score, figure))
    return getattr(result.beside[i], figure) if result.beside else float("nan")


def rank(group: Sequence[CellResult]) -> tuple[int, float]:
    """Fewest labels first, then the most precise."""
    precision = interval(mean_over_targets(result, "precision") for result in group).mean
    return group[0].cell.labels, -np.nan_to_num(precision)


def mean_effects(scores: Sequence[DirectionScore]) -> np.ndarray:
    """Mean effects over seeds; a factor that can be read in no clip counts as moved by as much as any."""
    effects = np.array([score.effect for score in scores], dtype=float)
    most = np.nanmax(effects, initial=1.0)
    return np.nan_to_num(effects, nan=most).mean(0)


def scores_of(group: Sequence[CellResult], target: str) -> list[DirectionScore]:
    """Of one target's directions, over seeds."""
    return [score for result in group for score in result.scores if score.name == target]


def order_of(group: Sequence[CellResult]) -> Callable[[str], int]:
    """Rows as the columns are ordered, so that a perfect matrix is a diagonal."""
    return lambda target: group[0].factors.index(target.split("@")[0].split("=")[0])
