"""What a metric returns, with its null level and its interval."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, Protocol, Self, TypeVar

import numpy as np
from tqdm.auto import tqdm

FEW_NULL, FEW_BOOTSTRAP = 3, 5  # for the metrics that train something


class Parts(NamedTuple):
    """A score and what it is made of."""

    value: float
    per_factor: np.ndarray | None = None
    per_dim: np.ndarray | None = None
    matrix: np.ndarray | None = None


class Evidence(Protocol):
    """What a metric looks at: codes beside factors, codes alone, or codes of several models."""

    def permuted(self, rng: np.random.Generator) -> Self: ...
    def halved(self, rng: np.random.Generator) -> Self: ...
    @property
    def settings(self) -> dict[str, Any]: ...


E = TypeVar("E", bound=Evidence)


@dataclass(frozen=True)
class Metric(Generic[E]):
    """A metric by name.

    Attributes:
        name: in `score`.
        of: the formula.
        slow: trains or draws, so null and interval are made of few repetitions.
        null: whether codes that know nothing have a level of their own.
        bounded: whether 1 is the best value, so that it can be adjusted for chance.
        conditional: whether it is made of mutual information only, so that factors can be taken given others.
        by_unit: whether rows of its matrix stand for units of the code.
        settings: how it computes.
    """

    name: str
    of: Callable[[E], Parts]
    slow: bool = False
    null: bool = True
    bounded: bool = True
    conditional: bool = False
    by_unit: bool = True
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Score:
    """A score that can be trusted.

    Attributes:
        name: of the metric.
        value: the score as published.
        null: what codes that know nothing score here: mean over permutations of the factors. None if not asked for.
        adjusted: (value - null) / (1 - null): 0 for chance, 1 for perfect; NaN where chance scores 1 already, as with
            a single factor in `modularity`.
        ci: 95 % interval of `adjusted` (of `value` where that is None), from random halves of the samples: a bootstrap
            without replacement, see `assess`. None if not asked for.
        conditional: the value where what a unit tells of a factor is counted given the factor it tells most of, if
            both are correlated; None where none are, or where the metric is not made of mutual information; NaN where
            samples are too few to tell, as `settings["conditional"]` then says.
        per_factor, per_dim, matrix: what the value is made of, where the metric has it; matrix is `(dim, factor)`, and
            for groups of dims each stands for one dim.
        settings: how it was computed: kinds, bins, dims that do not count, factors that are correlated, and how many
            permutations and halves there were.
    """

    name: str
    value: float
    null: float | None = None
    adjusted: float | None = None
    ci: tuple[float, float] | None = None
    conditional: float | None = None
    per_factor: dict[str, float] = field(default_factory=dict)
    per_dim: np.ndarray | None = None
    matrix: np.ndarray | None = None
    settings: dict[str, Any] = field(default_factory=dict)


def assess(
    metrics: Sequence[Metric[E]],
    evidence: E,
    *,
    null: int = 0,
    bootstrap: int = 0,
    seed: int = 0,
    progress: bool = False,
) -> dict[str, Score]:
    """Scores the evidence, `null` permutations of it and `bootstrap` halves of it, by metric.

    All metrics look at the same permutations and halves, so what they share is computed once for each. A half drawn
    without replacement varies about the whole as the whole varies about the truth (the delete-half jackknife, Shao & Wu
    1989), and repeats no sample, which trees and neighbours would take for knowledge.
    """
    whole = all(isinstance(n, int | np.integer) and n >= 0 for n in (null, bootstrap, seed))
    if not whole or bootstrap == 1:
        raise ValueError(
            f"null and seed must be whole numbers of 0 or more, bootstrap 0 or at least 2; got {null=}, {bootstrap=}, "
            f"{seed=}"
        )
    with tqdm(total=len(metrics) * (1 + null + bootstrap), desc="scoring", disable=not progress) as bar:

        def values(chosen: list[Metric[E]], other: E) -> dict[str, float]:
            found = {}
            for metric in chosen:
                found[metric.name] = metric.of(other).value
                bar.update()
            return found

        parts = {}
        for metric in metrics:
            parts[metric.name] = metric.of(evidence)
            bar.update()
        chance: dict[str, list[float]] = {metric.name: [] for metric in metrics}
        varied: dict[str, list[float]] = {metric.name: [] for metric in metrics}
        for i in range(null):
            chosen = [m for m in metrics if m.null and (i < FEW_NULL or not m.slow)]
            found = values(chosen, evidence.permuted(np.random.default_rng([seed, 0, i]))) if chosen else {}
            for name, value in found.items():
                chance[name].append(value)
            bar.update(len(metrics) - len(chosen))
        for i in range(bootstrap):
            chosen = [m for m in metrics if i < FEW_BOOTSTRAP or not m.slow]
            found = values(chosen, evidence.halved(np.random.default_rng([seed, 1, i]))) if chosen else {}
            for name, value in found.items():
                varied[name].append(value)
            bar.update(len(metrics) - len(chosen))
    given, missing = _given_correlated(evidence) if any(m.conditional for m in metrics) else (None, None)
    names, restored = getattr(evidence, "names", ()), getattr(evidence, "restored", None)
    scores = {}
    for m in metrics:
        part = restored(parts[m.name]) if restored and m.by_unit else parts[m.name]
        level, adjusted, interval = _against(part.value, m, chance, varied)
        each = [] if part.per_factor is None else [*map(float, part.per_factor)]
        settings = {**evidence.settings, "null": len(chance[m.name]), "bootstrap": len(varied[m.name]), "seed": seed}
        conditional = m.of(given).value if m.conditional and given is not None else None
        if m.conditional and missing:
            conditional, settings["conditional"] = float("nan"), missing
        scores[m.name] = Score(m.name, float(part.value), level, adjusted, interval, conditional,
                               dict(zip(names, each, strict=bool(each))), part.per_dim, part.matrix,
                               {**settings, **m.settings})  # fmt: skip
    return scores


def _against(
    value: float, metric: Metric, chance: dict[str, list[float]], varied: dict[str, list[float]]
) -> tuple[float | None, float | None, tuple[float, float] | None]:
    """Null level, adjusted value, and Student's interval from the spread over halves and of the null level."""
    from scipy.special import stdtrit

    nulls, halves = np.array(chance[metric.name]), np.array(varied[metric.name])
    level = float(nulls.mean()) if len(nulls) else None
    scale = 1 - level if level is not None and metric.bounded else 1.0
    adjusted = None
    if level is not None and metric.bounded:
        adjusted = float((value - level) / scale) if scale > 0 else float("nan")
    if not len(halves):
        return level, adjusted, None
    if not np.isfinite(halves).all():
        return level, adjusted, (float(halves.min()), float(halves.max()))
    variance = halves.var(ddof=1) + (nulls.var(ddof=1) / len(nulls) if len(nulls) > 1 else 0.0)
    half = float(stdtrit(len(halves) - 1, 0.975) * np.sqrt(variance) / scale) if scale > 0 else float("nan")
    centre = value if adjusted is None else adjusted
    return level, adjusted, (float(centre - half), float(centre + half))


def _given_correlated(evidence: Any) -> tuple[Any, str | None]:
    """The data given correlated factors, None where none are; and why it is missing where some are."""
    if not getattr(evidence, "correlated", None):
        return None, None
    given = evidence.given_correlated()
    told = "; ".join(f"{evidence.names[a]} and {evidence.names[b]}" for a, b in evidence.correlated)
    missing = None if given else f"{len(evidence.codes)} samples are too few to tell {told} apart; bring more"
    warnings.warn(
        f"factors are correlated: {told}. A code of one tells of the other, so gaps shrink; `conditional` is the score "
        f"given the correlated factors{f', but {missing}' if missing else ''}", stacklevel=4,
    )  # fmt: skip
    return given, missing
