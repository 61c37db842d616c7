"""What somebody likes of settings that vary along axes, learned from ratings, and what to show next.

Somebody likes a setting where every axis has a value that they like: "large, slow, cyan" is liked where all three hold.
For each axis they may not care, like one value alone, or all but one; a rating says the wrong thing now and then. The
chance of every such taste is known in closed form, so nothing is sampled but what is shown (Thompson 1933).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from latentlab.checks import Count, Seed, clear_errors

INDIFFERENT = 0.4  # chance beforehand that an axis does not matter
NOISE = np.array([0.05, 0.1, 0.2, 0.3])  # shares of ratings that may be slips, all as likely
MOST = 4_000_000  # tastes that are weighed against each other
SURE = 0.975


@clear_errors
@dataclass(frozen=True, eq=False)
class Taste:
    """Chances of all tastes, after some ratings.

    Args:
        axes: values by the name of the axis.
        tried: number of the value on each axis, of each clip that was rated.
        liked: what was said of it.

    Raises:
        ValueError: no axis, an axis without values, values that are none of an axis, or too many of all.

    >>> axes = {"size": ("small", "large"), "hue": ("red", "cyan")}
    >>> taste = Taste(axes, [[1, 1], [0, 1], [1, 0]], [True, False, False])
    >>> taste.best()
    {'size': 'large', 'hue': 'cyan'}
    """

    axes: Mapping[str, Sequence[Any]]
    tried: Int[np.ndarray, "rating axis"] | Sequence[Sequence[int]]
    liked: Bool[np.ndarray, " rating"] | Sequence[bool]

    def __post_init__(self) -> None:
        counts = [len(values) for values in self.axes.values()]
        tried = np.asarray(self.tried, int).reshape(-1, len(counts)) if counts else np.zeros((0, 0), int)
        if not counts or min(counts) < 1 or len(tried) != len(self.liked):
            raise ValueError(
                f"a taste needs axes with values and an answer for each clip tried, got {counts} values, "
                f"{len(tried)} tried and {len(self.liked)} answers"
            )
        if len(tried) and (tried.min() < 0 or (tried.max(0) >= counts).any()):
            raise ValueError(f"values are numbered from 0 on axes of {counts}, got up to {tried.max(0).tolist()}")
        if (tastes := math.prod(len(_subsets(count)) for count in counts)) > MOST:
            raise ValueError(f"axes of {counts} values leave {tastes:,} tastes open, more than {MOST:,}; take fewer")
        object.__setattr__(self, "tried", tried)
        object.__setattr__(self, "liked", np.asarray(self.liked, bool))

    @cached_property
    def _halves(self) -> tuple[np.ndarray, np.ndarray]:
        """Which settings of one half of the axes a taste of that half admits, (taste, setting), for both halves."""
        subsets = [_subsets(len(values)) for values in self.axes.values()]
        sizes = np.cumsum([math.log(len(s)) for s in subsets])
        cut = int(np.argmin(np.abs(sizes[:-1] - sizes[-1] / 2))) + 1 if len(sizes) > 1 else 1
        found = []
        for part in (subsets[:cut], subsets[cut:]):
            admits = np.ones((1, 1))
            for own in part:
                admits = np.kron(admits, own)
            found.append(admits)
        return found[0], found[1]

    @cached_property
    def _places(self) -> tuple[np.ndarray, np.ndarray]:
        """The settings tried, by their places among those of each half."""
        counts, first = [len(values) for values in self.axes.values()], self._halves[0].shape[1]
        flat = np.ravel_multi_index(tuple(np.asarray(self.tried).T), counts) if len(self.liked) else np.zeros(0, int)
        return np.divmod(flat, math.prod(counts) // first)

    @cached_property
    def chance(self) -> Float[np.ndarray, "first second"]:
        """Of each taste, by its two halves, the share of slips integrated out."""
        (one, two), (a, b) = self._halves, self._places
        signs = np.where(self.liked, 1.0, -1.0)
        hits = (one[:, a] * signs) @ two[:, b].T + (~np.asarray(self.liked)).sum()  # ratings that a taste explains
        log = np.stack([hits * math.log(1 - e) + (len(signs) - hits) * math.log(e) for e in NOISE])
        log += self._prior
        chance = np.exp(log - log.max()).sum(0)
        return chance / chance.sum()

    @property
    def _prior(self) -> np.ndarray:
        log, sizes = np.zeros(1), [len(values) for values in self.axes.values()]
        for size in sizes:
            log = np.add.outer(log, _log_prior(size)).ravel()
        return log.reshape(self._halves[0].shape[0], self._halves[1].shape[0])

    def admitted(self) -> Float[np.ndarray, ...]:
        """Chance that a setting is liked, slips aside: an array with an axis for each axis."""
        one, two = self._halves
        return (one.T @ self.chance @ two).reshape([len(values) for values in self.axes.values()])

    def best(self) -> dict[str, Any]:
        """The setting that is liked most surely."""
        admitted = self.admitted()
        return self._setting(np.unravel_index(int(admitted.argmax()), admitted.shape))

    def values(self) -> dict[str, list[float]]:
        """Chance that each value of each axis is liked where all else is the best."""
        admitted = self.admitted()
        top = np.unravel_index(int(admitted.argmax()), admitted.shape)
        return {name: admitted[(*top[:i], slice(None), *top[i + 1 :])].tolist() for i, name in enumerate(self.axes)}

    def settled(self) -> bool:
        """Whether it is sure (97.5 %) that the best setting is liked, and of any other that it is, too, or likely not.

        No other can then be better: nothing is left to look for but more of what is liked.
        """
        admitted = self.admitted()
        return bool(admitted.max() > SURE and ((admitted > SURE) | (admitted < 0.5)).all())

    @clear_errors
    def propose(self, count: Count, *, seed: Seed = 0, draws: Count = 8, repeat: bool = True) -> list[dict[str, Any]]:
        """Settings to show next: for each, tastes are drawn by their chances, and what most of them like is shown.

        Before anybody said a thing, every value comes as often as the others.

        Args:
            count: of settings.
            seed: of the draws; together with the number of ratings it says what is proposed.
            draws: tastes for one setting. 1 is Thompson sampling; more of them use what is known more.
            repeat: whether a setting may be shown again; where it is the same clip it need not be.
        """
        rng, sizes = np.random.default_rng([seed, len(self.liked)]), [len(values) for values in self.axes.values()]
        if not len(self.liked):
            places: list[tuple[int, ...]] = []
            for _ in range(100):
                columns = [rng.permutation(np.resize(rng.permutation(size), count)) for size in sizes]
                places = list(zip(*columns, strict=True))
                if repeat or len(set(places)) == len(places):
                    break
            return [self._setting(place) for place in places]
        (one, two), flat = self._halves, self.chance.ravel()
        shown = np.zeros(math.prod(sizes))
        found = []
        if not repeat:
            shown[np.ravel_multi_index(tuple(np.asarray(self.tried).T), sizes)] = draws + 1
        for _ in range(count):
            first, second = np.divmod(rng.choice(len(flat), size=draws, p=flat), len(two))
            votes = (one[first].T @ two[second]).ravel() - shown + 1e-6 * rng.random(math.prod(sizes))
            place = int(votes.argmax())
            if not repeat:
                shown[place] = draws + 1
            found.append(self._setting(np.unravel_index(place, sizes)))
        return found

    def _setting(self, places: Iterable[Any]) -> dict[str, Any]:
        return {name: values[int(i)] for (name, values), i in zip(self.axes.items(), places, strict=True)}


def _subsets(count: int) -> Float[np.ndarray, "subset value"]:
    """What may be liked of an axis: everything, one value, all but one."""
    alone, every = np.eye(count), np.ones((1, count))
    if count == 1:
        return every
    return np.concatenate([every, alone, 1 - alone] if count > 2 else [every, alone])


def _log_prior(count: int) -> Float[np.ndarray, " subset"]:
    others = len(_subsets(count)) - 1
    return np.log([INDIFFERENT, *[(1 - INDIFFERENT) / others] * others]) if others else np.zeros(1)
