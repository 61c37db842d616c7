"""Joint entropy minus mutual information gap."""

from __future__ import annotations

from typing import Any

import numpy as np

from latentlab.checks import clear_errors
from latentlab.metrics.disentanglement.call import ask
from latentlab.metrics.disentanglement.counts import entropy
from latentlab.metrics.disentanglement.data import Data
from latentlab.metrics.disentanglement.mig import top_two
from latentlab.metrics.disentanglement.result import Metric, Parts, Score


@clear_errors
def jemmig(codes: Any, factors: Any, **options: Any) -> Score:
    """JEMMIG (Do & Tran 2020, eq. 8), scaled to [0, 1]: the gap, less what the best dim holds besides the factor.

    mean_k 1 - (H(f_k, z_j*) - I_(1)k + I_(2)k) / (H_k + log bins), and 0 where no dim tells anything of the factor.
    Blind as MIG is, and it takes detail finer than the factor's own values for something else: more bins than values
    lower it. It is high for a dim that hardly ever changes, which holds nothing besides the factor as it holds nothing
    at all: read `adjusted`, or prune such dims. Arguments as in `mig`.

    >>> factors = np.random.default_rng(0).integers(4, size=(500, 2))
    >>> mixed = factors @ [[0.8, -0.6], [0.6, 0.8]]
    >>> jemmig(factors, factors).value > jemmig(mixed, factors).value + 0.3
    True
    """
    return ask(JEMMIG, codes, factors, **options)


def jemmig_of(data: Data) -> Parts:
    """The score of every factor; H(f, z) = H(f) + H(z) - I(f, z)."""
    first, second = top_two(data.information)
    best = data.information.argmax(0)
    own = np.array([entropy(np.bincount(data.readings[j, k])) for k, j in enumerate(best)])
    joint = data.entropy + own - first
    bins = np.array([max(data.bins, data.readings[j, k].max() + 1) for k, j in enumerate(best)])
    scores = np.where(first > 0, 1 - (joint - first + second) / (data.entropy + np.log(bins)), 0.0)
    return Parts(float(scores.mean()), per_factor=scores, matrix=data.information)


JEMMIG = Metric("jemmig", jemmig_of, counts=True)
