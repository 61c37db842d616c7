"""Sets of directions beside each other: which is which, and whether another half of the data finds the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.base import clone

from latentlab.checks import Seed, as_numbers, clear_errors
from latentlab.directions.design import read_groups
from latentlab.directions.direction_set import Directions, DirectionSet, as_set
from latentlab.directions.evidence import split_groups
from latentlab.directions.finder import Finder, Supervised
from latentlab.factors import FactorTable
from latentlab.protocols import Indexed


@dataclass(frozen=True)
class Match:
    """Which direction of one set goes with which of another.

    Attributes:
        pairs: their names.
        values: how well they go together, signed: cosines, or what `similarity` says.
    """

    pairs: tuple[tuple[str, str], ...]
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean absolute value."""
        return float(np.abs(self.values).mean())


@clear_errors
def match(ours: Directions, theirs: Directions, similarity: np.ndarray | None = None) -> Match:
    """Pairs directions of two sets one to one, so that the absolute similarities sum to the most (Kuhn 1955).

    Args:
        ours, theirs: sets of one space, or finders fitted in it; the larger one keeps some to itself.
        similarity: `(ours, theirs)`, such as an effect matrix; None takes cosines.

    Returns:
        The pairs, in the order of `ours`.

    Raises:
        ValueError: sets of different spaces, or a matrix of another shape.

    >>> ours = DirectionSet(("x", "y"), np.eye(2), np.eye(2))
    >>> theirs = DirectionSet(("p", "q"), np.eye(2)[[1, 0]], np.eye(2))
    >>> match(ours, theirs).pairs
    (('x', 'q'), ('y', 'p'))
    """
    ours, theirs = as_set(ours), as_set(theirs)
    if similarity is None:
        if ours.vectors.shape[1] != theirs.vectors.shape[1]:
            raise ValueError(
                f"directions of {ours.vectors.shape[1]} and {theirs.vectors.shape[1]} dims are of different spaces"
            )
        similarity = ours.vectors @ theirs.vectors.T
    similarity = as_numbers("similarity", similarity).astype(np.float64)
    if similarity.shape != (len(ours), len(theirs)) or not np.isfinite(similarity).all():
        raise ValueError(f"similarity must be finite and {(len(ours), len(theirs))}, got {similarity.shape}")
    rows, columns = linear_sum_assignment(-np.abs(similarity))
    pairs = tuple((ours.names[i], theirs.names[j]) for i, j in zip(rows, columns, strict=True))
    return Match(pairs, tuple(float(v) for v in similarity[rows, columns]))


@clear_errors
def stability(
    finder: Finder, codes: Any, y: Any = None, *, groups: Any = None, repeats: int = 5, seed: Seed = 0
) -> dict[str, float]:
    """Whether halves of the data find the same directions: mean absolute cosine between the two, for each.

    The halves share no sample, so it is what a user with half the data would see of another's. Directions of one name
    are compared where there are labels, matched ones otherwise.

    Args:
        finder: any, fitted or not; it is left alone.
        codes: `(sample, dim)`.
        y: factors, for finders that take them: a table, a DataFrame, an array.
        groups: which samples belong together, such as frames of a clip; no half tears them apart.
        repeats: random splits.
        seed: of the splits.

    Returns:
        A number from 0 to 1 for each direction of the first half; unmatched ones and those that a half lacks count 0.

    >>> from latentlab.directions import PCA
    >>> codes = np.random.default_rng(0).standard_normal((400, 3)) * [1, 4, 9]
    >>> {name: round(value, 1) for name, value in stability(PCA(count=2), codes).items()}
    {'pca0': 1.0, 'pca1': 1.0}
    """
    if repeats < 1:
        raise ValueError(f"repeats must be at least 1, got {repeats}")
    rng = np.random.default_rng(seed)
    codes, y = _indexed(codes), None if y is None else _indexed(y)
    if np.ndim(codes) != 2 or (y is not None and np.shape(y)[:1] != np.shape(codes)[:1]):
        rows = "" if y is None else f" and factors {np.shape(y)}"
        raise ValueError(f"codes must be (sample, dim), factors one row for each; got {np.shape(codes)}{rows}")
    group = read_groups(groups, len(codes))
    sums: dict[str, list[float]] = {}
    for _ in range(repeats):
        halves = split_groups(group, 2, rng)
        one, two = (_found(finder, codes, y, None if groups is None else group, half) for half in halves)
        cosines = one.vectors @ two.vectors.T
        if y is None:
            matched = match(one, two)
            found = {pair[0]: abs(value) for pair, value in zip(matched.pairs, matched.values, strict=True)}
        else:
            found = {
                name: abs(float(cosines[i, two.names.index(name)])) for i, name in enumerate(one.names) if name in two
            }
        for name in one.names:
            sums.setdefault(name, []).append(found.get(name, 0.0))
    return {name: float(np.sum(values) / repeats) for name, values in sums.items()}


def _found(finder: Finder, codes: Any, y: Any, group: np.ndarray | None, rows: np.ndarray) -> DirectionSet:
    """What a fresh finder finds in some of the samples."""
    fresh: Any = clone(finder)
    told = {} if group is None or not isinstance(finder, Supervised) else {"groups": group[rows]}
    return fresh.fit(_rows(codes, rows), None if y is None else _rows(y, rows), **told).found_


def _indexed(x: Any) -> Any:
    return x if isinstance(x, Indexed | FactorTable) else as_numbers("codes and factors", x)


def _rows(x: Any, rows: np.ndarray) -> Any:
    return x.iloc[rows] if isinstance(x, Indexed) else x[rows]
