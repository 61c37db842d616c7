"""Directions from all factors together: the regression of codes on factors, and the dual of factors on codes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import ClassVar, Self

import numpy as np
from scipy import linalg
from scipy.sparse import coo_array

from latentlab.directions.design import Design, Labels, shrinkage
from latentlab.directions.finder import Supervised
from latentlab.directions.normals import ridge_weights


@dataclass(kw_only=True, eq=False, repr=False)
class Effect(Supervised):
    """Effect directions: the joint regression of codes on all factors.

    With codes `z = mean + F W + noise`, row k of W is how the codes move when factor k rises and all others stay. For
    linear-Gaussian codes it is the smallest Mahalanobis move with exactly that effect. A factor's column in F is
    standardised (continuous, ordinal), centred dummies (categorical) or the pair (cos, sin) (circular), so a circular
    factor gives a plane, in which `found["hue@240"]` is the direction towards 240 degrees.

    Args:
        ridge: added to the diagonal of the factors' covariance. None is `shrinkage`: next to nothing where labels are
            many; where they are few, each factor is judged nearly by itself.
        kinds, names, folds, permutations, random_state: see `Supervised`. Samples with an unknown factor are left out.

    Attributes:
        names_: one name for each direction: "light", "hue@0" (cos), "hue@90" (sin), "shape=star" ("shape=3" where the
            values have no labels).
        directions_: unit vectors, `(direction, dim)`.
        effects_: the rows of W, `(direction, dim)`.
        scale_: standard deviation of the codes along each direction, `(direction,)`.
        covariance_: of the codes along all of them, `(direction, direction)`.
        t_value_, r2_, p_: whether each direction is real, `(direction,)`, see `Direction`.
        t_by_dim_: t value of each coefficient, `(direction, dim)`; |t| below 2 is indistinguishable from no effect.
        explained_: share of the codes' variance that the factors explain together, in sample.

    >>> rng = np.random.default_rng(0)
    >>> light = rng.uniform(size=(200, 1))
    >>> codes = light @ np.array([[2.0, 0.0]]) + 0.1 * rng.standard_normal((200, 2))
    >>> found = Effect(names=["light"]).fit(codes, light)["light"]
    >>> found.vector.round(1), found.p
    (array([1., 0.]), 0.01)
    """

    ridge: float | None = None
    complete: ClassVar[bool] = True

    def _check(self) -> None:
        super()._check()
        if self.ridge is not None and not (isinstance(self.ridge, Real) and 0 <= self.ridge < np.inf):
            raise ValueError(f"ridge must be a finite number from 0 on, or None for `shrinkage`; got {self.ridge!r}")

    def _find(self, codes: np.ndarray, design: Design) -> np.ndarray:
        gram, cross = _moments(codes - codes.mean(0), design.columns)
        return linalg.solve(self._damped(gram, design.observations), cross, assume_a="pos")

    def _damped(self, gram: np.ndarray, samples: int) -> np.ndarray:
        """The factors' covariance with the ridge on its diagonal."""
        ridge = shrinkage(samples, len(gram)) if self.ridge is None else self.ridge
        return gram + ridge * np.eye(len(gram))

    def _refit(
        self, codes: np.ndarray, design: Design, parts: list[np.ndarray], chosen: Sequence[Sequence[int]]
    ) -> Iterator[np.ndarray]:
        # Moments add up, so that a choice of parts is a sum, not another pass over them.
        each = [(len(part), *_moments(codes[part], design.columns[part], centred=False)) for part in parts]
        seen = [design.rows(part).observations for part in parts]
        for which in chosen:
            count, gram, cross, sum_x, sum_z = (sum(moments) for moments in zip(*(each[i] for i in which), strict=True))
            gram = gram / count - np.outer(sum_x, sum_x) / count**2
            cross = cross / count - np.outer(sum_x, sum_z) / count**2
            yield linalg.solve(self._damped(gram, sum(seen[i] for i in which)), cross, assume_a="pos")

    def _learn(self, codes: np.ndarray, design: Design, labels: Labels) -> Self:
        samples = len(codes)
        centred = codes - codes.mean(0)
        super()._learn(centred, design, labels)
        # Residual sums of squares from moments: the residuals themselves are as large as the codes.
        gram, cross = _moments(centred, design.columns)
        w = self.effects_
        total = np.einsum("nd,nd->d", centred, centred).astype(np.float64) / samples
        residual = np.maximum(total - (w * (2 * cross - gram @ w)).sum(0), 0)
        inverse = linalg.inv(self._damped(gram, design.observations))
        spread = np.diag(inverse @ gram @ inverse)  # dummies sum to zero: the ridge's own inverse would be huge there
        freedom = max(samples - 1 - np.trace(inverse @ gram), 1.0)
        error = np.sqrt(np.maximum(np.outer(spread, residual / freedom), np.finfo(float).tiny))
        if design.grouped:
            error = _clustered(centred, design, w, inverse)
        self.t_by_dim_ = w / error
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
        return np.linalg.pinv(ridge_weights(codes, design.columns, design.group), rcond=1e-6).T


def _clustered(codes: np.ndarray, design: Design, w: np.ndarray, inverse: np.ndarray) -> np.ndarray:
    """Standard errors of coefficients where samples of a group go together, `(column, dim)`.

    Root of `sum_g s_g^2` over the groups' sums s of residuals times influence (Liang & Zeger 1986), each divided by
    what is left of it when its group takes part in the fit, which is the jackknife over groups (Bell & McCaffrey 2002).
    """
    x, samples = design.columns - design.columns.mean(0), len(codes)
    group = np.unique(design.group, return_inverse=True)[1]
    member = coo_array((np.ones(samples), (group, np.arange(samples)))).tocsr()
    residuals = codes - x @ w
    influence = x @ inverse / samples
    left = np.maximum(1 - np.bincount(group, (influence * x).sum(1)), 1e-3)[:, None]  # 1 - a group's leverage
    squares = [((member @ (one[:, None] * residuals) / left) ** 2).sum(0) for one in influence.T]
    return np.sqrt(np.maximum(np.array(squares), np.finfo(float).tiny))


def _moments(codes: np.ndarray, columns: np.ndarray, *, centred: bool = True) -> tuple[np.ndarray, ...]:
    """Second moments of columns, and of columns with codes, in float64; sums, with those of both, if not centred."""
    gram, cross = columns.T @ columns, (columns.T.astype(codes.dtype) @ codes).astype(np.float64)
    if centred:
        return gram / len(codes), cross / len(codes)
    return gram, cross, columns.sum(0), codes.sum(0, dtype=np.float64)
