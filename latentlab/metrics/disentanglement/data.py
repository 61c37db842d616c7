"""Codes and factors, checked and binned once, with what several metrics share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

Binning = Literal["quantile", "width"]
CATEGORIES = 64  # integer factors with at most so many values count as labels unless their kind says otherwise


@dataclass(frozen=True, eq=False)
class Data:
    """Codes beside the factors of the same samples.

    Attributes:
        codes: `(sample, dim)`, float64.
        factors: `(sample, factor)`, float64.
        names, kinds: of the factors.
        bins: for continuous values.
        binning: "quantile" (equal counts) or "width" (equal width, as disentanglement_lib does).
        active: dims that count, `(dim,)`.
    """

    codes: Float[np.ndarray, "sample dim"]
    factors: Float[np.ndarray, "sample factor"]
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    bins: int
    binning: Binning
    active: np.ndarray

    @cached_property
    def binned_codes(self) -> Int[np.ndarray, "dim sample"]:
        """Codes as small integers, one row for each dim."""
        return np.stack([_bin(column, self.bins, self.binning) for column in self.codes.T])

    @cached_property
    def labels(self) -> Int[np.ndarray, "factor sample"]:
        """Factors as small integers: the values of categorical and ordinal ones, bins of the rest."""
        labelled = [kind in ("categorical", "ordinal") for kind in self.kinds]
        pairs = zip(self.factors.T, labelled, strict=True)
        return np.stack(
            [np.unique(f, return_inverse=True)[1] if whole else _bin(f, self.bins, "quantile") for f, whole in pairs]
        )

    @cached_property
    def information(self) -> Float[np.ndarray, "dim factor"]:
        """Mutual information of each dim with each factor, nats; dims that do not count have none."""
        found = np.array([[mutual_information(z, f) for f in self.labels] for z in self.binned_codes])
        return np.where(self.active[:, None], found, 0.0)

    @cached_property
    def entropy(self) -> Float[np.ndarray, " factor"]:
        """Entropy of each factor, nats."""
        return np.array([_entropy(np.bincount(f)) for f in self.labels])

    def permuted(self, rng: np.random.Generator) -> Data:
        """The codes beside the factors of other samples: what scores are when the codes know nothing."""
        return self._rows(np.arange(len(self.codes)), rng.permutation(len(self.codes)))

    def resampled(self, rng: np.random.Generator) -> Data:
        """A bootstrap sample."""
        rows = rng.integers(len(self.codes), size=len(self.codes))
        return self._rows(rows, rows)

    def _rows(self, of_codes: np.ndarray, of_factors: np.ndarray) -> Data:
        other = replace(self, codes=self.codes[of_codes], factors=self.factors[of_factors])
        # Bins are those of the whole set: they are not what is uncertain.
        other.__dict__["binned_codes"] = self.binned_codes[:, of_codes]
        other.__dict__["labels"] = self.labels[:, of_factors]
        return other


def prepare(
    codes: Any,
    factors: Any,
    *,
    kinds: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    bins: int = 20,
    binning: Binning = "quantile",
    prune: Literal["constant", "none"] = "constant",
) -> Data:
    """Checks codes and factors and puts them side by side.

    Args:
        codes: `(sample, dim)`, numpy or torch.
        factors: `(sample, factor)`; a `FactorTable` brings names and kinds, a plain array of few integers is
            categorical, any other continuous.
        kinds, names: of the factors, instead.
        bins: for continuous values, 2 or more.
        binning: of the codes.
        prune: "constant" leaves out dims that never change, "none" counts them.

    Raises:
        ValueError: shapes do not fit, fewer than 50 samples, NaN, a factor that never changes, unknown settings.
    """
    z, f = np.asarray(_numpy(codes), dtype=np.float64), np.asarray(_numpy(factors), dtype=np.float64)
    if z.ndim != 2 or f.ndim != 2 or len(z) != len(f):
        shapes = f"{z.shape} and {f.shape}"
        raise ValueError(f"expected codes (sample, dim) and factors (sample, factor) of the same samples; got {shapes}")
    if len(z) < 50:
        raise ValueError(f"{len(z)} samples are too few for any of these scores; 50 is the least, 1,000 is good")
    for what, values in (("codes", z), ("factors", f)):
        if bad := int((~np.isfinite(values)).sum()):
            raise ValueError(f"{what} hold {bad} values that are NaN or infinite; drop those rows")
    if binning not in ("quantile", "width") or bins < 2 or prune not in ("constant", "none"):
        raise ValueError(f"unknown settings: binning={binning!r}, bins={bins}, prune={prune!r}")
    names = tuple(names or getattr(factors, "names", None) or (f"factor{i}" for i in range(f.shape[1])))
    kinds = tuple(kinds or getattr(factors, "kinds", None) or map(_kind, f.T))
    if not len(names) == len(kinds) == f.shape[1]:
        raise ValueError(f"{f.shape[1]} factors, {len(names)} names, {len(kinds)} kinds")
    for name, column in zip(names, f.T, strict=True):
        if np.ptp(column) == 0:
            raise ValueError(f"factor {name!r} is always {column[0]:g}; leave it out, nothing can be said about it")
    active = np.ptp(z, axis=0) > 0 if prune == "constant" else np.ones(z.shape[1], bool)
    return Data(z, f, names, kinds, bins, binning, active)


def mutual_information(a: Int[np.ndarray, " sample"], b: Int[np.ndarray, " sample"]) -> float:
    """I(a; b) in nats from counts: H(a) + H(b) - H(a, b)."""
    width = int(b.max()) + 1
    joint = np.bincount(a * width + b, minlength=(int(a.max()) + 1) * width).reshape(-1, width)
    return max(0.0, _entropy(joint.sum(1)) + _entropy(joint.sum(0)) - _entropy(joint.ravel()))


def _entropy(counts: np.ndarray) -> float:
    counts = counts[counts > 0]
    total = counts.sum()
    return float(np.log(total) - (counts * np.log(counts)).sum() / total)


def _bin(values: np.ndarray, bins: int, binning: Binning) -> np.ndarray:
    if binning == "width":
        edges = np.histogram_bin_edges(values, bins)[:-1]
        return np.digitize(values, edges) - 1
    edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1]))
    return np.searchsorted(edges, values, side="right")


def _kind(column: np.ndarray) -> str:
    whole = bool((column == np.round(column)).all())
    return "categorical" if whole and len(np.unique(column)) <= CATEGORIES else "continuous"


def _numpy(x: Any) -> Any:
    return x.detach().cpu().numpy() if hasattr(x, "detach") else x
