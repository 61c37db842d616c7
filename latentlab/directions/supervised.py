"""Semantic directions from labelled codes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from scipy import linalg
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, check_is_fitted, validate_data


@dataclass(frozen=True)
class Direction:
    """A way to move in a space of codes.

    Attributes:
        name: what moving along it changes.
        vector: unit vector, `(dim,)`.
        scale: standard deviation of the codes along it; one unit of edit strength.
    """

    name: str
    vector: np.ndarray
    scale: float


class Effect(BaseEstimator):
    """Effect directions: the joint regression of codes on all factors.

    With codes `z = mean + F W + noise`, row k of W is how the codes move when factor k rises and all others stay. For
    linear-Gaussian codes it is the smallest Mahalanobis move with exactly that effect. A factor's column in F is
    standardised (continuous, ordinal), centred dummies (categorical) or the pair (cos, sin) (circular), so a circular
    factor gives a plane, in which `found["hue@240"]` is the direction towards 240 degrees.

    Args:
        ridge: added to the diagonal of the factors' correlation matrix, for factors that nearly repeat each other.
        kinds: kind of each factor; None takes them from the table given to `fit`, or "continuous" for a plain array.
        names: of the factors; None takes them from the table, or "factor0", "factor1", ...

    Attributes:
        names_: one name for each direction: "light", "hue@0" (cos), "hue@90" (sin), "shape=star" ("shape=3" where the
            values have no labels).
        directions_: unit vectors, `(direction, dim)`.
        effects_: the rows of W, `(direction, dim)`.
        scale_: standard deviation of the codes along each direction, `(direction,)`.
        covariance_: of the codes along all of them, `(direction, direction)`.
        t_: t value of each coefficient, `(direction, dim)`; |t| below 2 is indistinguishable from no effect.
        r2_: share of the codes' variance that the factors explain together, in sample.

    >>> rng = np.random.default_rng(0)
    >>> light = rng.uniform(size=(200, 1))
    >>> codes = light @ np.array([[2.0, 0.0]]) + 0.1 * rng.standard_normal((200, 2))
    >>> Effect(names=["light"]).fit(codes, light)["light"].vector.round(1)
    array([1., 0.])
    """

    def __init__(
        self,
        *,
        ridge: float = 1e-6,
        kinds: Sequence[str] | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        self.ridge = ridge
        self.kinds = kinds
        self.names = names

    def fit(self, codes, y) -> Effect:
        """Learns the directions.

        Args:
            codes: `(sample, dim)`, numpy or torch.
            y: the factors `(sample, factor)`, a table with names and kinds or a plain array; rows with a NaN are left
                out. (scikit-learn wants this name.)

        Returns:
            Itself.

        Raises:
            ValueError: shapes do not fit, too few samples, or a factor that never changes.
        """
        table_names, table_kinds = getattr(y, "names", None), getattr(y, "kinds", None)
        # scikit-learn has no type stubs, and its defaults mislead a checker.
        codes = cast(np.ndarray, cast(Any, validate_data)(self, _numpy(codes), dtype=np.float64, ensure_min_samples=3))
        checked = cast(Any, check_array)
        values = checked(np.asarray(_numpy(y)), dtype=np.float64, ensure_2d=False, ensure_all_finite="allow-nan")
        values = values.reshape(len(values), -1)
        if len(values) != len(codes):
            raise ValueError(f"{len(codes)} codes but {len(values)} rows of factors")
        count = values.shape[1]
        names = list(self.names or table_names or [f"factor{i}" for i in range(count)])
        kinds = list(self.kinds or table_kinds or ["continuous"] * count)
        if not len(names) == len(kinds) == count:
            raise ValueError(f"{count} factors but {len(names)} names and {len(kinds)} kinds")
        known = np.isfinite(values).all(1)
        codes, values = codes[known], values[known]
        if len(codes) < 3:
            raise ValueError(f"{len(codes)} fully labelled samples are too few for {count} factors")

        labels = [spec.labels for spec in getattr(y, "specs", [])] or [()] * count
        design, self.names_ = design_matrix(values, names, kinds, labels)
        samples, columns = design.shape
        if samples <= columns + 1:
            raise ValueError(f"{samples} fully labelled samples are too few for {columns} directions")
        centred = codes - codes.mean(0)
        gram = design.T @ design / samples
        inverse = linalg.inv(gram + self.ridge * np.eye(columns))
        weights = inverse @ (design.T @ centred) / samples
        residual = centred - design @ weights
        noise = (residual**2).sum(0) / (samples - columns - 1)
        spread = np.diag(inverse @ gram @ inverse)  # dummies sum to zero: the ridge's own inverse would be huge there
        error = np.sqrt(np.maximum(spread[:, None] * noise / samples, np.finfo(float).tiny))
        length = np.linalg.norm(weights, axis=1, keepdims=True)
        self.directions_ = np.divide(weights, length, out=np.zeros_like(weights), where=length > 0)
        self.t_ = weights / error
        self.effects_ = weights
        along = centred @ self.directions_.T
        self.covariance_ = along.T @ along / samples
        self.scale_ = np.sqrt(np.diag(self.covariance_))
        total = (centred**2).sum()
        self.r2_ = float(1 - (residual**2).sum() / total) if total > 0 else 0.0
        return self

    def __getitem__(self, name: str) -> Direction:
        """A direction by name; "hue@240" is the direction of a circular factor towards an angle in degrees."""
        check_is_fitted(self)
        if name in self.names_:
            i = self.names_.index(name)
            return Direction(name, self.directions_[i], float(self.scale_[i]))
        if (angle := re.fullmatch(r"(.+)@(-?\d+\.?\d*)", name)) and f"{angle[1]}@0" in self.names_:
            radians = np.deg2rad(float(angle[2]))
            pair = [self.names_.index(f"{angle[1]}@{part}") for part in (0, 90)]
            share = np.array([np.cos(radians), np.sin(radians)]) * np.linalg.norm(self.effects_[pair], axis=1)
            length = np.linalg.norm(share @ self.directions_[pair])
            share = share / max(length, np.finfo(float).tiny)
            scale = np.sqrt(max(share @ self.covariance_[np.ix_(pair, pair)] @ share, 0.0))
            return Direction(name, share @ self.directions_[pair], float(scale))
        raise KeyError(f"no direction {name!r}; there are {', '.join(self.names_)}")


def design_matrix(
    values: np.ndarray, names: Sequence[str], kinds: Sequence[str], labels: Sequence[Sequence[str]]
) -> tuple[np.ndarray, list[str]]:
    """Centred columns for the regression, and the name of each.

    Args:
        values: `(sample, factor)`.
        names, kinds: of the factors.
        labels: names of the values of each categorical factor; empty where they have none.

    Raises:
        ValueError: unknown kind, or a factor that never changes.
    """
    columns, found = [], []
    for value, name, kind, words in zip(values.T, names, kinds, labels, strict=True):
        if np.ptp(value) == 0:
            raise ValueError(f"factor {name!r} is always {value[0]}; leave it out, nothing can be learned about it")
        if kind in ("continuous", "ordinal"):
            columns.append(value / value.std())
            found.append(name)
        elif kind == "circular":
            columns += [np.cos(np.deg2rad(value)), np.sin(np.deg2rad(value))]
            found += [f"{name}@0", f"{name}@90"]
        elif kind == "categorical":
            for level in np.unique(value):
                columns.append((value == level).astype(float))
                found.append(f"{name}={words[int(level)] if words else format(level, 'g')}")
        else:
            raise ValueError(f"unknown kind {kind!r} of factor {name!r}")
    design = np.stack(columns, 1)
    return design - design.mean(0), found


def _numpy(x):
    return x.detach().cpu().numpy() if isinstance(x, torch.Tensor) else x
