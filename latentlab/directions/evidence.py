"""Whether a direction is real: t, R2 and p of its factor in codes that did not help to find it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from jaxtyping import Float

from latentlab.directions.design import Design, shrinkage
from latentlab.directions.direction import unit

Find = Callable[[np.ndarray, Design], np.ndarray]


def split(count: int, folds: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Samples in `folds` random parts of equal size."""
    order = rng.permutation(count)
    return [np.sort(order[i::folds]) for i in range(min(folds, count))]


def split_groups(group: np.ndarray, folds: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Samples in `folds` random parts of about equal size that tear no group apart; fewer where groups are fewer.

    Args:
        group: of each sample, numbered from 0.

    >>> sorted(part.tolist() for part in split_groups(np.array([0, 1, 0, 1]), 5, np.random.default_rng(0)))
    [[0, 2], [1, 3]]
    """
    size = np.bincount(group)
    order = rng.permutation(len(size))
    order = order[np.argsort(-size[order], kind="stable")]  # large ones first, each into the smallest part
    part_of, filled = np.zeros(len(size), int), np.zeros(min(folds, len(size)), int)
    for one in order:
        part_of[one] = filled.argmin()
        filled[part_of[one]] += size[one]
    return [np.flatnonzero(part_of[group] == i) for i in range(len(filled))]


def refitted(find: Find, codes: np.ndarray, design: Design, parts: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    """The effects without each part in turn, `(direction, dim)`."""
    for part in parts:
        rest = np.setdiff1d(np.arange(len(codes)), part)
        yield find(codes[rest], design.rows(rest))


def projections(
    codes: np.ndarray, parts: Sequence[np.ndarray], effects: Iterator[np.ndarray]
) -> Float[np.ndarray, "sample direction"]:
    """Each code along directions that were found without it, centred part by part."""
    found = None
    for part, vectors in zip(parts, effects, strict=True):
        along = (codes[part] @ unit(vectors)[0].T.astype(codes.dtype)).astype(np.float64)
        found = np.zeros((len(codes), along.shape[1])) if found is None else found
        found[part] = along - along.mean(0)
    if found is None:
        raise ValueError("there are no codes")
    return found


def predicted(
    along: Float[np.ndarray, "sample direction"], design: Design, parts: Sequence[np.ndarray]
) -> Float[np.ndarray, " direction"]:
    """Cross-validated R2: 1 - SSE / SST of each column, read off the projections by the line of the other parts.

    At most 1; below 0 the direction tells less of a sample's factor than the mean of the others does.
    """
    r2 = np.zeros(len(design.names))
    for k, column in enumerate(design.columns.T):
        known = np.isfinite(column)
        error = total = 0.0
        for part in parts:
            rest, held = known.copy(), part[known[part]]
            rest[part] = False
            if not rest.any():
                continue
            mean, u = column[rest].mean(), along[rest, k]
            slope = u @ (column[rest] - mean) / max(u @ u, np.finfo(float).tiny)
            error += ((column[held] - mean - slope * along[held, k]) ** 2).sum()
            total += ((column[held] - mean) ** 2).sum()
        r2[k] = 1 - error / total if total > 0 else 0.0
    return r2


def t_and_p(
    along: Float[np.ndarray, "sample direction"], design: Design, permutations: int, rng: np.random.Generator
) -> tuple[Float[np.ndarray, " direction"], Float[np.ndarray, " direction"]]:
    """t of each column in its own projections, the other factors held, and how often shuffled labels agree as well.

    Column and projections are freed of the other factors, which is their joint regression (Frisch & Waugh 1933), and
    the column is shuffled (Kennedy 1995). The labels of two samples in different parts meet twice in the actual sum,
    as either helps to find the direction that the other is judged along, and once in a shuffled one: its variance is
    twice theirs under the null. So shuffled sums count sqrt(2)-fold.
    """
    x = design.filled
    samples = len(x)
    t, p = np.zeros(len(design.names)), np.full(len(design.names), 1.0 if permutations else np.nan)
    orders = np.stack([rng.permutation(samples) for _ in range(permutations)]) if permutations else None
    for factor in np.unique(design.factor):
        own = np.flatnonzero(design.factor == factor)
        rest, used = freed_of(x[:, design.factor != factor])
        label, seen = rest(x[:, own]), rest(along[:, own])
        for k, f, u in zip(own, label.T, seen.T, strict=True):
            if f @ f < 1e-18 * (x[:, k] @ x[:, k]) or not u.any():
                continue  # the other factors tell all of it, or nothing was found
            slope = f @ u / (f @ f)
            error = ((u - slope * f) ** 2).sum() / max(samples - 2 - used, 1.0)
            t[k] = slope / np.sqrt(max(error / (f @ f), np.finfo(float).tiny))
            if orders is not None:
                shuffled = np.sqrt(2) * (f[orders] @ u)
                p[k] = (1 + (shuffled >= f @ u * (1 - 1e-12)).sum()) / (1 + permutations)
    return t, p


def freed_of(others: Float[np.ndarray, "sample column"]) -> tuple[Callable[[np.ndarray], np.ndarray], float]:
    """What takes the part that some columns tell out of others, and the degrees of freedom that this uses.

    Where columns are many for so few samples they are damped by `shrinkage`, or nothing would be left.
    """
    samples, columns = others.shape
    if not columns:
        return lambda x: x - x.mean(0), 0.0
    gram = others.T @ others / samples
    inverse = np.linalg.inv(gram + shrinkage(samples, columns) * np.eye(columns))

    def free(x: np.ndarray) -> np.ndarray:
        return x - x.mean(0) - others @ (inverse @ (others.T @ (x - x.mean(0)) / samples))

    return free, float(np.trace(inverse @ gram))
