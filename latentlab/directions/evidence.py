"""Whether a direction is real: t, R2 and p of its factor in codes that did not help to find it.

Samples that belong together (frames of a clip) are one observation: parts tear no group apart, and what is tossed under
the null are groups.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from jaxtyping import Float

from latentlab.directions.design import Design, shrinkage
from latentlab.directions.direction_set import unit

Find = Callable[[np.ndarray, Design], np.ndarray]


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


def dependence(codes: np.ndarray, design: Design) -> str:
    """What shows that samples are not independent; "" where nothing does.

    Codes that repeat; or rows that are like the ones before them beyond what their labels explain: the ratio of von
    Neumann (1941), which is 1 for samples in no order, on at most 64 of the dims.
    """
    dims = np.linspace(0, codes.shape[1] - 1, min(codes.shape[1], 64)).astype(int)
    few = codes[:, np.unique(dims)].astype(np.float64)
    repeated = len(few) - len(np.unique(few, axis=0))
    if repeated > 0.1 * len(few):  # equal in these dims; whole codes are compared only now
        repeated = len(codes) - len(np.unique(codes, axis=0))
    if repeated > 0.1 * len(codes):
        return f"{repeated} of {len(codes)} codes repeat others"
    x = np.hstack([np.ones((len(few), 1)), design.filled])
    if len(few) < 2 * x.shape[1] + 20:
        return ""  # too few to tell
    left = few - x @ np.linalg.lstsq(x, few, rcond=None)[0]
    total = (left**2).sum()
    if total < 1e-9 * (few - few.mean(0)).var() * few.size:
        return ""  # labels tell all
    ratio = (np.diff(left, axis=0) ** 2).sum() / (2 * total)
    if ratio < 1 - max(0.3, 4 / np.sqrt(len(few))):
        return f"each code is like the one before it (they differ by {ratio:.2f} of what codes in any order would)"
    return ""


def refitted(
    find: Find, codes: np.ndarray, design: Design, parts: Sequence[np.ndarray], chosen: Iterable[Sequence[int]]
) -> Iterator[np.ndarray]:
    """The effects in each choice of parts, `(direction, dim)`."""
    for which in chosen:
        rows = np.sort(np.concatenate([parts[i] for i in which]))
        yield find(codes[rows], design.rows(rows))


def others(count: int) -> list[list[int]]:
    """All parts but each in turn."""
    return [[j for j in range(count) if j != i] for i in range(count)]


def earlier(count: int) -> list[list[int]]:
    """The parts before each, from the second on."""
    return [list(range(i)) for i in range(1, count)]


def projections(
    codes: np.ndarray, parts: Sequence[np.ndarray], effects: Iterator[np.ndarray]
) -> Float[np.ndarray, "sample direction"]:
    """Each code of some parts along directions that were found without it, centred part by part; others are 0."""
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

    Column f and projections u are freed of the other factors, which is their joint regression (Frisch & Waugh 1933).
    Their sum of products is compared with what it would be if labels did not belong to these codes: mean labels of
    groups are dealt anew to groups (Kennedy 1995), and what labels do within a group keeps or changes its sign
    (Hemerik et al. 2020). That has the variance

        v = sum_g F_g^2 sum_g U_g^2 / (G - 1) + sum_g W_g^2,

    with F the means of f in the groups, U the sums of u, W the sums of (f - F) u. t is the sum over its root, in
    Student's form, which for samples without groups is the t of a linear regression.

    Args:
        along: projections on directions that were found in `earlier` parts alone. If every part helped to judge every
            other, the labels of two samples would meet twice, and t had the variance 2 under the null.
        design: of the same samples.
        permutations: of the labels; 0 leaves p NaN.
    """
    x, group = design.filled, np.unique(design.group, return_inverse=True)[1]
    size = np.bincount(group)
    count, columns = len(size), len(design.names)
    t, p = np.full(columns, np.nan), np.full(columns, np.nan)
    if count < 3:
        return t, p
    t[:], p[:] = 0.0, 1.0 if permutations else np.nan
    orders = np.stack([rng.permutation(count) for _ in range(permutations)]) if permutations else None
    signs = rng.choice([-1.0, 1.0], (permutations, count)) if count < len(x) else None
    for factor in np.unique(design.factor):
        own = np.flatnonzero(design.factor == factor)
        rest, used = freed_of(x[:, design.factor != factor])
        label, seen = rest(x[:, own]), rest(along[:, own])
        for k, f, u in zip(own, label.T, seen.T, strict=True):
            if f @ f < 1e-18 * (x[:, k] @ x[:, k]) or not u.any():
                continue  # the other factors tell all of it, or nothing was found
            mean, sums = np.bincount(group, f) / size, np.bincount(group, u)
            inside = np.bincount(group, (f - mean[group]) * u)
            total = f @ u
            between = mean.var() * count * (sums @ sums) / (count - 1)
            z2 = total**2 / max(between + inside @ inside, np.finfo(float).tiny)
            most = (count - 1) * (between > 0) + count * inside.any()  # that z2 can be
            t2 = z2 * max(most - 1 - used, 1.0) / max(most - z2, np.finfo(float).eps)
            t[k] = np.sign(total) * np.sqrt(t2)
            if orders is not None:
                shuffled = mean[orders] @ sums + (0.0 if signs is None else signs @ inside)
                p[k] = (1 + (shuffled >= total - 1e-12 * abs(total)).sum()) / (1 + permutations)
    return t, p


def freed_of(others: Float[np.ndarray, "sample column"]) -> tuple[Callable[[np.ndarray], np.ndarray], float]:
    """What takes the part that some columns tell out of others, and the degrees of freedom that this uses.

    Where columns are many for so few samples they are damped by `shrinkage`, or nothing would be left.
    """
    samples, columns = others.shape
    others = others - others.mean(0)
    if not columns:
        return lambda x: x - x.mean(0), 0.0
    gram = others.T @ others / samples
    inverse = np.linalg.inv(gram + shrinkage(samples, columns) * np.eye(columns))

    def free(x: np.ndarray) -> np.ndarray:
        return x - x.mean(0) - others @ (inverse @ (others.T @ (x - x.mean(0)) / samples))

    return free, float(np.trace(inverse @ gram))
