"""One gap for both directions."""

from __future__ import annotations

from typing import Any

import numpy as np

from latentlab.checks import clear_errors
from latentlab.metrics.disentanglement.call import ask
from latentlab.metrics.disentanglement.data import Data
from latentlab.metrics.disentanglement.mig import top_two
from latentlab.metrics.disentanglement.result import Metric, Parts, Score


@clear_errors
def dci_mig(codes: Any, factors: Any, **options: Any) -> Score:
    """DCIMIG (Sepliarskaia et al. 2019): each factor gets the largest gap among the dims that prefer it.

    sum_k max_j (I_j(1) - I_j(2)) / sum_k H_k over dims j whose best factor is k. Blind to a factor that is coded twice,
    and to what dims hold only together; factors of many values weigh most. Arguments as in `mig`.

    >>> factors = np.random.default_rng(0).integers(4, size=(500, 2))
    >>> mixed = factors @ [[0.8, -0.6], [0.6, 0.8]]
    >>> dci_mig(factors, factors).value > 0.8 > dci_mig(mixed, factors).value
    True
    """
    return ask(DCI_MIG, codes, factors, **options)


def dci_mig_of(data: Data) -> Parts:
    """The gap of every factor, from the dims that prefer it."""
    first, second = top_two(data.information.T)
    gaps, best = first - second, data.information.argmax(1)
    per_factor = np.array([gaps[best == k].max(initial=0.0) for k in range(len(data.names))])
    return Parts(float(per_factor.sum() / data.entropy.sum()), per_factor / data.entropy, gaps, data.information)


DCI_MIG = Metric("dci_mig", dci_mig_of, counts=True, conditional=True)
