"""What a metric returns, with its null level and its interval."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, Self, TypeVar

import numpy as np
from tqdm.auto import tqdm

from latentlab.shapes import in_a_line
from latentlab.warning import warn

FEW_NULL, FEW_BOOTSTRAP = 3, 5  # for the metrics that train something
PART, FEW_PART = 0.75, 0.5  # of the samples, that a score is also taken of; of the metrics that train something
STRANGERS = 2  # orders of the factors that a part's own chance level is made of
BEYOND = 3  # deviations from its null level at which a score is no longer one of chance


class Parts(NamedTuple):
    """A score and what it is made of."""

    value: float
    per_factor: np.ndarray | None = None
    per_dim: np.ndarray | None = None
    matrix: np.ndarray | None = None


class Evidence(ABC):
    """What a metric looks at: codes beside factors, codes alone, or codes of several models.

    Attributes:
        names: of what has a score of its own, such as factors.
    """

    names: tuple[str, ...]

    @abstractmethod
    def permuted(self, rng: np.random.Generator) -> Self:
        """The same, where codes know nothing."""

    @abstractmethod
    def part(self, share: float, rng: np.random.Generator) -> Self:
        """A share of it at random."""

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """How it was read, for the record."""

    @property
    def correlated(self) -> Mapping[tuple[int, int], float]:
        """Pairs of factors that tell of each other; of what has no factors, none."""
        return {}

    def given_correlated(self) -> Self | None:
        """The same given correlated factors; None where samples are too few."""
        return self

    def without_bias(self) -> Self:
        """The same as of endless samples, where it is made of counts."""
        return self

    def restored(self, parts: Parts) -> Parts:
        """What a metric found, for all units that were given."""
        return parts


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
        counts: whether it is made of mutual information from counts, whose bias is known.
        conditional: whether it is made of nothing else, so that factors can be taken given others.
        by_unit: whether rows of its matrix stand for units of the code.
        settings: how it computes.
    """

    name: str
    of: Callable[[E], Parts]
    slow: bool = False
    null: bool = True
    bounded: bool = True
    counts: bool = False
    conditional: bool = False
    by_unit: bool = True
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Score:
    """A score that can be trusted.

    Attributes:
        name: of the metric.
        value: the score as published, of these samples.
        null: what codes that know nothing score here: mean over permutations of the factors. None if not asked for.
        adjusted: (score - null) / (1 - null), both without the bias of few samples: what `value` would come to with
            endless ones, 0 for chance and 1 for perfect. NaN where chance scores 1 already, as with a single factor in
            `modularity`. Mutual information loses its bias; what is learned from samples keeps the rest of its own.
        ci: 95 % interval of `adjusted`; of the value without bias where that is None. None if not asked for.
        p: chance that codes which know nothing score as high: (1 + permutations that do) / (1 + permutations).
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
    p: float | None = None
    conditional: float | None = None
    per_factor: dict[str, float] = field(default_factory=dict)
    per_dim: np.ndarray | None = None
    matrix: np.ndarray | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    __repr__ = in_a_line


class Sample(NamedTuple):
    """Scores of some samples, one of each pair as published and one without the bias that is known."""

    value: tuple[float, float]
    nulls: list[tuple[float, float]]


def assess(
    metrics: Sequence[Metric[E]],
    evidence: E,
    *,
    null: int = 0,
    bootstrap: int = 0,
    seed: int = 0,
    progress: bool = False,
) -> dict[str, Score]:
    """Scores the evidence, `null` permutations of it and `bootstrap` parts of it, by metric.

    All metrics look at the same permutations and parts, so what they share is computed once for each. Parts are three
    quarters of the samples, or halves for the metrics that are slow, drawn without replacement: they repeat no sample,
    which trees and neighbours would take for knowledge. Each is held against permutations of its own, so that what the
    marginals do to both cancels. Their variance tells that of the whole (the delete-d jackknife of Shao & Wu), unless
    the score is not beyond chance: it then varies as permutations do, and parts by up to three times too much.
    """
    whole = all(isinstance(n, int | np.integer) and n >= 0 for n in (null, bootstrap, seed))
    if not whole or bootstrap == 1:
        raise ValueError(
            f"null and seed must be whole numbers of 0 or more, bootstrap 0 or at least 2; got {null=}, {bootstrap=}, "
            f"{seed=}"
        )
    with tqdm(total=_steps(metrics, null, bootstrap), desc="scoring", disable=not progress or None) as bar:
        parts = {}
        for metric in metrics:
            parts[metric.name] = metric.of(evidence)
            bar.update()
        found = {m.name: Sample((0.0, 0.0), []) for m in metrics}
        if null or bootstrap:
            found = {m.name: Sample(_both(m, evidence, parts[m.name].value), []) for m in metrics}
        for i in range(null):
            strange = evidence.permuted(np.random.default_rng([seed, 0, i]))
            for m in metrics:
                if m.null and (i < FEW_NULL or not m.slow):
                    found[m.name].nulls.append(_both(m, strange))
            bar.update()
        drawn: dict[str, list[Sample]] = {m.name: [] for m in metrics}
        for share, chosen, count in (
            (PART, [m for m in metrics if not m.slow], bootstrap),
            (FEW_PART, [m for m in metrics if m.slow], min(bootstrap, FEW_BOOTSTRAP)),
        ):
            for i in range(count if chosen else 0):
                part = evidence.part(share, np.random.default_rng([seed, 1, i]))
                paired = STRANGERS if null and not chosen[0].slow else 0
                strangers = [part.permuted(np.random.default_rng([seed, 1, i, k])) for k in range(paired)]
                for m in chosen:
                    own = [_both(m, strange) for strange in strangers] if m.null and m.bounded else []
                    drawn[m.name].append(Sample(_both(m, part), own))
                bar.update()
    given, missing = _given_correlated(evidence) if any(m.conditional for m in metrics) else (None, None)
    scores = {}
    for m in metrics:
        part = evidence.restored(parts[m.name]) if m.by_unit else parts[m.name]
        nulls = np.array([plain for plain, _ in found[m.name].nulls])
        level = float(nulls.mean()) if len(nulls) else None
        adjusted, interval = _estimate(m, found[m.name], drawn[m.name])
        p = float((1 + (nulls >= part.value).sum()) / (1 + len(nulls))) if len(nulls) else None
        each = [] if part.per_factor is None else [*map(float, part.per_factor)]
        counts = {"null": len(nulls), "bootstrap": len(drawn[m.name]), "seed": seed}
        settings = {**evidence.settings, **counts}
        conditional = m.of(given).value if m.conditional and given is not None else None
        if m.conditional and missing:
            conditional, settings["conditional"] = float("nan"), missing
        scores[m.name] = Score(m.name, float(part.value), level, adjusted, interval, p, conditional,
                               dict(zip(evidence.names, each, strict=bool(each))), part.per_dim, part.matrix,
                               {**settings, **m.settings})  # fmt: skip
    return scores


def _steps(metrics: Sequence[Metric[E]], null: int, bootstrap: int) -> int:
    slow = sum(metric.slow for metric in metrics)
    return len(metrics) + null + bootstrap * (slow < len(metrics)) + min(bootstrap, FEW_BOOTSTRAP) * (slow > 0)


def _both(metric: Metric[E], evidence: E, value: float | None = None) -> tuple[float, float]:
    """The score as published, and without the bias that is known."""
    value = float(metric.of(evidence).value if value is None else value)
    return value, float(metric.of(evidence.without_bias()).value) if metric.counts else value


def _estimate(metric: Metric, whole: Sample, parts: list[Sample]) -> tuple[float | None, tuple[float, float] | None]:
    """The score of endless samples against chance, and its 95 % interval."""
    from scipy.special import stdtrit

    nulls = np.array([found for _, found in whole.nulls])
    against = len(nulls) > 0 and metric.bounded
    level = float(nulls.mean()) if against else 0.0
    if level >= 1:
        return float("nan"), (float("nan"), float("nan")) if parts else None
    scale = 1 - level
    centre = (whole.value[1] - level) / scale
    if not parts:
        return (centre if against else None), None
    values, own = np.array([part.value[1] for part in parts]), [[found for _, found in part.nulls] for part in parts]
    paired = against and all(own)
    levels = np.mean(own, 1) if paired else np.full(len(values), level)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = (values - levels) / (1 - levels)
    if not np.isfinite([centre, *values]).all():
        return (centre if against else None), (float(values.min()), float(values.max()))
    share = FEW_PART if metric.slow else PART
    chance = nulls.var(ddof=1) / scale**2 if against and len(nulls) > 1 else 0.0
    # d adjusted / d level = -(1 - adjusted) / (1 - level): a perfect score does not mind where chance is.
    mind = (1 - centre) ** 2
    spread = float(values.var(ddof=1))
    if paired:  # less what the few orders of each part add
        spread = max(spread - mind * float(np.var(own, axis=1, ddof=1).mean()) / STRANGERS / scale**2, spread / 4)
    variance, free = spread * share / (1 - share), len(values) - 1
    if against and not metric.slow and abs(centre) < BEYOND * np.sqrt(chance):
        variance, free = chance, len(nulls) - 1
    variance += mind * chance / max(1, len(nulls))
    half = float(stdtrit(free, 0.975) * np.sqrt(variance))
    most = 1.0 if metric.bounded else np.inf
    return (centre if against else None), (min(centre - half, most), min(centre + half, most))


def _given_correlated(evidence: E) -> tuple[E | None, str | None]:
    """The data given correlated factors, None where none are; and why it is missing where some are."""
    if not evidence.correlated:
        return None, None
    given = evidence.given_correlated()
    told = "; ".join(f"{evidence.names[a]} and {evidence.names[b]}" for a, b in evidence.correlated)
    missing = None if given else f"{evidence.settings['samples']} samples are too few to tell {told} apart; bring more"
    warn(
        f"factors are correlated: {told}. A code of one tells of the other, so gaps shrink; `conditional` is the score "
        f"given the correlated factors{f', but {missing}' if missing else ''}",
    )  # fmt: skip
    return given, missing
