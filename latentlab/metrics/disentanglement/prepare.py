"""Checks of codes and factors, and how they are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from latentlab.metrics.disentanglement.data import CATEGORIES, LABELLED, Binning, Data, Estimator
from latentlab.metrics.disentanglement.groups import name_groups

Parity = Literal["disentanglement_lib"] | None
KINDS = (*LABELLED, "continuous", "circular")


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
        kinds, names: of the factors, instead. Circular ones are in degrees, those of a table in its own unit.
        bins: for continuous values, 2 or more. Values that repeat, 64 of them at most, are their own bins unless they
            are cut into equal widths.
        binning: of the codes, "quantile" unless parity asks for "width".
        estimator: of mutual information, "bins", or "neighbours" which does not bin the codes (conditional forms do).
        neighbours: how many, for that.
        prune: "constant" leaves out dims that never change, "none" counts them, a number below 1 leaves out those whose
            standard deviation is at most that share of the largest. No metric sees what is left out; in `per_dim` and
            `matrix` it has zeros.
        groups: what to take for one dimension of the code: a label for each dim, as `group_by_axis` gives, or dims by
            name. Dims of no group are left out.
        spread: standard deviations `(sample, dim)` of codes that are drawn, as a VAE draws its own.
        parity: "disentanglement_lib" reads the data as that library does: 20 bins of equal width, factors as labels
            whatever their kinds (as numbers for `sap` without `test`, in 20 bins for `irs`), no dim left out.
        seed: of the metrics that draw samples.

    Raises:
        ValueError: shapes do not fit, fewer than 50 samples, NaN, a factor that never changes, unknown settings.

    >>> data = prepare(np.random.default_rng(0).standard_normal((100, 3)), np.arange(100)[:, None] % 4)
    >>> data.codes.shape, len(data.names)
    ((100, 3), 1)
    """
    if parity not in (None, "disentanglement_lib"):
        raise ValueError(f"unknown parity {parity!r}; there is 'disentanglement_lib'")
    if parity and kinds is not None:
        raise ValueError("parity reads every factor as labels; leave out `kinds`")
    binning = binning or ("width" if parity else "quantile")
    prune = ("none" if parity else "constant") if prune is None else prune
    z, f = check_codes(codes), check_factors(factors, codes)
    whole = isinstance(bins, int | np.integer) and isinstance(neighbours, int | np.integer)
    known = binning in ("quantile", "width") and estimator in ("bins", "neighbours")
    shares = prune in ("constant", "none") if isinstance(prune, str) else 0 <= prune < 1
    if not (known and whole and shares and neighbours >= 1 and bins >= 2):
        raise ValueError(f"unknown settings: {binning=}, {bins=}, {estimator=}, {neighbours=}, {prune=}")
    names = getattr(factors, "names", None) if names is None else names
    names = tuple(map(str, (f"factor{i}" for i in range(f.shape[1])) if names is None else names))
    kinds = getattr(factors, "kinds", None) if kinds is None else kinds
    kinds = len(names) * ("categorical",) if parity else tuple(map(_kind, f.T) if kinds is None else kinds)
    if not len(set(names)) == len(names) == len(kinds) == f.shape[1] or set(kinds) - set(KINDS):
        raise ValueError(
            f"{f.shape[1]} factors need as many different names and kinds, got names {names}, kinds {kinds}; a kind is "
            f"one of {', '.join(KINDS)}"
        )
    for name, column in zip(names, f.T, strict=True):
        if np.ptp(column) == 0:
            raise ValueError(f"factor {name!r} is always {column[0]:g}; leave it out, nothing can be said about it")
    drawn, alive = check_spread(spread, z.shape), active_dims(z, prune)
    every = dict(enumerate(np.arange(z.shape[1])[:, None])) if groups is None else name_groups(groups, z.shape[1])
    active = np.array([alive[dims].any() for dims in every.values()])
    kept = {unit: dims[alive[dims]] for unit, dims in every.items() if alive[dims].any()}
    kept = kept or dict([next(iter(every.items()))])  # where none counts, one stands for all
    columns = np.unique(np.concatenate([*kept.values()]))
    named = None if groups is None else {str(unit): np.searchsorted(columns, dims) for unit, dims in kept.items()}
    drawn = None if drawn is None else drawn[:, columns]
    return Data(z[:, columns], f, names, kinds, bins, binning, estimator, neighbours, columns, active, tuple(every),
                named, drawn, parity, seed)  # fmt: skip


def hold_out(data: Data, codes: Any, factors: Any) -> Data:
    """Other samples to judge on, whose codes are cut to the dims that count in `data`.

    Raises:
        ValueError: codes or factors that cannot be scored, or other than those of `data`.
    """
    z, f = check_codes(codes), check_factors(factors, codes)
    if z.shape[1] <= data.columns.max() or f.shape[1] != len(data.names):
        raise ValueError(f"test codes {z.shape} and factors {f.shape} are other than those to learn from")
    return replace(data, codes=z[:, data.columns], factors=f, spread=None)


def check_factors(factors: Any, codes: Any) -> Float[np.ndarray, "sample factor"]:
    """Factors as float64, numpy or torch in.

    Raises:
        ValueError: not `(sample, factor)`, not of the samples of the codes, text, NaN.
    """
    f = np.asarray(_numpy(getattr(factors, "degrees", factors)))
    if f.dtype.kind not in "biuf":
        raise ValueError(
            f"factors must be numbers, got {f.dtype}; np.unique(names, return_inverse=True)[1] makes numbers of names"
        )
    if f.ndim != 2 or len(codes) != len(f):
        raise ValueError(
            "expected codes (sample, dim) and factors (sample, factor) of the same samples; "
            f"got {len(codes)} codes and factors {f.shape}"
        )
    f = f.astype(np.float64)
    if bad := int((~np.isfinite(f)).sum()):
        raise ValueError(f"factors hold {bad} values that are NaN or infinite; drop those rows")
    return f


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
