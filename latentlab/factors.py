"""Factors of variation: what a clip is made from, as a table with names, kinds and ranges."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, SupportsFloat, overload

import numpy as np

from latentlab.protocols import Headed, TorchTensor

BYTE_ORDER_MARK = "\ufeff"  # before the first name of a table that a spreadsheet wrote
FactorKind = Literal["categorical", "ordinal", "continuous", "circular"]


@dataclass(frozen=True)
class Factor:
    """One factor of variation.

    Args:
        name: what it is called, everywhere.
        kind: `categorical` values are indices into `labels`; `circular` ones wrap from `high` to `low`.
        low: smallest value.
        high: largest value.
        unit: of the values ("degrees", "pixels", ...).
        labels: names of the values of a categorical factor.
    """

    name: str
    kind: FactorKind
    low: float
    high: float
    unit: str = ""
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class FactorTable:
    """Factors of some clips: `values` is `(sample, factor)`, one column for each entry of `specs`.

    A column is read by name, rows by number or by slicing; NaN means "not known".

    >>> table = FactorTable(np.array([[0.5], [0.9]]), (Factor("light", "continuous", 0.5, 1.0),))
    >>> table["light"]
    array([0.5, 0.9])
    >>> len(table[:1])
    1
    """

    values: np.ndarray
    specs: tuple[Factor, ...]

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.shape[1] != len(self.specs):
            raise ValueError(
                f"factors must be (sample, {len(self.specs)}), one column for each of "
                f"{', '.join(self.names)}; got shape {self.values.shape}"
            )

    def __repr__(self) -> str:
        return f"FactorTable({len(self)} rows of {', '.join(self.names)})"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(spec.name for spec in self.specs)

    @property
    def kinds(self) -> tuple[FactorKind, ...]:
        return tuple(spec.kind for spec in self.specs)

    @property
    def degrees(self) -> np.ndarray:
        """The values, those of circular factors in degrees whatever their unit: 360 from `low` to `high`.

        >>> FactorTable(np.array([[3.0]]), (Factor("hour", "circular", 0, 12),)).degrees
        array([[90.]])
        """
        return self.values * [360 / (s.high - s.low) if s.kind == "circular" else 1.0 for s in self.specs]

    def spec(self, name: str) -> Factor:
        """The description of one factor."""
        return self.specs[self._column(name)]

    def select(self, names: Sequence[str]) -> FactorTable:
        """The same rows with only these factors."""
        columns = [self._column(name) for name in names]
        return FactorTable(self.values[:, columns], tuple(self.specs[c] for c in columns))

    @overload
    def __getitem__(self, key: str) -> np.ndarray: ...
    @overload
    def __getitem__(self, key: int | slice | np.ndarray | list[int]) -> FactorTable: ...
    def __getitem__(self, key):
        if isinstance(key, str):
            return self.values[:, self._column(key)]
        rows = np.atleast_2d(self.values[key])
        return FactorTable(rows, self.specs)

    def __len__(self) -> int:
        return len(self.values)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.asarray(self.values, dtype=dtype)

    def _column(self, name: str) -> int:
        if name not in self.names:
            raise KeyError(f"no factor {name!r}; there are {', '.join(self.names)}")
        return self.names.index(name)


def column_names(table: Any) -> tuple[str, ...] | None:
    """Names of the columns of a `FactorTable` or a data frame; None of what has no names.

    >>> column_names(np.zeros((2, 1))) is None
    True
    """
    if isinstance(table, FactorTable):
        return table.names
    if not isinstance(table, Headed):
        return None
    return tuple(str(name).removeprefix(BYTE_ORDER_MARK).strip() for name in table.columns)


def as_array(table: Any) -> np.ndarray:
    """A table, array or tensor as numpy, whatever its precision and device; what a data frame says is missing is NaN.

    Raises:
        ValueError: a column of a data frame that holds something else than numbers.
    """
    if isinstance(table, TorchTensor):
        table = table.detach().cpu()
        table = table.double() if table.is_floating_point() else table
    found = np.asarray(table)
    if found.dtype == object and isinstance(table, Headed):  # of several types, or nullable ones
        columns = zip(column_names(table) or (), found.T, strict=True)
        return np.stack([np.array([_number(value, name) for value in column]) for name, column in columns], 1)
    return found


def _number(value: Any, column: str) -> float:
    if value is None or repr(value) == "<NA>":
        return math.nan
    if isinstance(value, str) or not isinstance(value, SupportsFloat):
        way = "np.unique(column, return_inverse=True)[1] makes numbers of names"
        raise ValueError(f"column {column!r} holds {value!r}, factors must be numbers; {way}")
    return float(value)
