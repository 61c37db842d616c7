"""Bins, entropies and mutual information of columns."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float, Int

PERMUTED = 3  # permutations that a conditional information is held against
CLEAR = 0.5  # share of a stretch of values that a gap takes up; by chance one of SEEN samples does in 4e-5 of cases
SEEN, ASIDE = 20, 10  # samples in the stretch, and those that are left beyond the outermost edge
AT_ONCE = 4_000_000  # samples and counts of many tables that are held in memory together


def assign_bins(
    values: Float[np.ndarray, "row sample"], bins: int, binning: str, keep: int = 0
) -> Int[np.ndarray, "row sample"]:
    """Each row as integers from 0: bins of equal count ("quantile") or of equal width ("width").

    Bins of equal count are cut between values, never through one, and where a clear gap is nearer than the next cut in
    the gap: samples that keep apart, be they few, are not counted with others. A row of few values (at most `bins`, or
    at most `keep` that occur ten times each on average) is told apart value by value.

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
        begins = _into_gaps(ordered, begins[after - (wanted - begins[after - 1] <= begins[after] - wanted)])
    return ordered[begins]


def _into_gaps(ordered: Float[np.ndarray, " sample"], begins: Int[np.ndarray, " edge"]) -> Int[np.ndarray, " edge"]:
    """Where bins begin, each edge moved to the widest gap between the middles of its bins if it takes up most of that
    stretch; the outermost look as far as the last samples but ten."""
    found, last = begins.copy(), len(ordered) - 1 - ASIDE
    middles = np.clip(np.concatenate([[ASIDE], (begins[:-1] + begins[1:]) // 2, [last]]), ASIDE, max(last, ASIDE))
    low, high = middles[:-1], middles[1:]
    seen = high - low >= SEEN
    if not seen.any():
        return begins
    gaps = np.diff(ordered[: last + 1])
    widest = np.maximum.reduceat(gaps, np.minimum(low, len(gaps) - 1))
    for i in np.flatnonzero(seen & (widest > CLEAR * (ordered[high] - ordered[low]))):
        found[i] = low[i] + 1 + int(gaps[low[i] : high[i]].argmax())
    return np.unique(found)


def cut_in_gaps(ordered: Float[np.ndarray, " sample"], bins: int) -> Float[np.ndarray, " edge"]:
    """Values at which bins of about equal count begin, each in the widest gap about its quantile: all but the lowest if
    there are fewer values than bins.

    >>> cut_in_gaps(np.array([0.0, 1.0, 2.0, 3.0, 9.0, 9.5, 9.9, 10.0]), 2)
    array([9.])
    """
    values = np.unique(ordered)
    if len(values) <= bins:
        return values[1:]
    n, wanted = len(ordered), np.arange(1, 2 * bins, 2) * len(ordered) // (2 * bins)  # the middles of the bins
    gaps = np.append(np.diff(ordered), 0.0)
    ends = np.append(wanted[1:], n)
    found = [low + int(gaps[low:high].argmax()) for low, high in zip(wanted[:-1], ends[:-1], strict=True) if low < high]
    return np.unique(ordered[np.minimum(np.array(found) + 1, n - 1)])


def entropy(counts: np.ndarray) -> float:
    """H in nats of what occurred so many times."""
    counts = counts[counts > 0]
    total = counts.sum()
    return float(np.log(total) - (counts * np.log(counts)).sum() / total)


def mutual_information(
    rows: Int[np.ndarray, "row sample"], labels: Int[np.ndarray, " sample"], *, unbiased: bool = False
) -> Float[np.ndarray, " row"]:
    """I(row; labels) in nats of each row, from counts: H(row) + H(labels) - H(row, labels).

    The plain estimate is too high, by about (values - 1)(labels - 1) / 2 n for strangers; `unbiased` takes entropies of
    Grassberger (2003), hardly biased from three samples a cell of the table on, and may be below 0.
    """
    n, found = len(labels), []
    for joint in _tables(rows, labels):
        h = _terms(int(joint.max()), unbiased)[joint].sum((1, 2))
        for axis in (1, 2):
            margin = joint.sum(axis)
            h = h - _terms(int(margin.max()), unbiased)[margin].sum(1)
        found.append(np.log(n) + h / n)
    return np.concatenate(found) if unbiased else np.maximum(np.concatenate(found), 0.0)


def beyond_chance(
    rows: Int[np.ndarray, "row sample"], labels: Int[np.ndarray, " sample"], level: float
) -> Bool[np.ndarray, " row"]:
    """Whether each row tells of the labels: chance makes Pearson's chi-square as large with probability `level`.

    Its mean is (values - 1)(labels - 1) n / (n - 1) whatever the counts, where 2 n I of few samples is far above it.
    """
    from scipy.special import chdtri

    n, found = len(labels), []
    for joint in _tables(rows, labels):
        expected = joint.sum(2)[:, :, None] * (joint.sum(1) / n)[:, None]
        square = n * ((joint**2 / np.where(expected > 0, expected, 1)).sum((1, 2)) / n - 1)
        free = ((joint.sum(2) > 0).sum(1) - 1) * ((joint.sum(1) > 0).sum(1) - 1)
        found.append(square > chdtri(np.maximum(free, 1), level) * n / (n - 1))
    return np.concatenate(found)


def _tables(
    rows: Int[np.ndarray, "row sample"], labels: Int[np.ndarray, " sample"]
) -> Iterator[Int[np.ndarray, "row value label"]]:
    """How often each value of a row came with each label, some rows at a time."""
    height, width = int(rows.max()) + 1, int(labels.max()) + 1
    step = max(1, AT_ONCE // max(len(labels), height * width))
    for some in (rows[i : i + step] for i in range(0, len(rows), step)):
        at = (some + height * np.arange(len(some))[:, None]) * width + labels
        counts = np.bincount(at.ravel(), minlength=len(some) * height * width)
        yield counts.reshape(len(some), height, width)


@lru_cache(maxsize=64)
def _terms(largest: int, unbiased: bool) -> Float[np.ndarray, " count"]:
    """c log c of every count up to the largest; unbiased, c G(c) with G as in Grassberger (2003)."""
    from scipy.special import digamma

    c = np.arange(largest + 1.0)
    c[0] = 1
    log = digamma(c) + (-1.0) ** c / 2 * (digamma((c + 1) / 2) - digamma(c / 2)) if unbiased else np.log(c)
    return np.arange(largest + 1) * log


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
