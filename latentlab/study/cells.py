"""Cells of the scoreboard, seed by seed: what `benchmarks/directions.py` measures, grouped and averaged.

A cell is a finder in a space with one budget of labels, one variant of the data and one seed: a dictionary with those,
the names of the `factors`, and `scores`, each a `latentlab.study.scoreboard` score of one direction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from latentlab.study.scoreboard import interval
from latentlab.study.worlds import CONTINUOUS


def matches(result: dict, **wanted) -> bool:
    """Whether a cell is one of these."""
    return all(result[name] == value for name, value in wanted.items())


def grouped(results: Sequence[dict]) -> list[list[dict]]:
    """Results that differ in the seed alone."""
    groups: dict[tuple, list[dict]] = {}
    for r in results:
        groups.setdefault((r["space"], r["labels"], r["finder"], r["variant"], r["shuffled"]), []).append(r)
    return list(groups.values())


def mean_over_targets(result: dict, figure: str) -> float:
    """One figure of a cell, over all its directions, those that failed among them."""
    values = []
    for row in result["scores"]:
        if row["name"] in CONTINUOUS or result["space"].startswith("oracle"):
            if figure == "target":
                value = row["effect"][order_of([result])(row["name"])] or 0.0
            else:
                value = row["high"] - row["low"] if figure == "range" else row.get(figure)
            values.append(value)
    known = [float(v) for v in values if v is not None]
    if figure == "leakage":
        known += [max([1.0, *known])] * (len(values) - len(known))
    return float(np.mean(known)) if known else float("nan")


def rank(group: Sequence[dict]) -> tuple[int, float]:
    """Fewest labels first, then the most precise."""
    precision = interval([mean_over_targets(r, "precision") for r in group])[0]
    return group[0]["labels"], -np.nan_to_num(precision)


def mean_effects(rows: Sequence[dict]) -> np.ndarray:
    """Mean effects over seeds; a factor that can be read in no clip counts as moved by as much as any."""
    effects = np.array([row["effect"] for row in rows], dtype=float)  # None becomes NaN
    most = np.nanmax(effects, initial=1.0)
    return np.nan_to_num(effects, nan=most).mean(0)


def order_of(group: Sequence[dict]) -> Callable[[str], int]:
    """Rows as the columns are ordered, so that a perfect matrix is a diagonal."""
    return lambda target: group[0]["factors"].index(target.split("@")[0].split("=")[0])
