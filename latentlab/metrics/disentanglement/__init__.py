"""Disentanglement metrics on plain arrays: `score(codes, factors)`, with null levels and intervals.

Codes are `(sample, dim)`, factors `(sample, factor)`, a `FactorTable` or plain. No metric here knows a model.
"""

from latentlab.metrics.disentanglement.data import Data, prepare
from latentlab.metrics.disentanglement.result import Score
from latentlab.metrics.disentanglement.score import (
    dci,
    dci_mig,
    explicitness,
    irs,
    jemmig,
    med,
    mig,
    mig_sup,
    modularity,
    sap,
    score,
)

__all__ = [
    "Data",
    "Score",
    "dci",
    "dci_mig",
    "explicitness",
    "irs",
    "jemmig",
    "med",
    "mig",
    "mig_sup",
    "modularity",
    "prepare",
    "sap",
    "score",
]
