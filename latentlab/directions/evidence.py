"""Whether a direction is real: t and R2 on codes that did not help to find it, and a permutation test of its factor."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Float
from scipy import linalg

from latentlab.directions.design import Design
from latentlab.directions.direction import unit

Find = Callable[[np.ndarray, Design], np.ndarray]
SKETCH = 64  # dims in which many wide codes are compared; the test holds in any number, only its power depends on it
WHOLE = 1024  # samples up to which wide codes are compared in all their dims


def split(count: int, folds: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Samples in `folds` random parts of equal size."""
    order = rng.permutation(count)
    return [np.sort(order[i::folds]) for i in range(min(folds, count))]


def refitted(find: Find, codes: np.ndarray, design: Design, parts: list[np.ndarray]) -> Iterator[np.ndarray]:
    """The effects without each part in turn, `(direction, dim)`."""
    for part in parts:
        rest = np.setdiff1d(np.arange(len(codes)), part)
        yield find(codes[rest], design.rows(rest))


def projections(
    codes: np.ndarray, parts: list[np.ndarray], effects: Iterator[np.ndarray]
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


def t_and_r2(along: np.ndarray, design: Design) -> tuple[np.ndarray, np.ndarray]:
    """t value of each column in the regression of its own projections on all columns, and their R2 with it alone.

    R2 is the squared correlation of the column with projections on directions found without these samples, 0 where
    that correlation has the wrong sign; t holds the other factors.
    """
    t, r2 = np.zeros(len(design.names)), np.zeros(len(design.names))
    x = design.filled
    gram = x.T @ x / len(x)
    inverse = linalg.inv(gram + 1e-9 * np.eye(len(gram)))
    inverse = inverse @ gram @ inverse  # dummies sum to zero: the plain inverse would be huge there
    weights = inverse @ (x.T @ along) / len(x)
    residual = ((along - x @ weights) ** 2).sum(0) / max(len(x) - x.shape[1] - 1, 1)
    error = np.sqrt(np.maximum(np.diag(inverse) * residual / len(x), np.finfo(float).tiny))
    t = np.where(along.any(0), np.diag(weights) / error, 0.0)
    for k, column in enumerate(design.columns.T):
        known = np.isfinite(column)
        u, f = along[known, k] - along[known, k].mean(), column[known] - column[known].mean()
        size = np.sqrt((u @ u) * (f @ f))
        r2[k] = max(u @ f / size, 0.0) ** 2 if size > 0 else 0.0
    return t, r2


def permutation_p(
    codes: np.ndarray, design: Design, permutations: int, rng: np.random.Generator
) -> Float[np.ndarray, " column"]:
    """How often labels of other samples leave as much trace in the codes as a factor's own, one p for each column.

    The trace is the sum of squares over all dims, each in its own standard deviation, that the factor explains after
    the others (distance-based redundancy analysis, McArdle & Anderson 2001); factor and codes are freed of the other
    factors before shuffling (Kennedy 1995). Many codes wider than `SKETCH` are compared in a random projection.
    """
    spread = codes.std(0)
    weight = np.divide(1, spread, out=np.zeros_like(spread), where=spread > 0)
    if codes.shape[1] > SKETCH and len(codes) <= WHOLE:
        scaled = (codes - codes.mean(0)) * weight
        values, axes = linalg.eigh((scaled @ scaled.T).astype(np.float64))  # as many coordinates as samples
        sketch = axes * np.sqrt(np.maximum(values, 0))
    elif codes.shape[1] > SKETCH:
        mix = rng.standard_normal((codes.shape[1], SKETCH)) * weight[:, None]
        sketch = (codes @ mix.astype(codes.dtype)).astype(np.float64)
    else:
        sketch = codes * weight.astype(np.float64)
    sketch = sketch - sketch.mean(0)
    orders = np.stack([rng.permutation(len(codes)) for _ in range(permutations)])
    p = np.ones(len(design.names))
    x = design.filled
    for factor in np.unique(design.factor):
        own = design.factor == factor
        rest = linalg.orth(x[:, ~own]) if (~own).any() else np.zeros((len(x), 0))
        free, y = (part - rest @ (rest.T @ part) for part in (x[:, own], sketch))
        if np.abs(free).max() < 1e-9 * np.abs(x[:, own]).max():
            continue  # the other factors tell all of it
        basis = linalg.orth(free)
        shuffled = basis[orders].transpose(1, 0, 2).reshape(len(x), -1)  # sample (permutation direction)
        trace = ((y.T @ shuffled) ** 2).reshape(-1, permutations, basis.shape[1]).sum((0, 2))
        actual = ((y.T @ basis) ** 2).sum()
        p[own] = (1 + (trace >= actual * (1 - 1e-12)).sum()) / (1 + permutations)
    return p
