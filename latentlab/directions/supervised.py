"""Directions from all factors together: the regression of codes on factors, and the dual of factors on codes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from scipy import linalg

from latentlab.directions.design import Design, Labels
from latentlab.directions.direction import Direction, DirectionSet
from latentlab.directions.finder import Supervised
from latentlab.directions.normals import ridge_weights

__all__ = ["Direction", "DirectionSet", "Dual", "Effect"]


@dataclass(kw_only=True, eq=False, repr=False)
class Effect(Supervised):
    """Effect directions: the joint regression of codes on all factors.

    With codes `z = mean + F W + noise`, row k of W is how the codes move when factor k rises and all others stay. For
    linear-Gaussian codes it is the smallest Mahalanobis move with exactly that effect. A factor's column in F is
    standardised (continuous, ordinal), centred dummies (categorical) or the pair (cos, sin) (circular), so a circular
    factor gives a plane, in which `found["hue@240"]` is the direction towards 240 degrees.

    Args:
        ridge: added to the diagonal of the factors' correlation matrix, for factors that nearly repeat each other.
        kinds, names, folds, permutations, random_state: see `Supervised`. Samples with an unknown factor are left out.

    Attributes:
        names_: one name for each direction: "light", "hue@0" (cos), "hue@90" (sin), "shape=star" ("shape=3" where the
            values have no labels).
        directions_: unit vectors, `(direction, dim)`.
        effects_: the rows of W, `(direction, dim)`.
        scale_: standard deviation of the codes along each direction, `(direction,)`.
        covariance_: of the codes along all of them, `(direction, direction)`.
        t_: t value of each coefficient, `(direction, dim)`; |t| below 2 is indistinguishable from no effect.
        t_value_, r2_, p_: whether each direction is real, `(direction,)`, see `Direction`.
        explained_: share of the codes' variance that the factors explain together, in sample.

    >>> rng = np.random.default_rng(0)
    >>> light = rng.uniform(size=(200, 1))
    >>> codes = light @ np.array([[2.0, 0.0]]) + 0.1 * rng.standard_normal((200, 2))
    >>> found = Effect(names=["light"]).fit(codes, light)["light"]
    >>> found.vector.round(1), found.p
    (array([1., 0.]), 0.01)
    """

    ridge: float = 1e-6
    complete: ClassVar[bool] = True

    def _find(self, codes: np.ndarray, design: Design) -> np.ndarray:
        return self._weights(*_moments(codes - codes.mean(0), design.columns))

    def _weights(self, gram: np.ndarray, cross: np.ndarray) -> np.ndarray:
        """W from the factors' second moments and those with the codes."""
        return linalg.solve(gram + self.ridge * np.eye(len(gram)), cross, assume_a="pos")

    def _refit(self, codes: np.ndarray, design: Design, parts: list[np.ndarray]) -> Iterator[np.ndarray]:
        # Moments add up, so leaving a part out is a subtraction, not another pass over the rest.
        each = [(len(part), *_moments(codes[part], design.columns[part], centred=False)) for part in parts]
        totals = [sum(moments) for moments in zip(*each, strict=True)]
        for moments in each:
            count, gram, cross, sum_x, sum_z = (a - b for a, b in zip(totals, moments, strict=True))
            yield self._weights(
                gram / count - np.outer(sum_x, sum_x) / count**2, cross / count - np.outer(sum_x, sum_z) / count**2
            )

    def _learn(self, codes: np.ndarray, design: Design, labels: Labels) -> Self:
        samples, columns = design.columns.shape
        if samples <= columns + 1:
            raise ValueError(f"{samples} fully labelled samples are too few for {columns} directions")
        centred = codes - codes.mean(0)
        super()._learn(centred, design, labels)
        # Residual sums of squares from moments: the residuals themselves are as large as the codes.
        gram, cross = _moments(centred, design.columns)
        w = self.effects_
        total = np.einsum("nd,nd->d", centred, centred).astype(np.float64) / samples
        residual = np.maximum(total - (w * (2 * cross - gram @ w)).sum(0), 0)
        inverse = linalg.inv(gram + self.ridge * np.eye(columns))
        spread = np.diag(inverse @ gram @ inverse)  # dummies sum to zero: the ridge's own inverse would be huge there
        error = np.sqrt(np.maximum(np.outer(spread, residual / (samples - columns - 1)), np.finfo(float).tiny))
        self.t_ = w / error
        self.explained_ = float(1 - residual.sum() / total.sum()) if total.sum() > 0 else 0.0
        return self


@dataclass(kw_only=True, eq=False, repr=False)
class Dual(Supervised):
    """Dual directions: the pseudo-inverse of the ridge regression of factors on codes.

    With factors read off as `f = N z`, the columns of the pseudo-inverse of N move one reading and leave the others:
    `N d_j = e_j`. The least leakage of the readings that a linear finder can have, at longer steps than `Effect`.

    Args:
        kinds, names, folds, permutations, random_state: see `Supervised`. Samples with an unknown factor are left out.

    >>> rng = np.random.default_rng(0)
    >>> codes = rng.standard_normal((500, 2))
    >>> factors = codes @ np.array([[1.0, 1.0], [0.0, 1.0]])  # the second factor reads both dims
    >>> Dual().fit(codes, factors)["factor0"].vector.round(2)
    array([ 0.71, -0.71])
    """

    complete: ClassVar[bool] = True

    def _find(self, codes: np.ndarray, design: Design) -> np.ndarray:
        return np.linalg.pinv(ridge_weights(codes, design.columns), rcond=1e-6).T


def _moments(codes: np.ndarray, columns: np.ndarray, *, centred: bool = True) -> tuple[np.ndarray, ...]:
    """Second moments of columns, and of columns with codes, in float64; sums, with those of both, if not centred."""
    gram, cross = columns.T @ columns, (columns.T.astype(codes.dtype) @ codes).astype(np.float64)
    if centred:
        return gram / len(codes), cross / len(codes)
    return gram, cross, columns.sum(0), codes.sum(0, dtype=np.float64)
