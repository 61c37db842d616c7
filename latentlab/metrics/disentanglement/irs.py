"""Interventional robustness."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from latentlab.checks import clear_errors
from latentlab.metrics.disentanglement.call import ask
from latentlab.metrics.disentanglement.counts import assign_bins
from latentlab.metrics.disentanglement.data import Data
from latentlab.metrics.disentanglement.result import Metric, Parts, Score

QUANTILE = 0.99  # as disentanglement_lib; the paper takes the maximum, which one outlier decides


@clear_errors
def irs(codes: Any, factors: Any, **options: Any) -> Score:
    """IRS (Suter et al. 2019, section 4): how still a dim stays while all factors but its own change.

    1 - mean over the values of a factor of the 99 % quantile of |z - E[z | value]|, over the largest |z - E z|; the
    best factor of each dim, dims weighted by that largest deviation. For a group, |.| is the length. Noise scores 0.4.
    Blind to factors that no dim follows and to factors coded many times; dims of large scale decide. Arguments as in
    `mig`.

    >>> factors = np.random.default_rng(0).integers(4, size=(500, 2))
    >>> mixed = factors @ [[0.8, -0.6], [0.6, 0.8]]
    >>> irs(factors, factors).value > irs(mixed, factors).value + 0.2
    True
    """
    return ask(IRS, codes, factors, **options)


def irs_of(data: Data) -> Parts:
    """The best factor of every unit."""
    deviation = _lengths(data, data.codes - data.codes.mean(0)).max(0)
    scores = np.zeros((len(data.units), len(data.names)))
    # That library cuts the factors too, whatever they are.
    values = assign_bins(data.factors.T, data.bins, "width") if data.parity else data.labels
    for k, labels in enumerate(values):
        order = np.argsort(labels, kind="stable")
        edges = np.flatnonzero(np.diff(labels[order])) + 1
        parts = np.split(data.codes[order], edges)
        spread = [_quantile(_lengths(data, rows - rows.mean(0)), QUANTILE) for rows in parts]
        scores[:, k] = 1 - np.divide(np.mean(spread, 0), deviation, out=np.ones_like(deviation), where=deviation > 0)
    best = scores.max(1)
    value = float(np.average(best, weights=deviation)) if deviation.sum() > 0 else 0.0
    return Parts(value, per_dim=best, matrix=scores)


def _quantile(rows: Float[np.ndarray, "sample unit"], share: float) -> Float[np.ndarray, " unit"]:
    """`np.quantile` of every column, which for many small arrays takes most of its time to begin."""
    place = share * (len(rows) - 1)
    low = int(place)
    high = min(low + 1, len(rows) - 1)
    ordered = np.partition(np.ascontiguousarray(rows.T), (low, high), axis=1)
    return ordered[:, low] + (place - low) * (ordered[:, high] - ordered[:, low])


def _lengths(data: Data, rows: np.ndarray) -> np.ndarray:
    if data.blocks is None:
        return np.abs(rows)
    return np.stack([np.linalg.norm(rows[:, dims], axis=1) for dims in data.units], 1)


IRS = Metric("irs", irs_of)
