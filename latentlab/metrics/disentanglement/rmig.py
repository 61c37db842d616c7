"""Robust mutual information gap, of codes that are drawn."""

from __future__ import annotations

from typing import Any

import numpy as np

from latentlab.checks import clear_errors
from latentlab.metrics.disentanglement.call import ask
from latentlab.metrics.disentanglement.counts import entropy
from latentlab.metrics.disentanglement.data import Data
from latentlab.metrics.disentanglement.mig import mig_of, top_two
from latentlab.metrics.disentanglement.result import Metric, Parts, Score


@clear_errors
def rmig(codes: Any, factors: Any, **options: Any) -> Score:
    """RMIG (Do & Tran 2020, eq. 6), divided by H_k: the gap of codes that a VAE draws, not of their means alone.

    With `spread`, the standard deviations `(sample, dim)` of q(z | x), each sample counts in every bin by the mass its
    Gaussian has there; a dim that varies less than it is noisy then tells nothing, though its mean tells all. Without
    `spread` it is `mig`. Blind as MIG is. Other arguments as in `mig`.

    >>> rng = np.random.default_rng(0)
    >>> factors = rng.integers(4, size=(500, 2))
    >>> sharp, vague = (rmig(factors, factors, spread=np.full((500, 2), s)).value for s in (0.01, 3.0))
    >>> sharp > 0.9 > 0.2 > vague
    True
    """
    return ask(RMIG, codes, factors, **options)


def rmig_of(data: Data) -> Parts:
    """The gap of every factor, of the joint p(bin, value) = mean over samples of q(bin | x) [f(x) = value]."""
    if data.spread is None:
        return mig_of(data)
    if data.blocks is not None:
        raise ValueError("rmig with spread scores single dims; leave out `units`, or `spread`")
    information = drawn_information(data, data.spread)
    first, second = top_two(information)
    gaps = (first - second) / data.entropy
    return Parts(float(gaps.mean()), per_factor=gaps, matrix=information)


def drawn_information(data: Data, spread: np.ndarray) -> np.ndarray:
    """Mutual information of drawn codes with factors, `(dim, factor)`, nats."""
    from scipy.special import ndtr

    found = np.zeros((len(data.units), len(data.names)))
    for j in range(len(found)):
        mean, deviation = data.codes[:, j, None], np.maximum(spread[:, j, None], 1e-12)
        # Edges of what is drawn, not of the means: three deviations past the outermost.
        edges = np.linspace((mean - 3 * deviation).min(), (mean + 3 * deviation).max(), data.bins + 1)[1:-1]
        mass = np.diff(ndtr((edges - mean) / deviation), axis=1, prepend=0.0, append=1.0)
        for k, labels in enumerate(data.labels):
            joint = np.zeros((int(labels.max()) + 1, data.bins))
            np.add.at(joint, labels, mass)
            found[j, k] = entropy(joint.sum(0)) + entropy(joint.sum(1)) - entropy(joint.ravel())
    return np.maximum(found, 0.0)


RMIG = Metric("rmig", rmig_of, counts=True)
