"""Rows that belong together: the frames of a clip are drawn, left out and shuffled as one."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Int

from latentlab.factors import as_array

LEAST = 10  # groups: fewer have no spread to speak of
Groups = Int[np.ndarray, " sample"] | None  # the group of each row, from 0; None where each row stands alone


def group_rows(groups: Any, count: int) -> Groups:
    """Labels of rows as numbers from 0.

    Raises:
        ValueError: not one for each row, or too few groups.

    >>> group_rows(["b"] * 3 + [*"acdefghijk"], 13)[:5]
    array([1, 1, 1, 0, 2])
    """
    if groups is None:
        return None
    labels = as_array(groups)
    if labels.shape != (count,):
        raise ValueError(f"groups must name the clip of each of the {count} rows, got shape {labels.shape}")
    found, numbers = np.unique(labels, return_inverse=True)
    if len(found) < LEAST:
        raise ValueError(
            f"{len(found)} groups are too few for a null level or an interval, {LEAST} are the least; bring more clips"
        )
    return numbers.ravel() if len(found) < count else None


def draw_rows(share: float, count: int, groups: Groups, rng: np.random.Generator) -> Int[np.ndarray, " drawn"]:
    """A share of the rows at random, whole groups of them, in order."""
    if groups is None:
        return np.sort(rng.permutation(count)[: round(share * count)])
    total = int(groups.max()) + 1
    return np.flatnonzero(np.isin(groups, rng.permutation(total)[: max(1, round(share * total))]))


def shuffle(
    count: int, groups: Groups, rng: np.random.Generator
) -> tuple[Int[np.ndarray, " sample"], Int[np.ndarray, " sample"]]:
    """Two orders of the rows that bring each beside a stranger: groups in their order, and groups in another.

    Groups of one size meet as wholes; of several sizes, their rows meet runs of rows that belong together.
    """
    if groups is None:
        return np.arange(count), rng.permutation(count)
    place = rng.permutation(int(groups.max()) + 1)
    return np.argsort(groups, kind="stable"), np.argsort(place[groups], kind="stable")


def folds(count: int, number: int, groups: Groups) -> Int[np.ndarray, " sample"]:
    """The fold of each row, groups undivided."""
    if groups is None:
        return np.random.default_rng(count).permutation(count) % number
    return (np.random.default_rng(count).permutation(int(groups.max()) + 1) % number)[groups]
