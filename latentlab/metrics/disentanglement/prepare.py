"""Checks of codes and factors, and how they are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from latentlab.metrics.disentanglement.data import LABELLED, Binning, Data, Estimator
from latentlab.metrics.disentanglement.groups import name_groups

Parity = Literal["disentanglement_lib"] | None
KINDS = (*LABELLED, "continuous", "circular")
CATEGORIES = 64  # integer factors with at most so many values count as labels unless their kind says otherwise


def prepare(
    codes: Any,
    factors: Any,
    *,
    kinds: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    bins: int = 20,
    binning: Binning | None = None,
    estimator: Estimator = "bins",
    neighbours: int = 10,
    prune: Literal["constant", "none"] | float | None = None,
    groups: Mapping[str, Sequence[int]] | Sequence[Any] | None = None,
    spread: Any = None,
    parity: Parity = None,
    seed: int = 0,
) -> Data:
    """Checks codes and factors and puts them side by side.

    Args:
        codes: `(sample, dim)`, numpy or torch.
        factors: `(sample, factor)`; a `FactorTable` brings names and kinds, a plain array of few integers is
            categorical, any other continuous.
        kinds, names: of the factors, instead. Circular ones are in degrees.
        bins: for continuous values, 2 or more.
        binning: of the codes, "quantile" unless parity asks for "width".
        estimator: of mutual information, "bins", or "neighbours" which does not bin the codes (conditional forms do).
        neighbours: how many, for that.
        prune: "constant" leaves out dims that never change, "none" counts them, a number leaves out those whose
            standard deviation is at most that share of the largest.
        groups: what to take for one dimension of the code: a label for each dim, as `group_by_axis` gives, or dims by
            name. Dims of no group are left out.
        spread: standard deviations `(sample, dim)` of codes that are drawn, as a VAE draws its own.
        parity: "disentanglement_lib" reads the data as that library does: 20 bins of equal width, factors as labels,
            no dim left out.
        seed: of the metrics that draw samples.

    Raises:
        ValueError: shapes do not fit, fewer than 50 samples, NaN, a factor that never changes, unknown settings.

    >>> data = prepare(np.random.default_rng(0).standard_normal((100, 3)), np.arange(100)[:, None] % 4)
    >>> data.codes.shape, len(data.names)
    ((100, 3), 1)
    """
    if parity not in (None, "disentanglement_lib"):
        raise ValueError(f"unknown parity {parity!r}; there is 'disentanglement_lib'")
    binning = binning or ("width" if parity else "quantile")
    prune = ("none" if parity else "constant") if prune is None else prune
    z, f = check_codes(codes), np.asarray(_numpy(factors), dtype=np.float64)
    if f.ndim != 2 or len(z) != len(f):
        shapes = f"{z.shape} and {f.shape}"
        raise ValueError(f"expected codes (sample, dim) and factors (sample, factor) of the same samples; got {shapes}")
    if bad := int((~np.isfinite(f)).sum()):
        raise ValueError(f"factors hold {bad} values that are NaN or infinite; drop those rows")
    known = binning in ("quantile", "width") and estimator in ("bins", "neighbours") and neighbours >= 1 and bins >= 2
    if not known or (isinstance(prune, str) and prune not in ("constant", "none")):
        raise ValueError(f"unknown settings: {binning=}, {bins=}, {estimator=}, {neighbours=}, {prune=}")
    names = tuple(names or getattr(factors, "names", None) or (f"factor{i}" for i in range(f.shape[1])))
    plain = ["categorical"] * f.shape[1] if parity else map(_kind, f.T)
    kinds = tuple(kinds or getattr(factors, "kinds", None) or plain)
    if not len(names) == len(kinds) == f.shape[1] or set(kinds) - set(KINDS):
        raise ValueError(f"{f.shape[1]} factors, names {names}, kinds {kinds}; a kind is one of {', '.join(KINDS)}")
    for name, column in zip(names, f.T, strict=True):
        if np.ptp(column) == 0:
            raise ValueError(f"factor {name!r} is always {column[0]:g}; leave it out, nothing can be said about it")
    named = None if groups is None else name_groups(groups, z.shape[1])
    active = active_dims(z, prune)
    if named is not None:
        active = np.array([active[dims].any() for dims in named.values()])
    drawn = check_spread(spread, z.shape)
    return Data(z, f, names, kinds, bins, binning, estimator, neighbours, active, named, drawn, seed)


def check_codes(codes: Any) -> Float[np.ndarray, "sample dim"]:
    """Codes as float64, numpy or torch in.

    Raises:
        ValueError: not `(sample, dim)`, fewer than 50 samples, NaN.
    """
    z = np.asarray(_numpy(codes), dtype=np.float64)
    if z.ndim != 2 or not z.shape[1]:
        raise ValueError(
            f"expected codes (sample, dim) and factors (sample, factor) of the same samples; got {z.shape}"
        )
    if len(z) < 50:
        raise ValueError(f"{len(z)} samples are too few for any of these scores; 50 is the least, 1,000 is good")
    if bad := int((~np.isfinite(z)).sum()):
        raise ValueError(f"codes hold {bad} values that are NaN or infinite; drop those rows")
    return z


def check_spread(spread: Any, shape: tuple[int, ...]) -> Float[np.ndarray, "sample dim"] | None:
    """Standard deviations of drawn codes, numpy or torch in.

    Raises:
        ValueError: not one for each code, or negative.
    """
    if spread is None:
        return None
    found = np.asarray(_numpy(spread), dtype=np.float64)
    if found.shape != shape or not (found >= 0).all():
        raise ValueError(f"spread must be standard deviations, one for each code {shape}; got shape {found.shape}")
    return found


def active_dims(codes: Float[np.ndarray, "sample dim"], prune: Literal["constant", "none"] | float) -> np.ndarray:
    """Which dims count, see `prepare`."""
    if prune == "none":
        return np.ones(codes.shape[1], bool)
    moving = np.ptp(codes, axis=0) > 0
    if prune == "constant":
        return moving
    deviation = codes.std(0)
    return moving & (deviation > float(prune) * deviation.max())


def _kind(column: np.ndarray) -> str:
    whole = bool((column == np.round(column)).all())
    return "categorical" if whole and len(np.unique(column)) <= CATEGORIES else "continuous"


def _numpy(x: Any) -> Any:
    return x.detach().cpu().numpy() if hasattr(x, "detach") else x
