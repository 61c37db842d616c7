"""Axis alignment of traversals."""

from __future__ import annotations

from typing import Any

import numpy as np

from latentlab.checks import clear_errors
from latentlab.metrics.disentanglement.call import ask
from latentlab.metrics.disentanglement.data import Data
from latentlab.metrics.disentanglement.result import Metric, Parts, Score
from latentlab.metrics.disentanglement.traversals import traversals


@clear_errors
def axis_alignment(codes: Any, factors: Any, **options: Any) -> Score:
    """Axis alignment (Michlo et al. 2023): of the variance along a traversal's main line, how much lies on one dim?

    The largest share of variance on a dim over the largest share on any line, each less what equal shares would be.
    1 is a code along axes, bent or not; a rotation lowers it, and so does a copy; 0 for a factor that moves nothing.
    `matrix` holds the mean share of each dim. The samples must hold traversals, see `flatness`. Blind to whether two
    factors share an axis, to how far the code moves, and to order along the traversal. Arguments as in `mig`; a group
    counts with all its dims.

    Raises:
        ValueError: a factor never changes alone.

    >>> factors = np.stack(np.meshgrid(range(8), range(8)), -1).reshape(-1, 2)
    >>> round(axis_alignment(factors.astype(float), factors).value, 2)
    1.0
    >>> round(axis_alignment(factors @ [[0.8, -0.6], [0.6, 0.8]], factors).value, 2)
    0.28
    """
    return ask(AXIS_ALIGNMENT, codes, factors, **options)


def axis_alignment_of(data: Data) -> Parts:
    """The mean of every factor."""
    scores, shares = [], []
    dims, units = data.codes.shape[1], len(data.units)
    for runs in data.once(traversals):
        axis, line, share = [], [], []
        for rows in runs:
            path = data.codes[rows] - data.codes[rows].mean(0)
            total = float((path**2).sum())
            if np.ptp(path, axis=0).max() == 0:
                share.append(np.zeros(units))
                continue
            own = np.array([(path[:, unit] ** 2).sum() for unit in data.units]) / total
            axis.append(_above_even(own.max(), units))
            line.append(_above_even(float(np.linalg.norm(path, 2)) ** 2 / total, dims))
            share.append(own)
        scores.append(min(1.0, sum(axis) / max(sum(line), 1e-12)))
        shares.append(np.mean(share, 0))
    return Parts(float(np.mean(scores)), np.array(scores), None, np.stack(shares, 1))


def _above_even(share: float, count: int) -> float:
    return (share - 1 / count) / (1 - 1 / count) if count > 1 else 1.0


AXIS_ALIGNMENT = Metric("axis_alignment", axis_alignment_of)
