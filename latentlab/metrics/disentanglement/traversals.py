"""Samples in which one factor changes and all others stay, found among plain arrays."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from latentlab.metrics.disentanglement.data import Data

MOST = 256  # traversals of a factor that are looked at


def traversals(data: Data) -> list[list[Int[np.ndarray, " step"]]]:
    """For each factor the traversals of it: rows that differ in it alone, in the order of its values.

    Only those at least half as long as the longest: by chance some pairs of any samples differ in one factor.

    Raises:
        ValueError: a factor that never changes alone.
    """
    rng, found = np.random.default_rng(data.seed), []
    for k, name in enumerate(data.names):
        rest = np.delete(data.factors, k, axis=1)
        scene = np.unique(rest, axis=0, return_inverse=True)[1].ravel()
        order = np.lexsort((data.factors[:, k], scene))
        runs = np.split(order, np.flatnonzero(np.diff(scene[order])) + 1)
        steps = np.array([len(np.unique(data.factors[rows, k])) for rows in runs])
        runs = [rows for rows, count in zip(runs, steps, strict=True) if count > 1 and 2 * count >= steps.max()]
        if not runs:
            raise ValueError(
                f"no two samples differ in factor {name!r} alone; this metric needs traversals: samples in which one "
                "factor changes and the others stay"
            )
        chosen = rng.permutation(len(runs))[:MOST]
        found.append([runs[i] for i in np.sort(chosen)])
    return found
