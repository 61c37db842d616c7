"""Checks of codes and factors, and how they are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from latentlab.checks import Seed, as_numbers, clear_errors
from latentlab.factors import FactorTable, as_array, column_names
from latentlab.metrics.disentanglement.data import CATEGORIES, LABELLED, Binning, Data, Estimator
from latentlab.metrics.disentanglement.groups import name_groups
from latentlab.metrics.disentanglement.rows import group_rows
from latentlab.warning import warn

Parity = Literal["disentanglement_lib"] | None
KINDS = (*LABELLED, "continuous", "circular")
LARGEST = 1e100  # of a code or factor: squares of larger numbers, and their sums, would overflow


@clear_errors
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
    units: Mapping[str, Sequence[int]] | Sequence[Any] | None = None,
    groups: Any = None,
    spread: Any = None,
    parity: Parity = None,
    seed: Seed = 0,
) -> Data:
    """Checks codes and factors and puts them side by side.

    Args:
        codes: `(sample, dim)`, numpy or torch.
        factors: `(sample, factor)`; a `FactorTable` brings names and kinds, a data frame names. Of a plain array or a
            data frame a column of few integers, each there twice on average, is categorical, any other continuous.
        kinds, names: of the factors, instead. Circular ones are in degrees, those of a table in its own unit.
        bins: for continuous values, 2 or more. Values that repeat, 64 of them at most, are their own bins unless they
            are cut into equal widths.
        binning: of the codes, "quantile" unless parity asks for "width".
        estimator: of mutual information, "bins", or "neighbours" which does not bin the codes (conditional forms do).
        neighbours: how many, for that.
        prune: "constant" leaves out dims that never change, "none" counts them, a number below 1 leaves out those whose
            standard deviation is at most that share of the largest. No metric sees what is left out; in `per_dim` and
            `matrix` it has zeros.
        units: what to take for one dimension of the code: a label for each dim, as `group_by_axis` gives, or dims by
            name. Dims of no unit are left out.
        groups: which samples belong together, a label for each, such as the clip of every frame; 10 groups or more.
            They stay together wherever samples are shuffled, drawn, or left out to judge on.
        spread: standard deviations `(sample, dim)` of codes that are drawn, as a VAE draws its own.
        parity: "disentanglement_lib" reads the data as that library does: 20 bins of equal width, factors as labels
            whatever their kinds (as numbers for `sap` without `test`, in 20 bins for `irs`), no dim left out.
        seed: of the metrics that draw samples.

    Warns:
        FutureWarning: `groups` names dims, which are `units` now.

    Raises:
        ValueError: shapes do not fit, fewer than 50 samples, NaN, no numbers or such that floats do not hold, a factor
            that never changes, unknown settings.

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
    z, f = codes_array(codes), check_factors(factors, codes)
    whole = isinstance(bins, int | np.integer) and isinstance(neighbours, int | np.integer)
    known = binning in ("quantile", "width") and estimator in ("bins", "neighbours")
    shares = prune in ("constant", "none") if isinstance(prune, str) else 0 <= prune < 1
    if not (known and whole and shares and neighbours >= 1 and bins >= 2):
        raise ValueError(f"unknown settings: {binning=}, {bins=}, {estimator=}, {neighbours=}, {prune=}")
    if bins > len(z) // 2:
        raise ValueError(
            f"{bins} bins for {len(z)} samples: a bin of one sample tells of that sample alone, and every score would "
            f"be that of chance; take {max(2, len(z) // 20)} bins or so, or estimator='neighbours', which has none"
        )
    table = factors if isinstance(factors, FactorTable) else None
    names = column_names(factors) if names is None else names
    names = tuple(map(str, (f"factor{i}" for i in range(f.shape[1])) if names is None else names))
    kinds = table.kinds if table and kinds is None else kinds
    kinds = len(names) * ("categorical",) if parity else tuple(map(_kind, f.T) if kinds is None else kinds)
    if not len(set(names)) == len(names) == len(kinds) == f.shape[1] or set(kinds) - set(KINDS):
        raise ValueError(
            f"{f.shape[1]} factors need as many different names and kinds, got names {names}, kinds {kinds}; a kind is "
            f"one of {', '.join(KINDS)}"
        )
    f = _once_round(in_degrees(f, kinds, factors), kinds)
    for name, column in zip(names, f.T, strict=True):
        if np.ptp(column) == 0:
            raise ValueError(f"factor {name!r} is always {column[0]:g}; leave it out, nothing can be said about it")
    if (still := np.ptp(z, axis=0) < 1 / LARGEST).any():
        z = np.where(still, 0.0, z)  # the mean of many 0.1 is not 0.1, and metrics would score the difference
    if groups is not None and units is None and (isinstance(groups, Mapping) or len(groups) == z.shape[1] != len(z)):
        told = "groups of dims are `units` now, and `groups` are samples that belong together; this meaning will go"
        warn(told, FutureWarning)
        units, groups = groups, None
    drawn, alive = check_spread(spread, z.shape), active_dims(z, prune)
    every = dict(enumerate(np.arange(z.shape[1])[:, None])) if units is None else name_groups(units, z.shape[1])
    active = np.array([alive[dims].any() for dims in every.values()])
    kept = {unit: dims[alive[dims]] for unit, dims in every.items() if alive[dims].any()}
    kept = kept or dict([next(iter(every.items()))])  # where none counts, one stands for all
    columns = np.unique(np.concatenate([*kept.values()]))
    named = None if units is None else {str(unit): np.searchsorted(columns, dims) for unit, dims in kept.items()}
    drawn = None if drawn is None else drawn[:, columns]
    return Data(z[:, columns], f, names, kinds, bins, binning, estimator, neighbours, columns, active, tuple(every),
                named, group_rows(groups, len(z)), drawn, parity, seed)  # fmt: skip


def hold_out(data: Data, test: tuple[Any, Any]) -> Data:
    """Other samples to judge on, codes and factors, whose codes are cut to the dims that count in `data`.

    Raises:
        ValueError: codes or factors that cannot be scored, or other than those of `data`.
    """
    if not isinstance(test, tuple | list) or len(test) != 2:
        raise ValueError(f"test must be a pair (codes, factors), got {type(test).__name__}")
    z, f = codes_array(test[0]), check_factors(test[1], test[0])
    others = z.shape[1] <= data.columns.max() or (data.blocks is None and z.shape[1] != len(data.given))
    if others or f.shape[1] != len(data.names):
        raise ValueError(f"test codes {z.shape} and factors {f.shape} are other than those to learn from")
    f = _once_round(in_degrees(f, data.kinds, test[1]), data.kinds, data.factors.min(0))
    return replace(data, codes=z[:, data.columns], factors=f, spread=None)


def check_factors(factors: Any, codes: Any) -> Float[np.ndarray, "sample factor"]:
    """Factors as float64, numpy or torch in, in their own unit.

    Raises:
        ValueError: not `(sample, factor)`, not of the samples of the codes, text, NaN, numbers that floats do not hold.
    """
    f = as_array(factors)
    if f.dtype.kind not in "biuf":
        raise ValueError(
            f"factors must be numbers, got {f.dtype}; np.unique(names, return_inverse=True)[1] makes numbers of names"
        )
    if f.ndim != 2 or len(codes) != len(f):
        raise ValueError(
            "expected codes (sample, dim) and factors (sample, factor) of the same samples; "
            f"got {len(codes)} codes and factors {f.shape}{'; of a single factor give f[:, None]' * (f.ndim == 1)}"
        )
    if not f.shape[1]:
        raise ValueError("no factors to score against; bring one column at least")
    if f.dtype.kind in "iu" and max(int(f.max()), -int(f.min())) > 2**53:
        raise ValueError(
            f"factors reach {max(int(f.max()), int(f.min()), key=abs)}, and floats cannot tell integers beyond 2**53 "
            "apart; np.unique(column, return_inverse=True)[1] numbers the values of a column"
        )
    f = f.astype(np.float64)
    if bad := int((~np.isfinite(f)).sum()):
        raise ValueError(f"factors hold {bad} values that are NaN or infinite; drop those rows")
    _check_size(f, "factors")
    return f


def codes_array(codes: Any) -> Float[np.ndarray, "sample dim"]:
    """Codes as float64, numpy or torch in.

    Raises:
        ValueError: not `(sample, dim)`, fewer than 50 samples, text, NaN, numbers too large to square.
    """
    z = as_array(codes)
    if z.dtype.kind not in "biuf":
        raise ValueError(f"codes must be real numbers, got {z.dtype}")
    z = z.astype(np.float64, copy=False)
    if z.ndim != 2 or not z.shape[1]:
        out = {1: "; of a single dim give codes[:, None]"}
        raise ValueError(
            f"expected codes (sample, dim), got {z.shape}"
            f"{out.get(z.ndim, '; codes.reshape(len(codes), -1) flattens them' if z.ndim > 2 else '')}"
        )
    if len(z) < 50:
        raise ValueError(f"{len(z)} samples are too few for any of these scores; 50 is the least, 1,000 is good")
    if bad := int((~np.isfinite(z)).sum()):
        raise ValueError(f"codes hold {bad} values that are NaN or infinite; drop those rows")
    _check_size(z, "codes")
    return z


def check_spread(spread: Any, shape: tuple[int, ...]) -> Float[np.ndarray, "sample dim"] | None:
    """Standard deviations of drawn codes, numpy or torch in.

    Raises:
        ValueError: not one for each code, negative or infinite.
    """
    if spread is None:
        return None
    found = as_numbers("spread", spread).astype(np.float64)
    if found.shape != shape or not ((found >= 0) & (found < LARGEST)).all():
        raise ValueError(
            f"spread must be standard deviations, finite and one for each code {shape}; got shape {found.shape}"
        )
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
    return "categorical" if whole and len(np.unique(column)) <= min(CATEGORIES, len(column) // 2) else "continuous"


def in_degrees(values: np.ndarray, kinds: Sequence[str], factors: Any) -> Float[np.ndarray, "sample factor"]:
    """Values of factors, the circular ones of a table in degrees instead of its own unit."""
    if not isinstance(factors, FactorTable):
        return values
    turn = np.array([spec.high - spec.low for spec in factors.specs])
    return values * np.where(np.array(kinds) == "circular", 360 / np.where(turn > 0, turn, 360), 1.0)


def _once_round(
    factors: Float[np.ndarray, "sample factor"], kinds: Sequence[str], low: np.ndarray | None = None
) -> Float[np.ndarray, "sample factor"]:
    """Angles that went round, or came back to where they began, brought back to the one turn that begins at `low`."""
    if "circular" not in kinds:
        return factors
    if low is None:  # those within one turn stay as they are; others are cut where angles often are
        low = np.asarray(factors.min(0))
        low = np.where(np.ptp(factors, axis=0) < 360, low, 180 * np.floor(low / 180))
    outside = (factors < low) | (factors >= low + 360)
    back = low + (factors - low) % 360 % 360  # -1e-20 % 360 is 360
    return np.where(outside & (np.array(kinds) == "circular"), back, factors)


def _check_size(x: np.ndarray, what: str) -> None:
    if (reach := float(np.abs(x).max())) > LARGEST:
        raise ValueError(f"{what} reach {reach:.3g}, too large to square; divide them by that")
