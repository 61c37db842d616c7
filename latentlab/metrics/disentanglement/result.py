"""What a metric returns, with its null level and its interval."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from latentlab.metrics.disentanglement.data import Data


class Parts(NamedTuple):
    """A score and what it is made of."""

    value: float
    per_factor: np.ndarray | None = None
    per_dim: np.ndarray | None = None
    matrix: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Score:
    """A score that can be trusted.

    Attributes:
        name: of the metric.
        value: the score as published.
        null: what codes that know nothing score here: mean over permutations of the factors. None if not asked for.
        adjusted: (value - null) / (1 - null): 0 for chance, 1 for perfect.
        ci: 95 % bootstrap interval of `adjusted` (of `value` without a null). None if not asked for.
        per_factor, per_dim, matrix: what the value is made of, where the metric has it; matrix is `(dim, factor)`.
        settings: how it was computed.
    """

    name: str
    value: float
    null: float | None = None
    adjusted: float | None = None
    ci: tuple[float, float] | None = None
    per_factor: dict[str, float] = field(default_factory=dict)
    per_dim: np.ndarray | None = None
    matrix: np.ndarray | None = None
    settings: dict[str, Any] = field(default_factory=dict)


def assess(
    name: str, compute: Callable[[Data], Parts], data: Data, *, null: int, bootstrap: int, seed: int, **settings: Any
) -> Score:
    """Scores the data, `null` permutations of it and `bootstrap` samples of it.

    The bootstrap repeats samples, which lifts every estimate of information; so its spread is used, not its centre.
    """
    parts = compute(data)
    chance = adjusted = interval = None
    if null:
        rngs = [np.random.default_rng([seed, 0, i]) for i in range(null)]
        chance = float(np.mean([compute(data.permuted(rng)).value for rng in rngs]))
        adjusted = _adjust(parts.value, chance)
    if bootstrap:
        rngs = [np.random.default_rng([seed, 1, i]) for i in range(bootstrap)]
        values = np.array([compute(data.resampled(rng)).value for rng in rngs])
        low, high = parts.value + np.quantile(values - values.mean(), [0.025, 0.975])
        if chance is not None:
            low, high = _adjust(low, chance), _adjust(high, chance)
        interval = (float(low), float(high))
    per_factor = {} if parts.per_factor is None else dict(zip(data.names, map(float, parts.per_factor), strict=True))
    common = {"samples": len(data.codes), "dims": data.codes.shape[1], "active": int(data.active.sum())}
    kinds = {"kinds": data.kinds, "bins": data.bins, "binning": data.binning, "null": null, "bootstrap": bootstrap}
    return Score(
        name, parts.value, chance, adjusted, interval, per_factor, parts.per_dim, parts.matrix,
        {**common, **kinds, "seed": seed, **settings},
    )  # fmt: skip


def _adjust(value: float, null: float) -> float:
    return float((value - null) / (1 - null)) if null < 1 else float("nan")
