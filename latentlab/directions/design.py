"""Factors of any kind as columns of numbers: the design matrix of a regression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.utils.validation import check_array

from latentlab.factors import FactorTable
from latentlab.protocols import DataFrame


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
        group: of each sample, a number; samples of one group (frames of a clip) are one observation.
    """

    columns: Float[np.ndarray, "sample column"]
    names: tuple[str, ...]
    factor: np.ndarray
    group: np.ndarray

    def rows(self, which: np.ndarray) -> Design:
        """Some of the samples, centred as all of them."""
        return Design(self.columns[which], self.names, self.factor, self.group[which])

    @property
    def observations(self) -> int:
        """How many groups there are; as many as samples where each is a group of its own."""
        return len(np.unique(self.group))

    @property
    def grouped(self) -> bool:
        """Whether samples belong together."""
        return self.observations < len(self.group)

    @property
    def filled(self) -> Float[np.ndarray, "sample column"]:
        """Columns with the mean in place of what is not known."""
        return np.nan_to_num(self.columns)


def read_labels(y: Any, names: Sequence[str] | None, kinds: Sequence[str] | None) -> Labels:
    """Factors from a table, a tensor or an array.

    Args:
        y: `(sample, factor)` or `(sample,)`; a table brings names, kinds and what a full turn of its circular factors
            is, a DataFrame its columns' names; others are called "factor0", "factor1", ... and taken as continuous, or
            in degrees.
        names, kinds: instead of those.

    Raises:
        ValueError: names or kinds of another number.
    """
    table = y if isinstance(y, FactorTable) else None
    headed = y.columns if isinstance(y, DataFrame) else None
    table_names = [str(c) for c in headed] if headed is not None and any(isinstance(c, str) for c in headed) else None
    if table is not None:
        table_names = table.names
    checked: Any = check_array  # scikit-learn has no type stubs, and its defaults mislead a checker
    given = y if headed is not None else np.asarray(as_numpy(y if table is None else table.degrees))
    values = checked(given, dtype=np.float64, ensure_2d=False, ensure_all_finite="allow-nan")
    values = values.reshape(len(values), -1)
    count = values.shape[1]
    names = tuple(names or table_names or [f"factor{i}" for i in range(count)])
    kinds = tuple(kinds or (table.kinds if table else ["continuous"] * count))
    if not len(names) == len(kinds) == count:
        raise ValueError(f"{count} factors but {len(names)} names and {len(kinds)} kinds")
    if len(set(names)) < count:
        raise ValueError(f"two factors cannot have one name: {', '.join(map(str, names))}")
    words = tuple(spec.labels for spec in table.specs) if table else ((),) * count
    return Labels(values, names, kinds, words)


def design_of(labels: Labels, group: np.ndarray | None = None) -> Design:
    """The design matrix.

    Args:
        labels: the factors.
        group: of each sample, numbered from 0; None makes each its own.

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
    group = np.arange(len(labels.values)) if group is None else group
    return Design(np.stack(columns, 1), tuple(names), np.array(factor), group)


def read_groups(groups: Any, samples: int) -> np.ndarray:
    """Which samples belong together, numbered from 0.

    Args:
        groups: one label a sample, numbers or names; None makes each sample a group of its own.
        samples: how many there are.

    Raises:
        ValueError: another number of labels, labels that are missing, or one group alone.

    >>> read_groups(["clip b", "clip b", "clip a"], 3)
    array([1, 1, 0])
    """
    if groups is None:
        return np.arange(samples)
    given = np.asarray(as_numpy(groups))
    if given.shape != (samples,):
        raise ValueError(f"groups= takes one label for each of {samples} samples, got shape {given.shape}")
    if (given != given).any() or any(label is None for label in given.tolist()):
        raise ValueError("groups= holds missing labels; a sample that belongs to no other is a group of its own")
    names, group = np.unique(given.astype(str) if given.dtype == object else given, return_inverse=True)
    if len(names) < 2:
        raise ValueError(
            f"groups= says that all {samples} samples belong to {names[0].item()!r}, and from one clip nothing can be "
            "learned about others; pass groups=None for samples that are independent"
        )
    return group.ravel()


def joined(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The finest groups that tear neither of two groupings apart, numbered from 0.

    >>> joined(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 2]))
    array([0, 0, 0, 1])
    """
    size = one.max() + 1
    nodes = size + other.max() + 1
    edges = coo_array((np.ones(len(one)), (one, size + other)), shape=(nodes, nodes))
    return np.unique(connected_components(edges, directed=False)[1][one], return_inverse=True)[1].ravel()


def shrinkage(samples: int, columns: int) -> float:
    """The ridge that so many columns need: `(columns / samples)^2`, at least 1e-6.

    Correlations of columns that are learned from n samples err by `1 / sqrt(n)`, and joint regression multiplies that
    by the columns it holds. The ridge outgrows it when samples run out, and is gone long before it could bias.
    """
    return max((columns / samples) ** 2, 1e-6)


def as_numpy(x: Any) -> Any:
    """Tensors as arrays, bfloat16 as float32, which numpy has; anything else as it is."""
    if not isinstance(x, torch.Tensor):
        return x
    x = x.detach().cpu()
    return (x.float() if x.dtype == torch.bfloat16 else x).numpy()
