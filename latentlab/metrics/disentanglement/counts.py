"""Bins, entropies and mutual information of columns."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

PERMUTED = 3  # permutations that a conditional information is held against


def assign_bins(
    values: Float[np.ndarray, "row sample"], bins: int, binning: str, keep: int = 0
) -> Int[np.ndarray, "row sample"]:
    """Each row as integers from 0: bins of equal count ("quantile") or of equal width ("width").

    Bins of equal count are cut between values, never through one; a row of few values (at most `bins`, or at most
    `keep` that occur ten times each on average) is told apart value by value.

    >>> assign_bins(np.array([[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]]), 3, "width").tolist()
    [[0, 0, 1, 1, 2, 2]]
    >>> assign_bins(np.array([[0.0] * 8 + [1.0, 2.0]]), 3, "quantile").tolist()
    [[0, 0, 0, 0, 0, 0, 0, 0, 1, 2]]
    """
    values = np.ascontiguousarray(values)
    if binning == "width":
        edges = [np.linspace(row.min(), row.max(), bins + 1)[1:-1] for row in values]
    else:
        keep = max(bins, min(keep, values.shape[1] // 10))
        edges = [_cut_between(row, bins, keep) for row in np.sort(values, axis=1)]
    return np.stack([bin_by(row, row_edges) for row, row_edges in zip(values, edges, strict=True)])


def bin_by(row: Float[np.ndarray, " sample"], edges: Float[np.ndarray, " edge"]) -> Int[np.ndarray, " sample"]:
    """How many edges each value has reached."""
    found = np.zeros(len(row), np.uint8 if len(edges) < 255 else np.int64)
    for edge in np.unique(edges):  # few edges: comparing with each is faster than a search for each value
        found += row >= edge
    return found.astype(np.int64)


def _cut_between(ordered: Float[np.ndarray, " sample"], bins: int, keep: int) -> Float[np.ndarray, " edge"]:
    """Values at which a bin begins: all but the lowest if there are at most `keep`, else those nearest quantiles."""
    begins = np.flatnonzero(np.diff(ordered)) + 1
    if len(begins) >= keep:
        wanted = -(-np.arange(1, bins) * (len(ordered) - 1) // bins)
        after = np.searchsorted(begins, wanted).clip(1, len(begins) - 1)
        begins = begins[after - (wanted - begins[after - 1] <= begins[after] - wanted)]
    return ordered[begins]


def entropy(counts: np.ndarray) -> float:
    """H in nats of what occurred so many times."""
    counts = counts[counts > 0]
    total = counts.sum()
    return float(np.log(total) - (counts * np.log(counts)).sum() / total)


def mutual_information(a: Int[np.ndarray, " sample"], others: Int[np.ndarray, "other sample"]) -> np.ndarray:
    """I(a; b) in nats for each row b of others, from counts: H(a) + H(b) - H(a, b)."""
    found, height = np.zeros(len(others)), int(a.max()) + 1
    for i, b in enumerate(others):
        width = int(b.max()) + 1
        joint = np.bincount(a * width + b, minlength=height * width).reshape(-1, width)
        found[i] = max(0.0, entropy(joint.sum(1)) + entropy(joint.sum(0)) - entropy(joint.ravel()))
    return found


def conditional_information(a: np.ndarray, b: np.ndarray, given: np.ndarray, seed: int = 0) -> float:
    """I(a; b | given) in nats, less what it comes to by chance: 0 for strangers, H(b | given) where a tells all.

    Chance is the mean over permutations of b among samples of the same `given`; I is stretched from (chance, H) to
    (0, H). NaN where chance comes to more than half of H: too few samples for so many values.

    >>> bit = np.arange(80) // 40
    >>> conditional_information(bit, bit, bit)
    0.0
    """

    def joint(*columns: np.ndarray) -> float:
        code = columns[0]
        for column in columns[1:]:
            code = code * (int(column.max()) + 1) + column
        return entropy(np.unique(code, return_counts=True)[1])

    most = joint(b, given) - joint(given)
    apart = joint(a, given) + most  # the joint entropy of all three if a and b are strangers
    rng, order, chance = np.random.default_rng(seed), np.argsort(given, kind="stable"), 0.0
    for _ in range(PERMUTED):
        strange = np.empty_like(b)
        strange[order] = b[np.lexsort((rng.random(len(b)), given))]
        chance += (apart - joint(a, strange, given)) / PERMUTED
    if chance > most / 2:
        return float("nan")
    return most * max(0.0, (apart - joint(a, b, given) - chance) / (most - chance)) if most > 0 else 0.0


def neighbour_information(
    values: Float[np.ndarray, " sample"], labels: Int[np.ndarray, "factor sample"], k: int, seed: int = 0
) -> Float[np.ndarray, " factor"]:
    """I(values; labels) in nats for each row of labels by nearest neighbours (Ross 2014, eq. 2), no bins.

    psi(N) - <psi(N_label)> + <psi(k)> - <psi(m)>, with m the samples of any label no farther than the k-th neighbour of
    the same label. On a line these neighbours are a window of the sorted values. A tiny noise tells repeated values
    apart, as scikit-learn's estimator does, and labels that occur once are left out.
    """
    from scipy.special import digamma

    if np.ptp(values) == 0:
        return np.zeros(len(labels))
    values = values / values.std()
    noise = np.random.default_rng(seed).standard_normal(len(values))
    values = values + 1e-10 * max(1.0, float(np.abs(values).mean())) * noise
    order = np.argsort(values)
    values, found = values[order], np.zeros(len(labels))
    for i, label in enumerate(labels[:, order]):
        counts = np.bincount(label)
        kept = counts[label] > 1
        if not kept.any():
            continue
        near, own = values[kept], label[kept]
        radius, used = np.empty(len(near)), np.empty(len(near))
        for value in np.flatnonzero(counts > 1):
            at = own == value
            radius[at], used[at] = _kth_distance(near[at], min(k, int(counts[value]) - 1)), min(k, counts[value] - 1)
        radius = radius - 4 * np.finfo(float).eps * np.abs(near).max()  # the k-th itself must not count by rounding
        within = np.searchsorted(near, near + radius, "right") - np.searchsorted(near, near - radius, "left")
        terms = digamma(used) - digamma(counts[own]) - digamma(within)
        found[i] = max(0.0, float(digamma(len(near)) + terms.mean()))
    return found


def _kth_distance(ordered: np.ndarray, k: int) -> np.ndarray:
    """Distance of each of some sorted numbers to its k-th nearest neighbour: of all windows of k + 1 that hold it, the
    one whose farther end is nearest."""
    best = np.full(len(ordered), np.inf)
    for left in range(k + 1):
        n = len(ordered) - k
        middle = ordered[left : left + n]
        reach = np.maximum(middle - ordered[:n], ordered[k:] - middle)
        best[left : left + n] = np.minimum(best[left : left + n], reach)
    return best
