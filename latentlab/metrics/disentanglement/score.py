"""`score`, which asks many metrics at once."""

from __future__ import annotations

from typing import Any

from latentlab.checks import Seed, clear_errors
from latentlab.metrics.disentanglement.axis_alignment import AXIS_ALIGNMENT
from latentlab.metrics.disentanglement.beta_vae import BETA_VAE
from latentlab.metrics.disentanglement.data import Data
from latentlab.metrics.disentanglement.dci import DCI
from latentlab.metrics.disentanglement.dci_es import DCI_ES
from latentlab.metrics.disentanglement.dci_mig import DCI_MIG
from latentlab.metrics.disentanglement.explicitness import EXPLICITNESS
from latentlab.metrics.disentanglement.factor_vae import FACTOR_VAE
from latentlab.metrics.disentanglement.flatness import FLATNESS
from latentlab.metrics.disentanglement.infomec import INFOMEC
from latentlab.metrics.disentanglement.irs import IRS
from latentlab.metrics.disentanglement.jemmig import JEMMIG
from latentlab.metrics.disentanglement.med import MED
from latentlab.metrics.disentanglement.mig import MIG
from latentlab.metrics.disentanglement.mig_sup import MIG_SUP
from latentlab.metrics.disentanglement.modularity import MODULARITY
from latentlab.metrics.disentanglement.prepare import prepare
from latentlab.metrics.disentanglement.result import Metric, assess
from latentlab.metrics.disentanglement.rmig import RMIG
from latentlab.metrics.disentanglement.sap import SAP
from latentlab.metrics.disentanglement.snc_nk import SNC_NK
from latentlab.metrics.disentanglement.table import ScoreTable

CORE_METRICS: tuple[Metric[Data], ...] = (
    MIG, MIG_SUP, DCI_MIG, JEMMIG, MODULARITY, MED, SAP, IRS, EXPLICITNESS, *DCI,
)  # fmt: skip
ALL_METRICS = (*CORE_METRICS, RMIG, *DCI_ES, FACTOR_VAE, BETA_VAE, *INFOMEC, *SNC_NK)
ON_TRAVERSALS: tuple[Metric[Data], ...] = (FLATNESS, AXIS_ALIGNMENT)  # need samples in which one factor changes alone
METRICS = {metric.name: metric for metric in (*ALL_METRICS, *ON_TRAVERSALS)}
OTHERS = ("total_correlation", "wasserstein_dependence", "udr", "swap")  # take more or less than codes and factors
CORE = tuple(metric.name for metric in CORE_METRICS)


@clear_errors
def score(
    codes: Any,
    factors: Any,
    metrics: str | tuple[str, ...] = "core",
    *,
    null: int = 20,
    bootstrap: int = 200,
    seed: Seed = 0,
    progress: bool = True,
    **options: Any,
) -> ScoreTable:
    """Asks several metrics, with the level that chance reaches and a 95 % interval.

    Args:
        codes: `(sample, dim)`, numpy or torch; 50 samples or more.
        factors: `(sample, factor)`, a `FactorTable` or an array.
        metrics: "core", "all" that need codes and factors only, or names of `METRICS`.
        null: permutations of the factors; the metrics that train or draw take 3 at most. 0: no null, no `adjusted`.
        bootstrap: random halves for the interval; 5 at most for these metrics. 0: no interval.
        seed: of both, and of the metrics that draw.
        progress: show a bar.
        options: of `prepare`: kinds, names, bins, binning, estimator, prune, units, groups, spread, parity.

    Returns:
        One score for each metric, by name; it prints as a table.

    Raises:
        ValueError: an unknown metric, or data that cannot be scored.

    >>> import numpy as np
    >>> factors = np.random.default_rng(0).integers(3, size=(300, 2))
    >>> print(score(factors, factors, ("mig", "modularity"), null=0, bootstrap=0, progress=False))
    metric      value   null  adjusted  interval          conditional
    mig         0.995      -         -  -                           -
    modularity  1.000      -         -  -                           -
    """
    every = {"core": CORE, "all": tuple(metric.name for metric in ALL_METRICS)}
    wanted = (every.get(metrics) or (metrics,)) if isinstance(metrics, str) else tuple(metrics)
    if unknown := [name for name in wanted if name not in METRICS]:
        elsewhere = [f"{name} is a function of its own, {name}(...)" for name in unknown if name in OTHERS]
        told = "; ".join([f"there are {', '.join(METRICS)}", *elsewhere])
        raise ValueError(f"unknown metrics {', '.join(unknown)}; {told}")
    if not wanted:
        raise ValueError(f"no metrics asked for; there are {', '.join(METRICS)}, or 'core' and 'all'")
    data = prepare(codes, factors, seed=seed, **options)
    chosen = [METRICS[name] for name in wanted]
    return ScoreTable(assess(chosen, data, null=null, bootstrap=bootstrap, seed=seed, progress=progress))
