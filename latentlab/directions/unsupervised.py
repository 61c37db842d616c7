"""Directions without labels: principal and independent components, varimax."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy import linalg

from latentlab.checks import Count, Seed, clear_errors
from latentlab.directions.direction_set import DirectionSet
from latentlab.directions.finder import Finder


@dataclass(kw_only=True, eq=False, repr=False)
class PCA(Finder):
    """Principal components (GANSpace, Härkönen et al. 2020), whole or part by part.

    Args:
        count: components; fewer where samples or dims allow no more, or nothing varies along others.
        groups: dims of each part by name, such as frames or levels; components are then found in each part alone and
            called "frame0.pca0".
        random_state: of the randomised decomposition of wide codes.

    Attributes:
        variance_ratio_: share of the variance that each explains, of its part.

    `partial_fit` takes codes batch by batch where they do not fit into memory.

    >>> codes = np.random.default_rng(0).standard_normal((300, 3)) * [1.0, 5.0, 2.0]
    >>> abs(PCA(count=1).fit(codes)["pca0"].vector).round(1)
    array([0., 1., 0.])
    """

    count: Count = 10
    groups: Mapping[str, Sequence[int]] | None = None
    random_state: Seed = 0
    _running = None  # by part, of `partial_fit`; no setting, so without a type

    @clear_errors
    def fit(self, codes: Any, y: Any = None) -> Self:
        """Learns the directions from codes `(sample, dim)`; y is ignored."""
        del y
        codes = self._codes(codes)
        names, vectors, ratios = [], [], []
        for part, dims in parts_of(self.groups, codes.shape[1]).items():
            axes, variance, total = principal(codes[:, dims], self.count, self.random_state)
            names += [f"{part}pca{i}" for i in range(len(axes))]
            vectors.append(spread_out(axes, dims, codes.shape[1]))
            ratios.append(variance / total if total else variance)
        self.variance_ratio_ = np.concatenate(ratios)
        return self._keep(DirectionSet.measured(names, np.concatenate(vectors), codes, provenance=made_by(self, codes)))

    @clear_errors
    def partial_fit(self, codes: Any, y: Any = None) -> Self:
        """Goes on from what was learned, with further codes (Ross et al. 2008); each batch at least `count` of them."""
        del y
        from sklearn.decomposition import IncrementalPCA

        codes = self._codes(codes)
        parts = parts_of(self.groups, codes.shape[1])
        if self._running is None:
            self._running = {part: IncrementalPCA(min(self.count, len(dims))) for part, dims in parts.items()}
        names, vectors, variances, ratios = [], [], [], []
        for part, dims in parts.items():
            running: Any = self._running[part].partial_fit(codes[:, dims])
            names += [f"{part}pca{i}" for i in range(len(running.components_))]
            vectors.append(spread_out(upright(running.components_), dims, codes.shape[1]))
            variances.append(running.explained_variance_)
            ratios.append(running.explained_variance_ratio_)
        self.variance_ratio_ = np.concatenate(ratios)
        # Components of different parts go together in ways that batches do not keep; within a part they do not.
        covariance = np.diag(np.concatenate(variances))
        return self._keep(
            DirectionSet(tuple(names), np.concatenate(vectors), covariance, provenance=made_by(self, codes))
        )


@dataclass(kw_only=True, eq=False, repr=False)
class ICA(Finder):
    """Independent components (FastICA, Hyvärinen 1999): the columns of the mixing matrix, strongest first.

    Args:
        count: components.
        random_state: of the start.
        iterations: at most so many.

    >>> codes = np.random.default_rng(0).uniform(-1, 1, (500, 2)) * [3, 1]
    >>> abs(ICA(count=2).fit(codes).directions_).round(1)
    array([[1. , 0. ],
           [0.2, 1. ]])
    """

    count: Count = 10
    random_state: Seed = 0
    iterations: Count = 500

    @clear_errors
    def fit(self, codes: Any, y: Any = None) -> Self:
        """Learns the directions from codes `(sample, dim)`; y is ignored."""
        del y
        import warnings

        from sklearn.decomposition import FastICA
        from sklearn.exceptions import ConvergenceWarning

        codes = self._codes(codes)
        axes, variance, _ = principal(codes, self.count, self.random_state)
        axes = axes[variance > 1e-10 * variance[0]]
        inside = (codes - codes.mean(0)) @ axes.T
        model: Any = FastICA(whiten="unit-variance", random_state=self.random_state, max_iter=self.iterations)
        with warnings.catch_warnings():  # told by converged_ instead
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(inside)
        self.converged_ = model.n_iter_ < self.iterations
        mixing = strongest_first(upright(model.mixing_.T @ axes))
        names = [f"ica{i}" for i in range(len(mixing))]
        return self._keep(DirectionSet.measured(names, mixing, codes, provenance=made_by(self, codes)))


@dataclass(kw_only=True, eq=False, repr=False)
class Varimax(Finder):
    """Principal components turned until each rests on few dims (Kaiser 1958).

    Args:
        count: components.
        iterations: at most so many.
        random_state: of the decomposition.

    >>> codes = np.random.default_rng(0).standard_normal((500, 3)) * [3, 1, 0.1]
    >>> abs(Varimax(count=2).fit(codes).directions_).round(1)
    array([[1., 0., 0.],
           [0., 1., 0.]])
    """

    count: Count = 10
    iterations: Count = 200
    random_state: Seed = 0

    @clear_errors
    def fit(self, codes: Any, y: Any = None) -> Self:
        """Learns the directions from codes `(sample, dim)`; y is ignored."""
        del y
        codes = self._codes(codes)
        axes, variance, _ = principal(codes, self.count, self.random_state)
        loadings = axes.T * np.sqrt(variance)
        turned = strongest_first(upright((loadings @ varimax(loadings, self.iterations)).T))
        names = [f"varimax{i}" for i in range(len(turned))]
        return self._keep(DirectionSet.measured(names, turned, codes, provenance=made_by(self, codes)))


def check_count(count: int) -> None:
    """Raises unless so many directions can be asked for."""
    if count < 1 or count != int(count):
        raise ValueError(f"count must be a whole number of at least 1, got {count}")


def principal(codes: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Unit principal axes `(axis, dim)`, the variance along each, and that of all dims; randomised where quicker."""
    from sklearn.utils.extmath import randomized_svd

    check_count(count)
    centred = codes - codes.mean(0)
    count = min(count, min(codes.shape))
    if min(codes.shape) > 500 and count < 0.2 * min(codes.shape):
        decompose: Any = randomized_svd
        _, values, axes = decompose(centred, count, n_oversamples=10, n_iter=7, random_state=seed)
    else:
        _, values, axes = linalg.svd(centred, full_matrices=False)
    variance = values[:count].astype(np.float64) ** 2 / len(codes)
    kept = variance > 1e-12 * variance[0]  # axes along which nothing varies are anybody's guess
    if not kept.any():
        raise ValueError("all codes are equal; there is nothing to find")
    axes = upright(axes[:count][kept]).astype(np.float64)
    return axes, variance[kept], float(centred.var(0, dtype=np.float64).sum())


def varimax(loadings: np.ndarray, iterations: int) -> np.ndarray:
    """Rotation R that makes the squares of `loadings @ R` vary most, (Kaiser 1958) by singular value decompositions."""
    dims, count = loadings.shape
    rotation, last = np.eye(count), 0.0
    for _ in range(iterations):
        turned = loadings @ rotation
        u, s, vt = np.linalg.svd(loadings.T @ (turned**3 - turned * (turned**2).sum(0) / dims))
        rotation = u @ vt
        if s.sum() < last * (1 + 1e-10):
            break
        last = s.sum()
    return rotation


def upright(vectors: np.ndarray) -> np.ndarray:
    """Rows with the sign that makes the largest entry positive, so that a seed gives one answer."""
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(1)[:, None], 1)
    return vectors * np.where(largest < 0, -1, 1)


def strongest_first(vectors: np.ndarray) -> np.ndarray:
    """Rows in the order of their lengths."""
    return vectors[np.argsort(-np.linalg.norm(vectors, axis=1), kind="stable")]


def parts_of(groups: Mapping[str, Sequence[int]] | None, dim: int) -> dict[str, np.ndarray]:
    """Dims of each part, by the beginning of its directions' names."""
    if groups is None:
        return {"": np.arange(dim)}
    parts = {f"{name}.": np.asarray(dims, dtype=int) for name, dims in groups.items()}
    for name, dims in parts.items():
        if not len(dims) or dims.min() < 0 or dims.max() >= dim:
            raise ValueError(f"part {name[:-1]!r} must hold dims from 0 to {dim - 1}, got {dims.tolist()[:5]}")
    return parts


def spread_out(vectors: np.ndarray, dims: np.ndarray, dim: int) -> np.ndarray:
    """Vectors over some dims as vectors over all."""
    wide = np.zeros((len(vectors), dim))
    wide[:, dims] = vectors
    return wide


def made_by(finder: Finder, codes: np.ndarray) -> dict[str, Any]:
    """How directions came to be."""
    return {"finder": type(finder).__name__, "samples": len(codes)}
