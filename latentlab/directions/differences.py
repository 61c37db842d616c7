"""Directions as differences: of means, of pairs, of single channels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Self

import numpy as np

from latentlab.directions import evidence
from latentlab.directions.design import Design, Labels, joined
from latentlab.directions.finder import OneByOne, Supervised, two_sides


@dataclass(kw_only=True, eq=False, repr=False)
class MeanDifference(OneByOne):
    """Mean of the samples where a factor is highest, less that where it is lowest (Haas et al. 2024 in h-space).

    Args:
        share: of the samples on each side, see `two_sides`.
        conditional: see `OneByOne`.
        kinds, names, folds, permutations, random_state: see `Supervised`.

    >>> codes = np.array([[0.0, 1.0], [2.0, 1.0], [0.1, 1.0], [2.1, 1.0]])
    >>> MeanDifference(folds=0, permutations=0).fit(codes, [0, 1, 0, 1])["factor0"].vector
    array([1., 0.])
    """

    share: float = 0.1

    def _normal(self, codes: np.ndarray, column: np.ndarray, group: np.ndarray) -> np.ndarray:
        low, high = two_sides(column, self.share, group)
        return codes[high].mean(0, dtype=np.float64) - codes[low].mean(0, dtype=np.float64)


@dataclass(kw_only=True, eq=False, repr=False)
class PairedDifference(Supervised):
    """How the codes differ between samples that differ in one factor alone: the truth that other finders are held to.

    Samples that share all other factors form a group; within groups the codes are regressed on the factor, which for
    groups of two is the weighted mean of their differences. It needs such groups: sweeps of rendered clips.

    Groups are left out whole for t, R2 and p, which are NaN for a factor with fewer than two groups.

    Args:
        kinds, names, folds, permutations, random_state: see `Supervised`. Samples with an unknown factor are left out.

    Attributes:
        pairs_: samples beyond the first in each group, for each factor, `(factor,)`.

    >>> factors = np.array([[0.0, 5.0], [1.0, 5.0], [0.0, 7.0], [1.0, 7.0]])
    >>> codes = factors @ np.array([[1.0, 0.0], [3.0, 4.0]])
    >>> PairedDifference(folds=0).fit(codes, factors)["factor1"].vector
    array([0.6, 0.8])
    """

    complete: ClassVar[bool] = True

    def _find(self, codes: np.ndarray, design: Design) -> np.ndarray:
        return np.sum([self._find_one(factor, codes, design) for factor in np.unique(design.factor)], axis=0)

    def _find_one(self, factor: int, codes: np.ndarray, design: Design) -> np.ndarray:
        """Effects of the columns of one factor, zeros for others."""
        effects, own = np.zeros((len(design.names), codes.shape[1])), design.factor == factor
        group = _groups(design.columns[:, ~own])
        x, z = _within(design.columns[:, own], group), _within(codes.astype(np.float64), group)
        effects[own] = np.linalg.lstsq(x, z, rcond=1e-8)[0]
        return effects

    def _judge(
        self, codes: np.ndarray, design: Design, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Factor by factor, as a group of one is torn by those of another; each leaves its own groups out whole."""
        if len(np.unique(design.factor)) == 1:
            return super()._judge(codes, design, rng)  # nothing is shared, so there is nothing to tear
        t, r2, p = (np.full(len(design.names), np.nan) for _ in range(3))
        for factor in np.unique(design.factor):
            own = design.factor == factor
            group = _groups(design.columns[:, ~own])
            if (np.bincount(group) > 1).sum() < 2:
                continue
            group = joined(group, np.unique(design.group, return_inverse=True)[1])
            one = replace(design, group=group)
            parts = evidence.split_groups(group, self.folds, rng)
            if len(parts) < 2:
                continue
            refit = partial(evidence.refitted, partial(self._find_one, factor), codes, one, parts)
            along = evidence.projections(codes, parts, refit(evidence.others(len(parts))))
            r2[own] = evidence.predicted(along, one, parts)[own]
            along = evidence.projections(codes, parts[1:], refit(evidence.earlier(len(parts))))
            judged = np.sort(np.concatenate(parts[1:]))
            found = evidence.t_and_p(along[judged], one.rows(judged), self.permutations, rng)
            t[own], p[own] = (x[own] for x in found)
        return t, r2, p

    def _learn(self, codes: np.ndarray, design: Design, labels: Labels) -> Self:
        pairs = []
        for k, name in enumerate(labels.names):
            group = _groups(np.delete(labels.values, k, axis=1))
            pairs.append(len(group) - (group.max() + 1))
            inside = _within(labels.values[:, [k]], group)
            if np.abs(inside).max() <= 1e-9 * np.abs(labels.values[:, k]).max():
                raise ValueError(
                    f"no two samples differ in {name!r} alone; render sweeps of it, or use Effect, which needs no pairs"
                )
        self.pairs_ = np.array(pairs)
        return super()._learn(codes, design, labels)


@dataclass(kw_only=True, eq=False, repr=False)
class ChannelRanking(OneByOne):
    """StyleSpace (Wu et al. 2021): the dims that stand out most where a factor is high, and only those.

    A dim's score is the mean of the samples where the factor is highest, in standard deviations of that dim from its
    mean over all. Ten to thirty such samples suffice.

    Args:
        channels: how many dims a direction has.
        share: of the samples that are "high", see `two_sides`.
        conditional: see `OneByOne`; it gives up sparsity.
        kinds, names, folds, permutations, random_state: see `Supervised`.

    Attributes:
        scores_: of each dim, `(direction, dim)`.
        ranking_: dims of each direction, the best first, `(direction, dim)`.

    >>> codes = np.random.default_rng(0).standard_normal((200, 4))
    >>> ChannelRanking().fit(codes, codes[:, 2])["factor0"].vector
    array([0., 0., 1., 0.])
    """

    channels: int = 1
    share: float = 0.1

    def _normal(self, codes: np.ndarray, column: np.ndarray, group: np.ndarray) -> np.ndarray:
        if self.channels < 1:
            raise ValueError(f"channels must be at least 1, got {self.channels}")
        scores, spread = self._scores(codes, column, group)
        best = np.argsort(-np.abs(scores), kind="stable")[: self.channels]
        normal = np.zeros(len(scores))
        normal[best] = scores[best] * spread[best]
        return normal

    def _scores(self, codes: np.ndarray, column: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        high = two_sides(column, self.share, group)[1]
        spread = codes.std(0, dtype=np.float64)
        rise = codes[high].mean(0, dtype=np.float64) - codes.mean(0, dtype=np.float64)
        return np.divide(rise, spread, out=np.zeros_like(rise), where=spread > 0), spread

    def _learn(self, codes: np.ndarray, design: Design, labels: Labels) -> Self:
        super()._learn(codes, design, labels)
        known = [np.isfinite(column) for column in design.columns.T]
        self.scores_ = np.stack(
            [
                self._scores(codes[k], column[k], design.group[k])[0]
                for k, column in zip(known, design.columns.T, strict=True)
            ]
        )
        self.ranking_ = np.argsort(-np.abs(self.scores_), axis=1, kind="stable")
        return self


def _groups(others: np.ndarray) -> np.ndarray:
    """Which samples share all of these columns, to nine digits, as numbers from 0."""
    if not others.shape[1]:
        return np.zeros(len(others), int)
    size = np.maximum(np.abs(others).max(0), np.finfo(float).tiny)
    return np.unique((others / size).round(9), axis=0, return_inverse=True)[1].ravel()


def _within(x: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Each row less the mean of its group."""
    sums = np.zeros((group.max() + 1, x.shape[1]))
    np.add.at(sums, group, x)
    return x - (sums / np.bincount(group)[:, None])[group]
