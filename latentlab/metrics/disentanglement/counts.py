"""Bins, entropies and mutual information of columns."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int


def assign_bins(values: Float[np.ndarray, "row sample"], bins: int, binning: str) -> Int[np.ndarray, "row sample"]:
    """Each row as integers from 0: bins of equal count ("quantile", ties together) or of equal width ("width").

    >>> assign_bins(np.array([[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]]), 3, "width").tolist()
    [[0, 0, 1, 1, 2, 2]]
    """
    values = np.ascontiguousarray(values)
    if binning == "width":
        edges = [np.histogram_bin_edges(row, bins)[1:-1] for row in values]
    else:
        # Linear interpolation between order statistics, as np.quantile; one sort of all rows is many times faster.
        ordered = np.sort(values, axis=1)
        at = np.linspace(0, 1, bins + 1)[1:-1] * (values.shape[1] - 1)
        low = at.astype(int)
        edges = ordered[:, low] + (ordered[:, np.minimum(low + 1, values.shape[1] - 1)] - ordered[:, low]) * (at - low)
    found = np.zeros(values.shape, np.int64)
    for row, row_edges, of_row in zip(values, edges, found, strict=True):
        small = np.zeros(len(row), np.uint8 if bins < 256 else np.int64)
        for edge in np.unique(row_edges):  # few edges: comparing with each is faster than a search for each value
            small += row >= edge
        of_row[:] = small
    return found


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


def conditional_information(a: np.ndarray, b: np.ndarray, given: np.ndarray) -> float:
    """I(a; b | given) in nats: H(a, c) + H(b, c) - H(a, b, c) - H(c), each with Miller's correction for few samples.

    With `a` the same as `b`, this is H(b | given).
    """

    def corrected(*columns: np.ndarray) -> float:
        code = columns[0]
        for column in columns[1:]:
            code = code * (int(column.max()) + 1) + column
        counts = np.unique(code, return_counts=True)[1]
        return entropy(counts) + (len(counts) - 1) / (2 * len(code))

    return max(0.0, corrected(a, given) + corrected(b, given) - corrected(a, b, given) - corrected(given))


def neighbour_information(
    values: Float[np.ndarray, " sample"], labels: Int[np.ndarray, "factor sample"], k: int, seed: int = 0
) -> Float[np.ndarray, " factor"]:
    """I(values; labels) in nats for each row of labels by nearest neighbours (Ross 2014, eq. 2), no bins.

    psi(N) - <psi(N_label)> + <psi(k)> - <psi(m)>, with m the samples of any label no farther than the k-th neighbour of
    the same label. On a line these neighbours are a window of the sorted values. A tiny noise tells repeated values
    apart, as scikit-learn's estimator does, and labels that occur once are left out.
    """
    from scipy.special import digamma

    values = values / (values.std() or 1.0)
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
