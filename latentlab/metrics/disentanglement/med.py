"""DCI without training."""

from __future__ import annotations

from typing import Any

import numpy as np

from latentlab.checks import clear_errors
from latentlab.metrics.disentanglement.call import ask
from latentlab.metrics.disentanglement.data import Data
from latentlab.metrics.disentanglement.dci import weighted_disentanglement
from latentlab.metrics.disentanglement.result import Metric, Parts, Score


@clear_errors
def med(codes: Any, factors: Any, **options: Any) -> Score:
    """MED (Cao et al. 2022): DCI's disentanglement with mutual information, per factor, as the importance.

    Blind to what dims hold only together, and to factors that no dim tells of: shares of noise weigh as much as shares
    of knowledge. Arguments as in `mig`.

    >>> factors = np.random.default_rng(0).integers(4, size=(500, 2))
    >>> mixed = factors @ [[0.8, -0.6], [0.6, 0.8]]
    >>> med(factors, factors).value > med(mixed, factors).value + 0.3
    True
    """
    return ask(MED, codes, factors, **options)


def med_of(data: Data) -> Parts:
    """Weighted disentanglement of I_jk / sum_j I_jk."""
    information = data.information
    if data.corrected:  # many shares of next to nothing are much entropy, so what is not beyond chance is none
        told = data.told | ~data.told.any(0)  # but a factor that no dim tells of is shared out as chance does
        information = np.where(told, np.where(data.told, information, data.counted), 0.0)
    share = information / np.maximum(information.sum(0), 1e-12)
    value, per_dim = weighted_disentanglement(share)
    return Parts(value, per_dim=per_dim, matrix=share)


MED = Metric("med", med_of, counts=True, conditional=True)
