"""What pairwise comparisons say: strengths with intervals, and what to compare or to try next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from jaxtyping import Float

from latentlab.checks import clear_errors
from latentlab.preference.ratings import ANSWERS, Rating

Z = 1.959964  # of a normal 95 % interval
PRIOR = 3.0  # standard deviation of strengths before anybody was asked; in logits, so that 3 is 95 % against 5 %


@dataclass(frozen=True, eq=False)
class Preference:
    """Strengths of items, in logits about their mean.

    Attributes:
        items: names.
        strength: log-strength of each, mean 0; a difference of 1 is odds of e among answers that are not "equal".
        joint: covariance of everything fitted: log-strengths before they were centred, lean, ties.
        lean: what being on the left is worth, logits; far from 0 says that sides were not judged fairly.
        ties: log of Davidson's nu; the higher, the more often "equal".
        count: of ratings.
        raters: how many gave them.
        inflation: how many answers say as much as one would if all were independent, 1 or more; see `fit`.
    """

    items: tuple[str, ...]
    strength: Float[np.ndarray, " item"]
    joint: Float[np.ndarray, "parameter parameter"]
    lean: float
    ties: float
    count: int
    raters: int
    inflation: float

    @property
    def covariance(self) -> Float[np.ndarray, "item item"]:
        """Of the strengths; only their differences are observed, so the uncertainty of their mean is left out."""
        return _centred(self.joint, len(self.items))

    @property
    def lean_error(self) -> float:
        """Standard error of the lean."""
        return float(np.sqrt(self.joint[-2, -2]))

    @property
    def interval(self) -> Float[np.ndarray, "item 2"]:
        """95 % of each strength."""
        half = Z * np.sqrt(np.diag(self.covariance))
        return np.stack([self.strength - half, self.strength + half], 1)

    @property
    def ranking(self) -> tuple[str, ...]:
        """Best first."""
        return tuple(self.items[i] for i in np.argsort(-self.strength, kind="stable"))

    def better(self, one: str, other: str) -> tuple[float, float, float]:
        """Difference of two strengths with its 95 % interval; strengths share errors, so intervals do not subtract.

        Raises:
            KeyError: an item that was not fitted.
        """
        if unknown := {one, other} - set(self.items):
            raise KeyError(f"no item {', '.join(sorted(unknown))}; there are {', '.join(self.items)}")
        contrast = np.zeros(len(self.items))
        contrast[self.items.index(one)], contrast[self.items.index(other)] = 1.0, -1.0
        gap, half = float(contrast @ self.strength), Z * float(np.sqrt(contrast @ self.covariance @ contrast))
        return gap, gap - half, gap + half

    def table(self) -> list[dict[str, float | str]]:
        """Best first, with intervals."""
        rows = sorted(zip(self.items, self.strength, self.interval, strict=True), key=lambda row: -row[1])
        return [{"item": i, "strength": float(s), "low": float(low), "high": float(high)} for i, s, (low, high) in rows]


@clear_errors
def fit(ratings: Sequence[Rating], items: Sequence[str] | None = None, *, prior: float = PRIOR) -> Preference:
    """The Bradley-Terry model with ties and sides (Davidson 1970; Davidson and Beaver 1977).

    Of items with strengths pi, left : right : equal is as  gamma pi_l : pi_r : nu sqrt(pi_l pi_r). In logarithms that
    is a softmax of linear scores, so the likelihood has one maximum, found by Newton's method. A weak normal prior on
    the logarithms keeps an item that always won at a finite place; its interval says how little is known.

    Answers of one rater go together: tastes differ. With several raters the information is divided by an inflation,
    the sum of the strengths' variances by the sandwich over raters (Liang and Zeger 1986) in that of independent
    answers; one factor for all, as Rao and Scott (1984) do, holds for few raters, too. With one rater nobody can tell:
    the intervals are then about this rater, not about people.

    Args:
        ratings: at least one.
        items: names; default those that were rated.
        prior: standard deviation of log-strengths, log gamma and log nu beforehand.

    Returns:
        Strengths with their covariance, the inverse of the information after the inflation, and the inflation.

    Raises:
        ValueError: no ratings, a rated item that is not listed, or a prior that is not positive.
    """
    names = tuple(dict.fromkeys(name for r in ratings for name in (r.left, r.right))) if items is None else tuple(items)
    if not ratings or not prior > 0:
        raise ValueError(f"a fit needs ratings and a positive prior, got {len(ratings)} and {prior}")
    if unknown := {name for r in ratings for name in (r.left, r.right)} - set(names):
        raise ValueError(f"ratings of {', '.join(sorted(unknown))}, which are not among the items")
    scores = _scores([(r.left, r.right) for r in ratings], names)
    said = scores[np.arange(len(ratings)), [ANSWERS.index(r.answer) for r in ratings]]
    theta = np.zeros(len(names) + 2)
    for _ in range(100):
        p = _softmax(scores @ theta)
        slope = said.sum(0) - np.einsum("na,nap->p", p, scores) - theta / prior**2
        information = _information(scores, p).sum(0) + np.eye(len(theta)) / prior**2
        step = np.linalg.solve(information, slope)
        theta += step / max(1.0, np.abs(step).max())  # at most one logit a step, as far from the maximum Newton leaps
        if np.abs(step).max() < 1e-10:
            break
    count, p = len(names), _softmax(scores @ theta)
    told, spread = _information(scores, p).sum(0), np.eye(len(theta)) / prior**2
    people = sorted({r.rater for r in ratings})
    sums = np.zeros((len(people), len(theta)))
    np.add.at(sums, [people.index(r.rater) for r in ratings], said - np.einsum("na,nap->np", p, scores))
    inflation = 1.0
    if len(people) > 1:
        inverse, observed = np.linalg.inv(told + spread), sums.T @ sums * len(people) / (len(people) - 1)
        clustered, independent = (_centred(inverse @ each @ inverse, count) for each in (observed, told))
        inflation = max(1.0, float(np.trace(clustered) / np.trace(independent)))
    return Preference(
        items=names,
        strength=theta[:count] - theta[:count].mean(),
        joint=np.linalg.inv(told / inflation + spread),
        lean=float(theta[count]),
        ties=float(theta[count + 1]),
        count=len(ratings),
        raters=len(people),
        inflation=inflation,
    )


@clear_errors
def next_pairs(found: Preference, count: int = 1) -> list[tuple[str, str]]:
    """Pairs `(left, right)` whose comparison makes the strengths surest: the least sum of their variances afterwards.

    Pairs that are even in strength and uncertain come first. A lean would be taken for strength by whoever always
    stands on one side, so sides balance by themselves. After each, the covariance is that after such a comparison.
    """
    pairs = list(permutations(found.items, 2))
    scores = _scores(pairs, found.items)
    gained = _information(scores, _softmax(scores @ np.array([*found.strength, found.lean, found.ties])))
    gained /= found.inflation
    items, covariance, chosen = len(found.items), found.joint, []
    for _ in range(min(count, len(pairs))):
        after = covariance @ np.linalg.inv(np.eye(len(covariance)) + gained @ covariance)
        strengths = after[:, :items, :items]
        # of centred strengths: the trace less the mean of all entries
        variance = np.trace(strengths, axis1=1, axis2=2) - strengths.sum((1, 2)) / items
        best = int(np.argmin([np.inf if pair in chosen else v for pair, v in zip(pairs, variance, strict=True)]))
        chosen.append(pairs[best])
        covariance = after[best]
    return chosen


@clear_errors
def next_settings(
    found: Preference,
    tried: Float[np.ndarray, "item setting"],
    candidates: Float[np.ndarray, "candidate setting"],
    count: int = 1,
) -> Float[np.ndarray, "count setting"]:
    """Settings to try next, none tried before: where a Gaussian process through the strengths may be highest.

    The upper end of the 95 % interval decides (GP-UCB, Srinivas et al. 2010). After each, the process takes its mean
    there for observed, so that several differ from one another.

    Args:
        found: of the settings that were compared.
        tried: their numbers, such as edit strengths, in the order of `found.items`.
        candidates: to choose from; those that were tried are left out.
        count: of settings.

    Raises:
        ValueError: shapes that do not fit, or fewer untried candidates than are asked for.
    """
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel

    def process(**options: Any) -> Any:
        settings: dict[str, Any] = {"alpha": noise + 1e-6, **options}
        return GaussianProcessRegressor(**settings).fit(known, value)

    tried, candidates = np.asarray(tried, float), np.asarray(candidates, float)
    if (
        tried.ndim != 2
        or len(tried) != len(found.items)
        or candidates.ndim != 2
        or candidates.shape[1:] != tried.shape[1:]
    ):
        raise ValueError(
            f"`tried` is ({len(found.items)}, setting) and `candidates` (candidate, setting), "
            f"got {tried.shape} and {candidates.shape}"
        )
    fresh = np.array([row for row in np.unique(candidates, axis=0) if not np.isclose(tried, row).all(1).any()])
    if not 1 <= count <= len(fresh):
        raise ValueError(
            f"{count} settings cannot be chosen of {len(fresh)} candidates that were not tried; count from 1"
        )
    scale = np.where(np.ptp(tried, 0) > 0, np.ptp(tried, 0), 1.0)
    known, value, noise = tried / scale, found.strength, np.diag(found.covariance)
    kernel = ConstantKernel(max(float(np.var(value)), 1e-3), "fixed") * RBF(0.5, (0.1, 3.0))
    kernel = process(kernel=kernel).kernel_
    chosen: list[np.ndarray] = []
    for _ in range(count):
        mean, error = process(kernel=kernel, optimizer=None).predict(fresh / scale, return_std=True)
        best = int(np.argmax(mean + Z * error))
        chosen.append(fresh[best])
        known, value = np.vstack([known, fresh[best] / scale]), np.append(value, mean[best])
        noise, fresh = np.append(noise, 1e-6), np.delete(fresh, best, 0)
    return np.stack(chosen)


def _scores(pairs: Sequence[tuple[str, str]], items: Sequence[str]) -> Float[np.ndarray, "pair 3 parameter"]:
    """Rows that give the logarithms of left, right and equal from (log-strengths, log gamma, log nu)."""
    place = {name: i for i, name in enumerate(items)}
    rows, scores = np.arange(len(pairs)), np.zeros((len(pairs), 3, len(items) + 2))
    left, right = ([place[pair[side]] for pair in pairs] for side in (0, 1))
    scores[rows, 0, left] = scores[rows, 1, right] = 1.0
    scores[rows, 2, left] = scores[rows, 2, right] = 0.5
    scores[:, 0, -2], scores[:, 2, -1] = 1.0, 1.0
    return scores


def _centred(joint: np.ndarray, count: int) -> Float[np.ndarray, "item item"]:
    """Covariance of strengths about their mean, from that of all parameters."""
    centre = np.eye(count) - 1 / count
    return centre @ joint[:count, :count] @ centre


def _softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def _information(scores: np.ndarray, p: np.ndarray) -> Float[np.ndarray, "pair parameter parameter"]:
    """Fisher's, of one answer to each pair: the covariance of its row of scores."""
    mean = np.einsum("na,nap->np", p, scores)
    return np.einsum("na,nap,naq->npq", p, scores, scores) - mean[:, :, None] * mean[:, None, :]
