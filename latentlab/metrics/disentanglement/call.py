"""How every metric is called on plain arrays."""

from __future__ import annotations

from typing import Any

from latentlab.metrics.disentanglement.data import Data
from latentlab.metrics.disentanglement.prepare import prepare
from latentlab.metrics.disentanglement.result import Metric, Score, assess


def ask(
    metric: Metric[Data], codes: Any, factors: Any, *, null: int = 0, bootstrap: int = 0, seed: int = 0, **options: Any
) -> Score:
    """One metric of codes beside factors; `null` and `bootstrap` as in `score`, the rest as in `prepare`."""
    data = prepare(codes, factors, seed=seed, **options)
    return assess([metric], data, null=null, bootstrap=bootstrap, seed=seed)[metric.name]


def ask_all(metrics: tuple[Metric[Data], ...], codes: Any, factors: Any, **options: Any) -> tuple[Score, ...]:
    """Several metrics of one computation, in their order."""
    chance = {name: options.pop(name) for name in ("null", "bootstrap") if name in options}
    data = prepare(codes, factors, **options)
    return tuple(assess(metrics, data, seed=options.get("seed", 0), **chance).values())
