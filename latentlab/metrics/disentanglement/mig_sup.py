"""The gap seen from the dims."""

from __future__ import annotations

from typing import Any

from latentlab.checks import clear_errors
from latentlab.metrics.disentanglement.call import ask
from latentlab.metrics.disentanglement.data import Data
from latentlab.metrics.disentanglement.mig import top_two
from latentlab.metrics.disentanglement.result import Metric, Parts, Score


@clear_errors
def mig_sup(codes: Any, factors: Any, **options: Any) -> Score:
    """MIG-sup (Li et al. 2020, eq. 6): how far a dim's best factor is ahead of its second best.

    mean_j (I_j(1) - I_j(2)), each divided by its factor's entropy. Blind to a factor that is coded twice or not at all,
    and to rotation of dims that share a factor; dims that tell of nothing lower it. Arguments as in `mig`.

    >>> import numpy as np
    >>> factors = np.random.default_rng(0).integers(4, size=(500, 2))
    >>> mixed = factors @ [[0.8, -0.6], [0.6, 0.8]]
    >>> mig_sup(factors, factors).value > 0.8 > mig_sup(mixed, factors).value
    True
    """
    return ask(MIG_SUP, codes, factors, **options)


def mig_sup_of(data: Data) -> Parts:
    """The gap of every dim that counts."""
    first, second = top_two((data.information / data.entropy).T)
    gaps = first - second
    return Parts(float(gaps.mean()), None, gaps, data.information)


MIG_SUP = Metric("mig_sup", mig_sup_of, counts=True, conditional=True)
