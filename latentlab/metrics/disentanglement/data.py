"""Codes and factors, checked and binned once, with what several metrics share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, Literal, TypeVar

import numpy as np
from jaxtyping import Bool, Float, Int

from latentlab.metrics.disentanglement.counts import (
    assign_bins,
    beyond_chance,
    conditional_information,
    entropy,
    mutual_information,
    neighbour_information,
)
from latentlab.metrics.disentanglement.groups import read_group
from latentlab.metrics.disentanglement.result import Evidence, Parts
from latentlab.metrics.disentanglement.rows import Groups, draw_rows, shuffle
from latentlab.shapes import in_a_line

Binning = Literal["quantile", "width"]
Estimator = Literal["bins", "neighbours"]
LABELLED = ("categorical", "ordinal")
CATEGORIES = 64  # at most so many values that repeat count as they are, without bins
CORRELATED = 0.02  # share of a factor's entropy that another one may tell before both are called correlated
ALARM = 0.001  # chance that units, or factors, which tell nothing of factors are said to, of all pairs together
BEYOND = 4  # deviations above chance from which a unit of grouped rows tells of a factor
SHUFFLED = 8  # orders that the information of grouped rows is held against
Answer = TypeVar("Answer")


@dataclass(frozen=True, eq=False, repr=False)
class Data(Evidence):
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
        blocks: dims of each unit that counts, by name; None where each dim is a unit.
        groups: of the rows: which of them belong together, `(sample,)`; None where each stands alone.
        spread: standard deviations of codes that are drawn, `(sample, dim)`; None where they are not.
        parity: the library whose ways are followed, None for our own.
        seed: of the metrics that draw samples.
        corrected: whether `information` is without the bias of few samples.
        common: what does not depend on the number of samples, shared by all data made of these.
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
    blocks: Mapping[str, np.ndarray] | None = None
    groups: Groups = None
    spread: np.ndarray | None = None
    parity: str | None = None
    seed: int = 0
    corrected: bool = False
    common: dict[str, Any] = field(default_factory=dict, repr=False)

    __repr__ = in_a_line

    @cached_property
    def units(self) -> list[np.ndarray]:
        """Dims of each unit."""
        return [np.array([j]) for j in range(self.codes.shape[1])] if self.blocks is None else [*self.blocks.values()]

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
        if self.blocks is None:
            return np.broadcast_to(self.binned_codes[:, None], (len(self.units), *shape))
        columns = [*zip(self.factors.T, self.labels, self.kinds, strict=True)]

        def read(dims: np.ndarray) -> np.ndarray:
            if len(dims) == 1:
                return np.broadcast_to(self.binned_codes[dims[0]], shape)
            return np.stack([
                assign_bins(r[None], self.bins, "quantile")[0] if r.dtype.kind == "f" else r
                for r in read_group(self.codes[:, dims], columns, self.groups)
            ])  # fmt: skip

        return np.stack([read(dims) for dims in self.units])

    @cached_property
    def information(self) -> Float[np.ndarray, "unit factor"]:
        """Mutual information of each unit with each factor, nats."""
        return self.unbiased if self.corrected else self.counted

    @cached_property
    def counted(self) -> Float[np.ndarray, "unit factor"]:
        """The same as estimated, chance included."""
        if self.estimator == "neighbours" and self.blocks is None:
            return self.neighbour_information
        return self._of_each_factor(mutual_information)

    @cached_property
    def unbiased(self) -> Float[np.ndarray, "unit factor"]:
        """The same without the bias of few samples; of grouped rows, stretched from what other orders of the groups
        give, and the factor's entropy, to 0 and that entropy."""
        if self.groups is not None:
            above = (self.counted - self.chance.mean(0)) / np.maximum(self.entropy - self.chance.mean(0), 1e-12)
            return np.maximum(self.entropy * above, 0.0)
        if self.estimator == "neighbours" and self.blocks is None:
            return self.neighbour_information
        return np.maximum(self._of_each_factor(partial(mutual_information, unbiased=True)), 0.0)

    @cached_property
    def told(self) -> Bool[np.ndarray, "unit factor"]:
        """Whether a unit tells of a factor beyond chance, which of many pairs is often far (Bonferroni)."""
        if self.groups is None:
            pairs = len(self.readings) * len(self.labels)
            return self._of_each_factor(partial(beyond_chance, level=ALARM / pairs))
        return self.counted > self.chance.mean(0) + BEYOND * self.chance.std(0, ddof=1)

    @cached_property
    def chance(self) -> Float[np.ndarray, "order unit factor"]:
        """Information of the codes beside the factors of other groups."""
        orders = (np.random.default_rng([self.seed, 2, i]) for i in range(SHUFFLED))
        return np.stack([self.permuted(rng).counted for rng in orders])

    @property
    def pattern(self) -> Float[np.ndarray, "order unit factor"]:
        """How information that is chance alone is shared out: `chance`, of whatever number of samples."""
        if "pattern" not in self.common:
            self.common["pattern"] = self.chance
        return self.common["pattern"]

    def _of_each_factor(self, compute: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
        return np.stack([compute(self.readings[:, k], labels) for k, labels in enumerate(self.labels)], 1)

    def without_bias(self) -> Data:
        """The same data, with information as of endless samples."""
        return self._with(corrected=True)

    def _with(self, **changes: Any) -> Data:
        """The same data with what was computed of it, but for these."""
        other = replace(self)
        known = {name: value for name, value in vars(self).items() if name not in ("information", "_known")}
        vars(other).update(known | changes)
        return other

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
        """Pairs of factors that tell of each other beyond chance, with the share of the smaller entropy.

        Of many pairs some are far from chance, so each has its part of `ALARM` (Bonferroni). Of grouped rows, other
        orders of the groups say what chance is.
        """
        from scipy.special import ndtri

        found, pairs = {}, [*zip(*np.triu_indices(len(self.names), 1), strict=True)]
        level = ALARM / max(1, len(pairs))
        deviations = -float(ndtri(level)) + 2  # and a little more, as information by chance is skew
        seeds = (np.random.default_rng([self.seed, 3, i]) for i in range(SHUFFLED))
        orders = [shuffle(len(self.codes), self.groups, rng) for rng in seeds]
        for a, b in pairs:
            rows, labels = self.labels[a, None], self.labels[b]
            least = min(self.entropy[a], self.entropy[b])
            if self.groups is None:
                told, shared = beyond_chance(rows, labels, level), mutual_information(rows, labels, unbiased=True)
            else:
                chance = np.array([mutual_information(rows[:, one], labels[two]) for one, two in orders])
                plain = mutual_information(rows, labels)
                told = plain > chance.mean(0) + deviations * chance.std(0, ddof=1)
                shared = least * (plain - chance.mean(0)) / np.maximum(least - chance.mean(0), 1e-12)
            if told[0] and shared[0] > CORRELATED * least:
                found[int(a), int(b)] = float(shared[0] / least)
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
                chance = mutual_information(columns[0][None], rng.permutation(columns[1]))[0]
                information[j, k] = chance + conditional_information(*columns, seed=self.seed)
        if np.isnan(information).any():
            return None
        return self._with(information=information)

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
        known = vars(self).setdefault("_known", {})
        if compute not in known:
            known[compute] = compute(self)
        return known[compute]

    def permuted(self, rng: np.random.Generator) -> Data:
        """The codes beside the factors of other samples: what scores are when the codes know nothing."""
        other = self._rows(*shuffle(len(self.codes), self.groups, rng))
        if "chance" in vars(self):  # which is that of the same values in other orders
            vars(other)["chance"] = self.chance
        return other

    def part(self, share: float, rng: np.random.Generator) -> Data:
        """A share of the samples at random, whole groups of them."""
        rows = draw_rows(share, len(self.codes), self.groups, rng)
        return self._rows(rows, rows)

    def split(self, share: float) -> tuple[np.ndarray, np.ndarray]:
        """Rows to learn from, a share of them at random, and rows to judge on; groups are not divided."""
        count = len(self.codes)
        learn = draw_rows(share, count, self.groups, np.random.default_rng([self.seed, count]))
        return learn, np.setdiff1d(np.arange(count), learn)

    def about(self, factor: int, rows: Bool[np.ndarray, " sample"]) -> Data:
        """One factor alone, of some samples; bins of the codes are those of all."""
        one = {"names": (self.names[factor],), "kinds": (self.kinds[factor],)}
        other = replace(self._rows(rows, rows), **one, factors=self.factors[rows, factor, None], common={})
        if self.blocks is None:
            vars(other)["binned_codes"] = self.binned_codes[:, rows]
        return other

    def _rows(self, of_codes: np.ndarray, of_factors: np.ndarray) -> Data:
        spread = None if self.spread is None else self.spread[of_codes]
        groups = None if self.groups is None else np.unique(self.groups[of_codes], return_inverse=True)[1]
        given = {"codes": self.codes[of_codes], "factors": self.factors[of_factors]}
        other = replace(self, **given, spread=spread, groups=groups)
        # Bins are those of the whole set: they are not what is uncertain.
        vars(other)["labels"] = self.labels[:, of_factors]
        if self.blocks is None:
            vars(other)["binned_codes"] = self.binned_codes[:, of_codes]
        elif of_codes is of_factors:
            vars(other)["readings"] = self.readings[..., of_codes]
        return other

    @property
    def settings(self) -> dict[str, Any]:
        """How the data were read, for the record."""
        inactive = [unit for unit, on in zip(self.given, self.active, strict=True) if not on]
        correlated = {f"{self.names[a]}, {self.names[b]}": round(s, 3) for (a, b), s in self.correlated.items()}
        return {
            "samples": len(self.codes), "groups": None if self.groups is None else int(self.groups.max()) + 1,
            "dims": self.codes.shape[1], "units": len(self.given),
            "active": int(self.active.sum()), "inactive": inactive,
            "kinds": self.kinds, "bins": self.bins, "binning": self.binning,
            "estimator": self.estimator if self.blocks is None else "bins",  # of predictions
            "correlated": correlated, "parity": self.parity,
        }  # fmt: skip
