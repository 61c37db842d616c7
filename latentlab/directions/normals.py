"""Normals of what reads a factor off the codes: ridge, logistic, support vectors, linear discriminants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from latentlab.directions.evidence import split_groups
from latentlab.directions.finder import OneByOne, two_sides

RIDGES = np.logspace(-6, 3, 19)  # shares of the codes' mean variance


@dataclass(kw_only=True, eq=False, repr=False)
class RidgeNormal(OneByOne):
    """The normal along which a ridge regression reads a factor best.

    The ridge is the one of a wide grid with the least leave-one-out error (generalised cross-validation, Golub et al.
    1979). It tells where the factor is read, not what changes with it: correlated factors leak unless `conditional`.

    Args:
        conditional: see `OneByOne`.
        kinds, names, folds, permutations, random_state: see `Supervised`.

    >>> codes = np.random.default_rng(0).standard_normal((100, 3))
    >>> abs(RidgeNormal().fit(codes, codes[:, 1])["factor0"].vector).round(2)
    array([0., 1., 0.])
    """

    reads: ClassVar[bool] = True

    def _normal(self, codes: np.ndarray, column: np.ndarray, group: np.ndarray) -> np.ndarray:
        return ridge_weights(codes, column[:, None], group)[0]


@dataclass(kw_only=True, eq=False, repr=False)
class LogisticNormal(OneByOne):
    """The normal of a logistic regression between the samples where a factor is lowest and where it is highest.

    Args:
        share: of the samples on each side, see `two_sides`.
        inverse_penalty: C of scikit-learn, for codes of unit variance.
        conditional: see `OneByOne`.
        kinds, names, folds, permutations, random_state: see `Supervised`.

    >>> codes = np.random.default_rng(0).standard_normal((200, 3))
    >>> abs(LogisticNormal(folds=0, permutations=0).fit(codes, codes[:, 1])["factor0"].vector).round(1)
    array([0.1, 1. , 0. ])
    """

    share: float = 0.1
    inverse_penalty: float = 1.0
    reads: ClassVar[bool] = True

    def _normal(self, codes: np.ndarray, column: np.ndarray, group: np.ndarray) -> np.ndarray:
        from sklearn.linear_model import LogisticRegression

        # Losses sum over samples: frames of a clip count together as much as the clip alone would.
        penalty = self.inverse_penalty * len(np.unique(group)) / len(group)
        model = LogisticRegression(C=penalty, max_iter=1000)
        return model.fit(*_sides(codes, column, self.share, group)).coef_[0]


@dataclass(kw_only=True, eq=False, repr=False)
class SVMNormal(OneByOne):
    """InterFaceGAN (Shen et al. 2020): the normal of a linear support vector machine between the two sides of a factor.

    Args:
        share: of the samples on each side, see `two_sides`; the paper's code takes 0.02 of half a million.
        inverse_penalty: C of the machine, for codes of unit variance.
        conditional: the paper's conditional manipulation, see `OneByOne`.
        kinds, names, folds, permutations, random_state: see `Supervised`.

    >>> codes = np.random.default_rng(0).standard_normal((200, 3))
    >>> abs(SVMNormal(folds=0, permutations=0).fit(codes, codes[:, 1])["factor0"].vector).round(1)
    array([0., 1., 0.])
    """

    share: float = 0.1
    inverse_penalty: float = 1.0
    reads: ClassVar[bool] = True

    def _normal(self, codes: np.ndarray, column: np.ndarray, group: np.ndarray) -> np.ndarray:
        from sklearn.svm import SVC

        model = SVC(kernel="linear", C=self.inverse_penalty * len(np.unique(group)) / len(group))  # see LogisticNormal
        return np.asarray(model.fit(*_sides(codes, column, self.share, group)).coef_)[0]


@dataclass(kw_only=True, eq=False, repr=False)
class LDA(OneByOne):
    """Fisher's linear discriminant between the two sides of a factor, covariance shrunk as Ledoit & Wolf (2004) do.

    Args:
        share: of the samples on each side, see `two_sides`.
        conditional: see `OneByOne`.
        kinds, names, folds, permutations, random_state: see `Supervised`.

    >>> codes = np.random.default_rng(0).standard_normal((200, 3))
    >>> abs(LDA(folds=0, permutations=0).fit(codes, codes[:, 1])["factor0"].vector).round(1)
    array([0.1, 1. , 0. ])
    """

    share: float = 0.25
    reads: ClassVar[bool] = True

    def _normal(self, codes: np.ndarray, column: np.ndarray, group: np.ndarray) -> np.ndarray:
        """(S + r I)^-1 (mean of high - mean of low), S the covariance within the sides, r its Ledoit-Wolf share."""
        from sklearn.covariance import ledoit_wolf_shrinkage

        low, high = two_sides(column, self.share, group)
        means = codes[low].mean(0), codes[high].mean(0)
        within = np.concatenate([codes[low] - means[0], codes[high] - means[1]]).astype(np.float64)
        difference = (means[1] - means[0]).astype(np.float64)
        variance = float((within**2).mean())
        if variance == 0:
            return difference
        observed = _means(within, np.concatenate([group[low], group[high]]))  # shrinkage is for so many, not for frames
        shrink = max(float(ledoit_wolf_shrinkage(observed, assume_centered=True)), 1e-6)
        return solve_shrunk(within * np.sqrt((1 - shrink) / len(within)), shrink * variance, difference)


def solve_shrunk(factor: np.ndarray, ridge: float, target: np.ndarray) -> np.ndarray:
    """x of `(A^T A + ridge I) x = target` for A = `factor`, through whichever of its sides is shorter (Woodbury)."""
    rows, dims = factor.shape
    if dims <= rows:
        return np.linalg.solve(factor.T @ factor + ridge * np.eye(dims), target)
    inside = np.linalg.solve(factor @ factor.T + ridge * np.eye(rows), factor @ target)
    return (target - factor.T @ inside) / ridge


def ridge_weights(codes: np.ndarray, columns: np.ndarray, group: np.ndarray | None = None) -> np.ndarray:
    """Ridge regression of columns on codes, `(column, dim)`, each with the ridge of least generalised cross-validation.

    Where samples belong together, as `group` says, the ridge is that of least error in groups that are left out: one
    left out alone would be told by its fellows.

    GCV(r) = |f - H f|^2 / (1 - trace(H) / n)^2 with H = Z (Z^T Z + r)^-1 Z^T (Golub et al. 1979), one singular value
    decomposition for all ridges and columns.
    """
    z = (codes - codes.mean(0)).astype(np.float64)
    f = columns - columns.mean(0)
    u, s, vt = np.linalg.svd(z, full_matrices=False)
    if not s.size or s[0] == 0:
        return np.zeros((f.shape[1], z.shape[1]))
    kept = s > s[0] * 1e-10
    u, s, vt = u[:, kept], s[kept], vt[kept]
    inside = u.T @ f
    outside = (f**2).sum(0) - (inside**2).sum(0)
    keep = s**2 / (s**2 + (RIDGES * (s**2).mean())[:, None])  # ridge component
    freedom = 1 - (keep.sum(1) + 1) / len(z)  # the mean takes one
    error = (((1 - keep) ** 2) @ inside**2 + np.maximum(outside, 0)) / np.maximum(freedom, 1e-9)[:, None] ** 2
    if group is not None and len(np.unique(group)) < len(z):
        error = _left_out(z, f, group)
    best = keep[error.argmin(0)]  # column component
    return (best * inside.T / s) @ vt


def _left_out(z: np.ndarray, f: np.ndarray, group: np.ndarray, folds: int = 10) -> np.ndarray:
    """Squared error of each of `RIDGES` in groups that are left out, `(ridge, column)`."""
    error = np.zeros((len(RIDGES), f.shape[1]))
    group = np.unique(group, return_inverse=True)[1]
    for part in split_groups(group, folds, np.random.default_rng(0)):
        rest = np.setdiff1d(np.arange(len(z)), part)
        middle, level = z[rest].mean(0), f[rest].mean(0)
        u, s, vt = np.linalg.svd(z[rest] - middle, full_matrices=False)
        kept = s > max(s[0], np.finfo(float).tiny) * 1e-10
        u, s, vt = u[:, kept], s[kept], vt[kept]
        if not s.size:
            error += ((f[part] - level) ** 2).sum(0)
            continue
        slopes = s / (s**2 + (RIDGES * (s**2).mean())[:, None])  # ridge component
        told = np.einsum("nc,rc,ck->rnk", (z[part] - middle) @ vt.T, slopes, u.T @ (f[rest] - level))
        error += ((f[part] - level - told) ** 2).sum(1)
    return error


def _means(rows: np.ndarray, group: np.ndarray) -> np.ndarray:
    """The mean row of each group; rows as they are where each is its own."""
    group = np.unique(group, return_inverse=True)[1]
    size = np.bincount(group)
    if len(size) == len(rows):
        return rows
    sums = np.zeros((len(size), rows.shape[1]))
    np.add.at(sums, group, rows)
    return sums / size[:, None]


def _sides(codes: np.ndarray, column: np.ndarray, share: float, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Codes of both sides of a column, of unit variance overall, and which side each is on."""
    low, high = two_sides(column, share, group)
    used = codes[low | high].astype(np.float64)
    used -= used.mean(0)  # first, or dims that lie far from 0 would make all others small
    return used / (float(used.std()) or 1.0), high[low | high]
