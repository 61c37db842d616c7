"""The order in which a training sees its data."""

from __future__ import annotations

import numpy as np


def epoch_order(count: int, batch: int, step: int, seed: int) -> np.ndarray:
    """Rows of a step: each epoch is a fresh permutation, and no generator state is carried over.

    >>> sorted(int(row) for step in range(3) for row in epoch_order(6, 2, step, seed=0))
    [0, 1, 2, 3, 4, 5]
    """
    positions = np.arange(step * batch, (step + 1) * batch)
    order = {e: np.random.default_rng([seed, 7, int(e)]).permutation(count) for e in np.unique(positions // count)}
    return np.array([order[p // count][p % count] for p in positions])
