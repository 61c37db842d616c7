"""Mutual information gap."""

from __future__ import annotations

from typing import Any

import numpy as np

from latentlab.checks import clear_errors
from latentlab.metrics.disentanglement.call import ask
from latentlab.metrics.disentanglement.data import Data
from latentlab.metrics.disentanglement.result import Metric, Parts, Score


@clear_errors
def mig(codes: Any, factors: Any, **options: Any) -> Score:
    """Mutual information gap (Chen et al. 2018, eq. 6): how far the best dim of a factor is ahead of the second best.

    mean_k (I_(1)k - I_(2)k) / H_k. Blind to a factor well coded in two dims (0, as for one not coded at all), to what
    dims hold only together, and to a code that is right but rotated.

    Args:
        codes: `(sample, dim)`, numpy or torch; 50 samples or more.
        factors: `(sample, factor)`, a `FactorTable` or an array.
        options: `null`, `bootstrap`, `seed` as in `score`; kinds, bins, groups and the rest as in `prepare`.

    Raises:
        ValueError: data that cannot be scored, see `prepare`.

    >>> factors = np.random.default_rng(0).integers(4, size=(500, 2))
    >>> mig(factors, factors).value > 0.95
    True
    """
    return ask(MIG, codes, factors, **options)


def mig_of(data: Data) -> Parts:
    """The gap of every factor."""
    first, second = top_two(data.information)
    gaps = (first - second) / data.entropy
    return Parts(float(gaps.mean()), per_factor=gaps, matrix=data.information)


def top_two(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Largest and second largest of each column; the second is 0 where there is one row alone."""
    ranked = np.sort(matrix if len(matrix) > 1 else np.concatenate([matrix, np.zeros_like(matrix)]), axis=0)
    return ranked[-1], ranked[-2]


MIG = Metric("mig", mig_of, counts=True, conditional=True)
