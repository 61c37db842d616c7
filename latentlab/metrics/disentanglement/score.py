"""The metrics as functions of plain arrays, and `score`, which asks all of them at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from tqdm.auto import tqdm

from latentlab.metrics.disentanglement import information, regression
from latentlab.metrics.disentanglement.data import Data, prepare
from latentlab.metrics.disentanglement.result import Parts, Score, assess

Parity = Literal["disentanglement_lib"] | None
QUICK: dict[str, Callable[[Data], Parts]] = {
    "mig": information.mig,
    "mig_sup": information.mig_sup,
    "dci_mig": information.dci_mig,
    "jemmig": information.jemmig,
    "modularity": information.modularity,
    "med": information.med,
    "sap": regression.sap,
    "irs": regression.irs,
    "explicitness": regression.explicitness,
}
CORE = (*QUICK, "dci_d", "dci_c")
SLOW_NULL = 3  # permutations for the metrics that train trees


def mig(codes: Any, factors: Any, **options: Any) -> Score:
    """Mutual information gap, see `information.mig`; options as in `score`.

    >>> rng = np.random.default_rng(0)
    >>> factors = rng.integers(4, size=(500, 2))
    >>> mig(factors + 0.01 * rng.standard_normal((500, 2)), factors, bins=4).value > 0.8
    True
    """
    return _one("mig", codes, factors, **options)


def mig_sup(codes: Any, factors: Any, **options: Any) -> Score:
    """The gap seen from the dims, see `information.mig_sup`."""
    return _one("mig_sup", codes, factors, **options)


def dci_mig(codes: Any, factors: Any, **options: Any) -> Score:
    """DCIMIG, see `information.dci_mig`."""
    return _one("dci_mig", codes, factors, **options)


def jemmig(codes: Any, factors: Any, **options: Any) -> Score:
    """JEMMIG, see `information.jemmig`."""
    return _one("jemmig", codes, factors, **options)


def modularity(codes: Any, factors: Any, **options: Any) -> Score:
    """Modularity, see `information.modularity`."""
    return _one("modularity", codes, factors, **options)


def med(codes: Any, factors: Any, **options: Any) -> Score:
    """MED, see `information.med`."""
    return _one("med", codes, factors, **options)


def irs(codes: Any, factors: Any, **options: Any) -> Score:
    """Interventional robustness, see `regression.irs`."""
    return _one("irs", codes, factors, **options)


def explicitness(codes: Any, factors: Any, **options: Any) -> Score:
    """Explicitness, see `regression.explicitness`."""
    return _one("explicitness", codes, factors, **options)


def sap(codes: Any, factors: Any, *, test: tuple[Any, Any] | None = None, **options: Any) -> Score:
    """Separated attribute predictability by squared correlations, or with `test=(codes, factors)` by support vector
    machines judged there, see `regression.sap` and `regression.sap_svm`."""
    if test is None:
        return _one("sap", codes, factors, **options)
    seed, null, bootstrap, data = _prepared(codes, factors, **options)
    held_out = _prepared(*test, **options)[-1]
    return assess("sap_svm", lambda d: regression.sap_svm(d, held_out), data, null=null, bootstrap=bootstrap, seed=seed)


def dci(codes: Any, factors: Any, **options: Any) -> tuple[Score, Score]:
    """Disentanglement and completeness of boosted trees, see `regression.dci`."""
    seed, null, bootstrap, data = _prepared(codes, factors, **options)
    return _dci(data, null=null, bootstrap=bootstrap, seed=seed)


def score(
    codes: Any,
    factors: Any,
    metrics: str | tuple[str, ...] = "core",
    *,
    null: int = 20,
    bootstrap: int = 200,
    seed: int = 0,
    parity: Parity = None,
    progress: bool = True,
    **options: Any,
) -> dict[str, Score]:
    """Asks several metrics, with the level that chance reaches and a 95 % interval.

    Args:
        codes: `(sample, dim)`, numpy or torch; 50 samples or more.
        factors: `(sample, factor)`, a `FactorTable` or an array.
        metrics: "core" or some of its names, see `CORE`.
        null: permutations of the factors; the metrics that train trees take 3 at most. 0: no null, no `adjusted`.
        bootstrap: samples for the interval; none for the metrics that train trees or regressions. 0: no interval.
        seed: of both.
        parity: "disentanglement_lib" computes as that library does: 20 bins of equal width, factors as labels, no dim
            left out.
        progress: show a bar.
        options: of `prepare`: kinds, names, bins, binning, prune.

    Returns:
        One score for each metric, by name.

    Raises:
        ValueError: an unknown metric, or data that cannot be scored.
    """
    wanted = CORE if metrics == "core" else ((metrics,) if isinstance(metrics, str) else tuple(metrics))
    if unknown := [name for name in wanted if name not in CORE]:
        raise ValueError(f"unknown metrics {', '.join(unknown)}; there are {', '.join(CORE)}")
    _, _, _, data = _prepared(codes, factors, parity=parity, **options)
    found: dict[str, Score] = {}
    for name in tqdm(wanted, desc="scoring", disable=not progress):
        if name.startswith("dci_") and name != "dci_mig":
            if name not in found:
                pair = _dci(data, null=min(null, SLOW_NULL), bootstrap=0, seed=seed)
                found |= {s.name: s for s in pair if s.name in wanted}
        else:
            resample = 0 if name == "explicitness" else bootstrap
            permute = min(null, SLOW_NULL) if name == "explicitness" else null
            found[name] = assess(name, QUICK[name], data, null=permute, bootstrap=resample, seed=seed)
    return {name: found[name] for name in wanted}


def _one(name: str, codes: Any, factors: Any, **options: Any) -> Score:
    seed, null, bootstrap, data = _prepared(codes, factors, **options)
    return assess(name, QUICK[name], data, null=null, bootstrap=bootstrap, seed=seed)


def _dci(data: Data, *, null: int, bootstrap: int, seed: int) -> tuple[Score, Score]:
    """Both scores of one set of trees."""
    known: dict[int, tuple[Parts, Parts]] = {}

    def part(i: int) -> Callable[[Data], Parts]:
        def compute(d: Data) -> Parts:
            key = hash((d.codes.tobytes(), d.factors.tobytes()))
            if key not in known:
                known[key] = regression.dci(d)
            return known[key][i]

        return compute

    settings = {"trees": "histogram gradient boosting, 100 rounds, depth 3, gain"}
    d, c = (
        assess(name, part(i), data, null=null, bootstrap=bootstrap, seed=seed, **settings)
        for i, name in enumerate(("dci_d", "dci_c"))
    )
    return d, c


def _prepared(
    codes: Any,
    factors: Any,
    *,
    seed: int = 0,
    null: int = 0,
    bootstrap: int = 0,
    parity: Parity = None,
    **options: Any,
) -> tuple[int, int, int, Data]:
    if parity == "disentanglement_lib":
        shape = np.shape(factors)
        parity_options = {"bins": 20, "binning": "width", "prune": "none", "kinds": ["categorical"] * shape[1]}
        options = {**options, **parity_options}
    elif parity is not None:
        raise ValueError(f"unknown parity {parity!r}; there is 'disentanglement_lib'")
    return seed, null, bootstrap, prepare(codes, factors, **options)
