"""Numbers of a script with their 95 % intervals, over clips or seeds, as the page of `latentlab bench` shows them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, SupportsFloat

import numpy as np

from latentlab.stats import interval

DIGITS = 4  # significant, which are kept


def mean(values: Iterable[SupportsFloat], null: float | None = None) -> dict[str, Any]:
    """Mean, with its interval by Student's t; NaN are left out.

    >>> mean([1.0, 2.0, 3.0])
    {'value': 2.0, 'interval': [-0.4841, 4.484]}
    """
    return _figure(*interval(values), null)


def median(values: Iterable[SupportsFloat], null: float | None = None) -> dict[str, Any]:
    """Median, and the interval between the order statistics that hold it in 95 % of samples or more; needs six values.

    >>> median(range(11))
    {'value': 5.0, 'interval': [1.0, 9.0]}
    """
    from scipy.stats import binom

    known = np.sort([v for v in map(float, values) if np.isfinite(v)])
    if len(known) == 0:
        return _figure(float("nan"), float("nan"), float("nan"), null)
    last = int(binom.ppf(0.025, len(known), 0.5))  # values below the median in 97.5 % of samples, one more than these
    low, high = (known[last - 1], known[-last]) if last else (float("nan"), float("nan"))
    return _figure(float(np.median(known)), low, high, null)


def percent(hits: Iterable[object], null: float | None = None) -> dict[str, Any]:
    """Share that is true, in percent, with Wilson's interval (1927), which holds for shares of 0 and 100, too.

    >>> percent([True] * 10, null=50.0)
    {'value': 100.0, 'interval': [72.25, 100.0], 'null': 50.0}
    """
    from scipy.stats import binomtest

    asked = np.fromiter(map(bool, hits), dtype=bool)
    if not len(asked):
        return _figure(float("nan"), float("nan"), float("nan"), null)
    ends = binomtest(int(asked.sum()), len(asked)).proportion_ci(method="wilson")
    return _figure(100 * float(asked.mean()), 100 * ends.low, 100 * ends.high, null)


def _figure(value: float, low: float, high: float, null: float | None) -> dict[str, Any]:
    """As JSON; an interval that is not known is left out."""
    ends = {"interval": [_short(low), _short(high)]} if np.isfinite([low, high]).all() else {}
    return {"value": _short(value), **ends, **({} if null is None else {"null": _short(null)})}


def _short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
