"""Means of few numbers, and how far they can be trusted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, SupportsFloat

import numpy as np


class Interval(NamedTuple):
    """A mean and its 95 % interval; NaN where too few numbers tell it."""

    mean: float
    low: float
    high: float


def interval(values: Iterable[SupportsFloat]) -> Interval:
    """Mean and its 95 % interval by Student's t, of seeds or clips; values that are NaN are left out.

    >>> mean, low, high = interval([1.0, 2.0, 3.0])
    >>> round(mean, 2), round(low, 2), round(high, 2)
    (2.0, -0.48, 4.48)
    """
    from scipy.special import stdtrit

    known = np.array([v for v in map(float, values) if np.isfinite(v)])
    if len(known) == 0:
        return Interval(np.nan, np.nan, np.nan)
    mean = float(known.mean())
    if len(known) == 1:
        return Interval(mean, np.nan, np.nan)
    half = float(stdtrit(len(known) - 1, 0.975) * known.std(ddof=1) / np.sqrt(len(known)))
    return Interval(mean, mean - half, mean + half)
