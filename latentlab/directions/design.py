"""Factors of any kind as columns of numbers: the design matrix of a regression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from sklearn.utils.validation import check_array


@dataclass(frozen=True, eq=False)
class Labels:
    """Factors of some codes, with what they are.

    Attributes:
        values: `(sample, factor)`; NaN is not known.
        names, kinds: of the factors.
        words: names of the values of each categorical factor; empty where they have none.
    """

    values: Float[np.ndarray, "sample factor"]
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    words: tuple[Sequence[str], ...]

    def rows(self, which: np.ndarray) -> Labels:
        """Some of the samples."""
        return Labels(self.values[which], self.names, self.kinds, self.words)

    @property
    def known(self) -> np.ndarray:
        """Samples of which every factor is known."""
        return np.asarray(np.isfinite(self.values).all(1))


@dataclass(frozen=True, eq=False)
class Design:
    """Columns for a regression.

    A continuous or ordinal factor is one column, in standard deviations; a categorical one has a column for each value,
    1 where it has that value; a circular one is the pair (cos, sin). All are centred; NaN is not known.

    Attributes:
        columns: `(sample, column)`.
        names: "light", "hue@0" (cos), "hue@90" (sin), "shape=star" ("shape=3" where the values have no words).
        factor: index of the factor that each column belongs to.
    """

    columns: Float[np.ndarray, "sample column"]
    names: tuple[str, ...]
    factor: np.ndarray

    def rows(self, which: np.ndarray) -> Design:
        """Some of the samples, centred as all of them."""
        return Design(self.columns[which], self.names, self.factor)

    @property
    def filled(self) -> Float[np.ndarray, "sample column"]:
        """Columns with the mean in place of what is not known."""
        return np.nan_to_num(self.columns)


def read_labels(y: Any, names: Sequence[str] | None, kinds: Sequence[str] | None) -> Labels:
    """Factors from a table, a tensor or an array.

    Args:
        y: `(sample, factor)` or `(sample,)`; a table brings names, kinds and what a full turn of its circular factors
            is; others are called "factor0", "factor1", ... and taken as continuous, or in degrees.
        names, kinds: instead of those.

    Raises:
        ValueError: names or kinds of another number.
    """
    table_names, table_kinds = getattr(y, "names", None), getattr(y, "kinds", None)
    checked: Any = check_array  # scikit-learn has no type stubs, and its defaults mislead a checker
    given = np.asarray(as_numpy(getattr(y, "degrees", y)))
    values = checked(given, dtype=np.float64, ensure_2d=False, ensure_all_finite="allow-nan")
    values = values.reshape(len(values), -1)
    count = values.shape[1]
    names = tuple(names or table_names or [f"factor{i}" for i in range(count)])
    kinds = tuple(kinds or table_kinds or ["continuous"] * count)
    if not len(names) == len(kinds) == count:
        raise ValueError(f"{count} factors but {len(names)} names and {len(kinds)} kinds")
    if len(set(names)) < count:
        raise ValueError(f"two factors cannot have one name: {', '.join(map(str, names))}")
    words = tuple(spec.labels for spec in getattr(y, "specs", [])) or ((),) * count
    return Labels(values, names, kinds, words)


def design_of(labels: Labels) -> Design:
    """The design matrix.

    Raises:
        ValueError: unknown kind, a category without a name, or a factor that never changes or is never known.
    """
    columns, names, factor = [], [], []
    for k, (value, name, kind, words) in enumerate(
        zip(labels.values.T, labels.names, labels.kinds, labels.words, strict=True)
    ):
        known = value[np.isfinite(value)]
        if not len(known):
            raise ValueError(f"factor {name!r} is not known of any sample; leave it out")
        if np.ptp(known) == 0:
            raise ValueError(f"factor {name!r} is always {known[0]}; leave it out, nothing can be learned about it")
        if kind in ("continuous", "ordinal"):
            parts = {name: value / known.std()}
        elif kind == "circular":
            parts = {f"{name}@0": np.cos(np.deg2rad(value)), f"{name}@90": np.sin(np.deg2rad(value))}
        elif kind == "categorical":
            if words and (wrong := [float(v) for v in np.unique(known) if v not in range(len(words))]):
                raise ValueError(
                    f"factor {name!r} is one of {', '.join(words)}, 0 to {len(words) - 1}; got {wrong[0]:g}"
                )
            parts = {
                f"{name}={words[int(level)] if words else format(level, 'g')}": np.where(
                    np.isnan(value), np.nan, value == level
                )
                for level in np.unique(known)
            }
        else:
            raise ValueError(f"unknown kind {kind!r} of factor {name!r}")
        columns += [column - np.nanmean(column) for column in parts.values()]
        names += parts
        factor += [k] * len(parts)
    return Design(np.stack(columns, 1), tuple(names), np.array(factor))


def shrinkage(samples: int, columns: int) -> float:
    """The ridge that so many columns need: `(columns / samples)^2`, at least 1e-6.

    Correlations of columns that are learned from n samples err by `1 / sqrt(n)`, and joint regression multiplies that
    by the columns it holds. The ridge outgrows it when samples run out, and is gone long before it could bias.
    """
    return max((columns / samples) ** 2, 1e-6)


def as_numpy(x: Any) -> Any:
    """Tensors as arrays; anything else as it is."""
    return x.detach().cpu().numpy() if isinstance(x, torch.Tensor) else x
