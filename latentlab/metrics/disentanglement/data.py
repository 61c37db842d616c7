"""Codes and factors, checked and binned once, with what several metrics share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, TypeVar

import numpy as np
from jaxtyping import Bool, Float, Int

from latentlab.metrics.disentanglement.counts import (
    assign_bins,
    conditional_information,
    entropy,
    mutual_information,
    neighbour_information,
)
from latentlab.metrics.disentanglement.groups import read_group
from latentlab.metrics.disentanglement.result import Parts

Binning = Literal["quantile", "width"]
Estimator = Literal["bins", "neighbours"]
LABELLED = ("categorical", "ordinal")
CATEGORIES = 64  # at most so many values that repeat count as they are, without bins
CORRELATED = 0.02  # share of a factor's entropy that another one may tell before both are called correlated
Answer = TypeVar("Answer")


@dataclass(frozen=True, eq=False)
class Data:
    """Codes beside the factors of the same samples.

    A *unit* is what a metric takes for one dimension of the code: a dim, or a group of them.

    Attributes:
        codes: `(sample, dim)`, float64, the dims that count: `columns` of the codes given.
        factors: `(sample, factor)`, float64.
        names, kinds: of the factors.
        bins: for continuous values.
        binning: "quantile" (equal counts) or "width" (equal width, as disentanglement_lib does).
        estimator: of mutual information, "bins" (counts) or "neighbours" (distances to the k-th nearest code).
        neighbours: k.
        columns: which dims of the codes given these are, `(dim,)`.
        active: which of the units given count, `(given,)`.
        given: their names.
        groups: dims of each unit that counts, by name; None where each dim is a unit.
        spread: standard deviations of codes that are drawn, `(sample, dim)`; None where they are not.
        parity: the library whose ways are followed, None for our own.
        seed: of the metrics that draw samples.
    """

    codes: Float[np.ndarray, "sample dim"]
    factors: Float[np.ndarray, "sample factor"]
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    bins: int
    binning: Binning
    estimator: Estimator
    neighbours: int
    columns: np.ndarray
    active: np.ndarray
    given: tuple[str | int, ...]
    groups: Mapping[str, np.ndarray] | None = None
    spread: np.ndarray | None = None
    parity: str | None = None
    seed: int = 0

    @cached_property
    def units(self) -> list[np.ndarray]:
        """Dims of each unit."""
        return [np.array([j]) for j in range(self.codes.shape[1])] if self.groups is None else [*self.groups.values()]

    @cached_property
    def binned_codes(self) -> Int[np.ndarray, "dim sample"]:
        """Codes as small integers, one row for each dim."""
        return assign_bins(self.codes.T, self.bins, self.binning, CATEGORIES)

    @cached_property
    def labels(self) -> Int[np.ndarray, "factor sample"]:
        """Factors as small integers: the values of categorical and ordinal ones, bins of the rest."""
        return np.stack([
            np.unique(f, return_inverse=True)[1] if kind in LABELLED
            else assign_bins(f[None], self.bins, "quantile", CATEGORIES)[0]
            for f, kind in zip(self.factors.T, self.kinds, strict=True)
        ])  # fmt: skip

    @cached_property
    def readings(self) -> Int[np.ndarray, "unit factor sample"]:
        """What each unit says of each factor, as small integers: its bin; of a group of dims, the prediction."""
        shape = (len(self.names), len(self.codes))
        if self.groups is None:
            return np.broadcast_to(self.binned_codes[:, None], (len(self.units), *shape))
        columns = [*zip(self.factors.T, self.labels, self.kinds, strict=True)]

        def read(dims: np.ndarray) -> np.ndarray:
            if len(dims) == 1:
                return np.broadcast_to(self.binned_codes[dims[0]], shape)
            return np.stack([
                assign_bins(r[None], self.bins, "quantile")[0] if r.dtype.kind == "f" else r
                for r in read_group(self.codes[:, dims], columns)
            ])  # fmt: skip

        return np.stack([read(dims) for dims in self.units])

    @cached_property
    def information(self) -> Float[np.ndarray, "unit factor"]:
        """Mutual information of each unit with each factor, nats; units that do not count have none."""
        if self.estimator == "neighbours" and self.groups is None:
            return self.neighbour_information
        found = np.array([mutual_information(z, self.labels) for z in self.binned_codes]) if self.groups is None else (
            np.array([[mutual_information(r, f[None])[0] for r, f in zip(rs, self.labels, strict=True)]
                      for rs in self.readings]))  # fmt: skip
        return found

    @cached_property
    def neighbour_information(self) -> Float[np.ndarray, "unit factor"]:
        """The same from distances to the k-th nearest neighbour (Ross 2014): no bins, less bias with few samples."""
        found = np.zeros((len(self.units), len(self.names)))
        for j, column in enumerate(self.codes.T):
            found[j] = neighbour_information(column, self.labels, self.neighbours, self.seed)
        return found

    @cached_property
    def entropy(self) -> Float[np.ndarray, " factor"]:
        """Entropy of each factor, nats."""
        return np.array([max(entropy(np.bincount(f)), 1e-12) for f in self.labels])

    @cached_property
    def correlated(self) -> dict[tuple[int, int], float]:
        """Pairs of factors that tell of each other beyond chance, with the share of the smaller entropy."""
        found, n = {}, len(self.codes)
        for a, b in zip(*np.triu_indices(len(self.names), 1), strict=True):
            shared = mutual_information(self.labels[a], self.labels[b][None])[0]
            free = self.labels[a].max() * self.labels[b].max()  # 2 n I is chi-square of so many degrees of freedom
            share = (shared - free / (2 * n)) / min(self.entropy[a], self.entropy[b])
            if share > CORRELATED and 2 * n * shared > free + 5 * np.sqrt(2 * free):
                found[int(a), int(b)] = float(share)
        return found

    def given_correlated(self) -> Data | None:
        """The same data, where what a unit tells of a factor is what it tells given the factor that it tells most of.

        Only where the two are correlated: a code of one tells of the other, given the one it does not. So Watcharasupat
        & Lerch (2021) answer for the runner-up of a gap. Chance is put back at the level that all other entries have.
        None where samples are too few.
        """
        rng = np.random.default_rng(self.seed)
        information, own = self.information.copy(), (self.information / self.entropy).argmax(1)
        for j, k in np.ndindex(information.shape):
            if (min(own[j], k), max(own[j], k)) in self.correlated:
                columns = self.readings[j, k], self.labels[k], self.labels[own[j]]
                chance = mutual_information(columns[0], rng.permutation(columns[1])[None])[0]
                information[j, k] = chance + conditional_information(*columns, seed=self.seed)
        if np.isnan(information).any():
            return None
        other = replace(self)
        other.__dict__.update(self.__dict__, information=information, _known={})
        return other

    @property
    def kept(self) -> Int[np.ndarray, " unit"]:
        """Which of the units given are scored; where none counts, the first stands for all."""
        return np.flatnonzero(self.active) if self.active.any() else np.array([0])

    def restored(self, parts: Parts) -> Parts:
        """What a metric found, with zeros for the units that do not count."""

        def whole(found: np.ndarray | None) -> np.ndarray | None:
            if found is None:
                return None
            every = np.zeros((len(self.given), *found.shape[1:]))
            every[self.kept] = found
            return every

        return parts._replace(per_dim=whole(parts.per_dim), matrix=whole(parts.matrix))

    def once(self, compute: Callable[[Data], Answer]) -> Answer:
        """`compute` of this data, remembered: what several metrics are made of."""
        known = self.__dict__.setdefault("_known", {})
        if compute not in known:
            known[compute] = compute(self)
        return known[compute]

    def permuted(self, rng: np.random.Generator) -> Data:
        """The codes beside the factors of other samples: what scores are when the codes know nothing."""
        everyone = np.arange(len(self.codes))
        return self._rows(everyone, rng.permutation(len(self.codes)))

    def halved(self, rng: np.random.Generator) -> Data:
        """A random half of the samples. How a score varies from half to half is how it varies from sample to sample."""
        rows = np.sort(rng.permutation(len(self.codes))[: len(self.codes) // 2])
        return self._rows(rows, rows)

    def about(self, factor: int, rows: Bool[np.ndarray, " sample"]) -> Data:
        """One factor alone, of some samples; bins of the codes are those of all."""
        one = {"names": (self.names[factor],), "kinds": (self.kinds[factor],)}
        other = replace(self._rows(rows, rows), **one, factors=self.factors[rows, factor, None])
        if self.groups is None:
            other.__dict__["binned_codes"] = self.binned_codes[:, rows]
        return other

    def _rows(self, of_codes: np.ndarray, of_factors: np.ndarray) -> Data:
        spread = None if self.spread is None else self.spread[of_codes]
        other = replace(self, codes=self.codes[of_codes], factors=self.factors[of_factors], spread=spread)
        # Bins are those of the whole set: they are not what is uncertain.
        other.__dict__["labels"] = self.labels[:, of_factors]
        if self.groups is None:
            other.__dict__["binned_codes"] = self.binned_codes[:, of_codes]
        elif of_codes is of_factors:
            other.__dict__["readings"] = self.readings[..., of_codes]
        return other

    @property
    def settings(self) -> dict[str, Any]:
        """How the data were read, for the record."""
        inactive = [unit for unit, on in zip(self.given, self.active, strict=True) if not on]
        correlated = {f"{self.names[a]}, {self.names[b]}": round(s, 3) for (a, b), s in self.correlated.items()}
        return {
            "samples": len(self.codes), "dims": self.codes.shape[1], "units": len(self.given),
            "active": int(self.active.sum()), "inactive": inactive,
            "kinds": self.kinds, "bins": self.bins, "binning": self.binning,
            "estimator": self.estimator if self.groups is None else "bins",  # of predictions
            "correlated": correlated, "parity": self.parity,
        }  # fmt: skip


def split(count: int, share: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows to learn from and rows to judge on, at random; `share` of them to learn from."""
    rows = np.random.default_rng([seed, count]).permutation(count)
    return np.sort(rows[: round(share * count)]), np.sort(rows[round(share * count) :])
