"""Disentanglement metrics on plain arrays: `score(codes, factors)`, with null levels and intervals.

Codes are `(sample, dim)`, factors `(sample, factor)`, a `FactorTable` or plain. No metric here knows a model.
"""

from latentlab.face import renamed
from latentlab.metrics.disentanglement.axis_alignment import axis_alignment
from latentlab.metrics.disentanglement.beta_vae import beta_vae
from latentlab.metrics.disentanglement.data import Data
from latentlab.metrics.disentanglement.dci import dci
from latentlab.metrics.disentanglement.dci_es import dci_es
from latentlab.metrics.disentanglement.dci_mig import dci_mig
from latentlab.metrics.disentanglement.explicitness import explicitness
from latentlab.metrics.disentanglement.factor_vae import factor_vae
from latentlab.metrics.disentanglement.flatness import flatness
from latentlab.metrics.disentanglement.groups import group_by_axis
from latentlab.metrics.disentanglement.infomec import infomec
from latentlab.metrics.disentanglement.irs import irs
from latentlab.metrics.disentanglement.jemmig import jemmig
from latentlab.metrics.disentanglement.med import med
from latentlab.metrics.disentanglement.mig import mig
from latentlab.metrics.disentanglement.mig_sup import mig_sup
from latentlab.metrics.disentanglement.modularity import modularity
from latentlab.metrics.disentanglement.prepare import prepare
from latentlab.metrics.disentanglement.result import Score
from latentlab.metrics.disentanglement.rmig import rmig
from latentlab.metrics.disentanglement.sap import sap
from latentlab.metrics.disentanglement.score import score
from latentlab.metrics.disentanglement.snc_nk import snc_nk
from latentlab.metrics.disentanglement.swap import swap
from latentlab.metrics.disentanglement.table import ScoreTable
from latentlab.metrics.disentanglement.total_correlation import total_correlation
from latentlab.metrics.disentanglement.udr import udr
from latentlab.metrics.disentanglement.wasserstein_dependence import wasserstein_dependence

__all__ = [
    "Data",
    "Score",
    "ScoreTable",
    "axis_alignment",
    "beta_vae",
    "dci",
    "dci_es",
    "dci_mig",
    "explicitness",
    "factor_vae",
    "flatness",
    "group_by_axis",
    "infomec",
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
    "snc_nk",
    "swap",
    "total_correlation",
    "udr",
    "wasserstein_dependence",
]
__getattr__ = renamed(__name__, {"Table": "ScoreTable"})
