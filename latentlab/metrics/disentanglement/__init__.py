"""Disentanglement metrics on plain arrays: `score(codes, factors)`, with null levels and intervals.

Codes are `(sample, dim)`, factors `(sample, factor)`, a `FactorTable` or plain. No metric here knows a model.
"""

from latentlab.metrics.disentanglement.data import Data, prepare
from latentlab.metrics.disentanglement.dci import dci
from latentlab.metrics.disentanglement.dci_mig import dci_mig
from latentlab.metrics.disentanglement.explicitness import explicitness
from latentlab.metrics.disentanglement.groups import group_by_axis
from latentlab.metrics.disentanglement.irs import irs
from latentlab.metrics.disentanglement.jemmig import jemmig
from latentlab.metrics.disentanglement.med import med
from latentlab.metrics.disentanglement.mig import mig
from latentlab.metrics.disentanglement.mig_sup import mig_sup
from latentlab.metrics.disentanglement.modularity import modularity
from latentlab.metrics.disentanglement.result import Score
from latentlab.metrics.disentanglement.rmig import rmig
from latentlab.metrics.disentanglement.sap import sap
from latentlab.metrics.disentanglement.score import score

__all__ = [
    "Data",
    "Score",
    "dci",
    "dci_mig",
    "explicitness",
    "group_by_axis",
    "irs",
    "jemmig",
    "med",
    "mig",
    "mig_sup",
    "modularity",
    "prepare",
    "rmig",
    "sap",
    "score",
]
