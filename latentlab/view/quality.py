"""How far a map of codes can be believed: what is kept of the neighbours, and what another seed would have drawn."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from latentlab.checks import Seed, as_numbers, check, clear_errors

Refit = Callable[[np.ndarray, int], np.ndarray]  # (codes, seed) -> points
KEPT = 0.9  # of the rows judged, in a refit


@dataclass(frozen=True)
class Quality:
    """How much of the space is left on the map; all shares are 1 at best.

    Attributes:
        trustworthiness: 1 unless neighbours on the map are far in the space (Venna and Kaski 2001).
        continuity: 1 unless neighbours in the space are far on the map (the same, the other way round).
        neighbour_overlap: share of the nearest neighbours that space and map have in common.
        chance: the overlap of a random map.
        stability: Procrustes correlation of maps refitted with other seeds, each without another tenth of the rows.
        stable_neighbours: share of the nearest neighbours that two such maps have in common.
        neighbours: how many are nearest.
        judged: rows, drawn at random, among which all this was counted.
    """

    trustworthiness: float
    continuity: float
    neighbour_overlap: float
    chance: float
    stability: float | None
    stable_neighbours: float | None
    neighbours: int
    judged: int

    @property
    def refitted(self) -> int:
        """Rows of each map that the stability compares."""
        return math.ceil(KEPT * self.judged)

    def __str__(self) -> str:
        shares = {"trustworthiness": self.trustworthiness, "continuity": self.continuity}
        shares[f"overlap of {self.neighbours} neighbours"] = self.neighbour_overlap
        if self.stability is not None:
            shares["stability"] = self.stability
        said = ", ".join(f"{name} {value:.2f}" for name, value in shares.items())
        return f"{said} (chance overlap {self.chance:.2f}, {self.judged} rows judged)"


@runtime_checkable
class HasQuality(Protocol):
    """Points `(sample, 2)` that say how far they can be believed, as a `Projection` does."""

    @property
    def quality(self) -> Quality:
        """How far."""
        ...

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        """The points."""
        ...


@clear_errors
def judge_map(
    codes: ArrayLike,
    points: ArrayLike,
    refit: Refit | None = None,
    *,
    seed: Seed = 0,
    neighbours: int = 15,
    judge: int = 1000,
    repeats: int = 3,
) -> Quality:
    """Judges any map of codes, made by whatever tool.

    Args:
        codes: `(sample, dim)`, at least 5 rows.
        points: `(sample, 2)`, their map.
        refit: makes a map of other codes with a seed, for the stability; without it there is none.
        seed: of the rows drawn and of the refits.
        neighbours: that count as nearest; less than half of the rows judged, or it is lowered to that.
        judge: rows drawn for these figures, whose cost grows with their square.
        repeats: refits, 2 or more; 0 leaves the stability out.

    Returns:
        The figures.

    Raises:
        ValueError: NaN, too few rows, not one point a code, or numbers out of range.

    >>> codes = np.random.default_rng(0).normal(size=(50, 2))
    >>> judge_map(codes, codes).neighbour_overlap
    1.0
    """
    check_judging(judge, neighbours, repeats)
    rows, points = checked(codes), checked(points, what="points of the map")
    if len(rows) != len(points):
        raise ValueError(f"{len(rows)} codes for {len(points)} points of the map")
    if len(rows) > judge:
        drawn = np.sort(np.random.default_rng([seed, len(rows)]).permutation(len(rows))[:judge])
        rows, points = rows[drawn], points[drawn]
    n = len(rows)
    k = min(neighbours, (n - 1) // 2)
    space, flat = _ranks(rows), _ranks(points)
    steady = (None, None)
    if refit is not None and repeats:
        steady = _stability(refit, rows, k, repeats, seed)
    return Quality(_trust(space, flat, k), _trust(flat, space, k), _overlap(space, flat, k), k / (n - 1), *steady, k, n)


def _stability(refit: Refit, codes: np.ndarray, k: int, repeats: int, seed: int) -> tuple[float, float]:
    """Mean over pairs of refits, of the Procrustes correlation and of the neighbours in common."""
    n, maps = len(codes), []
    for i in range(repeats):
        kept = np.sort(np.random.default_rng([seed, n, 2, i]).permutation(n)[: math.ceil(KEPT * n)])
        maps.append((kept, refit(codes[kept], seed + 1 + i)))
    layout, near = [], []
    for i, (kept, points) in enumerate(maps):
        for other, others in maps[:i]:
            a, b = points[np.isin(kept, other)], others[np.isin(other, kept)]
            a, b = a - a.mean(0), b - b.mean(0)
            layout.append(np.linalg.svd(a.T @ b, compute_uv=False).sum() / (np.linalg.norm(a) * np.linalg.norm(b)))
            near.append(_overlap(_ranks(a), _ranks(b), min(k, (len(a) - 1) // 2)))
    return float(np.mean(layout)), float(np.mean(near))


def _ranks(points: np.ndarray) -> np.ndarray:
    """Of each row's distances: 0 is the row itself, 1 its nearest neighbour."""
    from sklearn.metrics import euclidean_distances

    distance = euclidean_distances(points - points.mean(0, dtype=np.float64))  # squares of an offset would drown them
    np.fill_diagonal(distance, -1)
    order = np.argsort(distance, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(len(points))[None], axis=1)
    return ranks


def _trust(space: np.ndarray, flat: np.ndarray, k: int) -> float:
    """1 - 2 / (n k (2n - 3k - 1)) sum of (rank in space - k) over intruders on the map (Venna and Kaski 2001)."""
    n = len(space)
    intruders = (flat >= 1) & (flat <= k) & (space > k)
    return float(1 - 2 / (n * k * (2 * n - 3 * k - 1)) * (space[intruders] - k).sum())


def _overlap(a: np.ndarray, b: np.ndarray, k: int) -> float:
    near = (a >= 1) & (a <= k) & (b >= 1) & (b <= k)
    return float(near.sum() / (len(a) * k))


def check_judging(judge: int, neighbours: int, repeats: int) -> None:
    """Raises a ValueError for numbers that no map can be judged by; before a long fit, not after it."""
    check("`judge`, `neighbours` and `repeats`", (judge, neighbours, repeats), tuple[int, int, int])
    if judge < 5 or neighbours < 1 or repeats < 0 or repeats == 1:
        raise ValueError(
            "`judge` must be 5 or more, `neighbours` 1 or more, `repeats` 0 or at least 2, which can be compared; "
            f"got {judge}, {neighbours} and {repeats}"
        )


def checked(codes: Any, *, least: int = 5, dim: int | None = None, what: str = "codes") -> np.ndarray:
    """Codes as an array of float32 or float64, checked; more than one have to differ."""
    array = as_numbers(what, codes)
    array = array if array.dtype == np.float32 else array.astype(np.float64)  # a large set is not copied
    if array.ndim != 2 or (dim is not None and array.shape[1] != dim):
        expected = "(sample, dim)" if dim is None else f"(sample, {dim})"
        raise ValueError(f"{what} must be {expected}, got shape {array.shape}; `.flatten(1)` makes codes of latents")
    if len(array) < least:
        raise ValueError(f"at least {least} {what} are needed, got {len(array)}")
    if not np.isfinite(array).all():
        bad = np.flatnonzero(~np.isfinite(array).all(1))
        raise ValueError(f"{len(bad)} {what} are not finite, the first is row {bad[0]}; leave them out")
    if least > 1 and (array == array[0]).all():
        raise ValueError(f"all {what} are the same: nothing can be told apart")
    return array
