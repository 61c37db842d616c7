"""Flatness of traversals."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from latentlab.checks import clear_errors
from latentlab.metrics.disentanglement.call import ask
from latentlab.metrics.disentanglement.data import Data
from latentlab.metrics.disentanglement.result import Metric, Parts, Score
from latentlab.metrics.disentanglement.traversals import traversals


@clear_errors
def flatness(codes: Any, factors: Any, **options: Any) -> Score:
    """Flatness (Michlo et al. 2023): does a code go straight, along one dim, while one factor changes?

    Largest Euclidean distance within a traversal over its length step by step in city blocks; 1 is a straight line on
    an axis that never turns back, 1 / sqrt(n) a straight line oblique to n dims. The samples must hold traversals: rows
    in which one factor changes and all others stay. Categories are taken in the order of their numbers, angles from 0.
    Blind to whether two factors share an axis, and to how far the code moves.

    Args:
        codes, factors, options: as in `mig`; for groups, a step in a group is its Euclidean length.

    Raises:
        ValueError: a factor never changes alone.

    >>> grid = np.stack(np.meshgrid(np.arange(10.0), np.arange(10.0)), -1).reshape(-1, 2)
    >>> turn = np.array([[1, -1], [1, 1]]) / np.sqrt(2)
    >>> [round(flatness(codes, grid).value, 3) for codes in (grid, grid @ turn)]
    [1.0, 0.707]
    """
    return ask(FLATNESS, codes, factors, **options)


def flatness_of(data: Data) -> Parts:
    """The mean of every factor: widths over lengths."""
    scores = []
    for runs in data.once(traversals):
        widths, lengths = np.array([_extent(data, data.codes[rows]) for rows in runs]).T
        scores.append(widths.mean() / lengths.mean() if lengths.any() else 0.0)
    return Parts(float(np.mean(scores)), per_factor=np.array(scores))


def _extent(data: Data, path: Float[np.ndarray, "step dim"]) -> tuple[float, float]:
    squares = (path**2).sum(1)
    apart = squares[:, None] + squares - 2 * path @ path.T
    steps = np.diff(path, axis=0)
    each = [np.linalg.norm(steps[:, dims], axis=1) for dims in data.units] if data.blocks else [np.abs(steps).sum(1)]
    return float(np.sqrt(max(0.0, apart.max()))), float(np.sum(each))


FLATNESS = Metric("flatness", flatness_of)
