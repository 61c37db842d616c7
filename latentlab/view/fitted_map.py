"""Maps of codes onto a plane: an estimator fitted on some of them, by which others are placed."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np

from latentlab.checks import Seed
from latentlab.protocols import SklearnEstimator

METHODS = ("pca", "tsne", "umap")
FIT_AT_MOST = {"tsne": 5_000, "umap": 20_000}  # rows learned from; the others are placed on the finished map
REDUCED = 50  # t-SNE and UMAP see this many principal components of longer codes
NEAREST = 5  # points between which a new one is placed by methods that cannot transform


@runtime_checkable
class Fits(Protocol):
    """An estimator that makes a map of the codes that it is fitted to."""

    def fit_transform(self, X: Any) -> Any: ...


@runtime_checkable
class Transforms(Protocol):
    """An estimator that places new codes on its map."""

    def transform(self, X: Any) -> Any: ...


@runtime_checkable
class Seeded(Protocol):
    """An estimator that draws."""

    random_state: Any


@dataclass(frozen=True, eq=False)
class FittedMap:
    """A fitted map: a centre, principal components if the codes are long, an estimator, and a turn of the plane."""

    centre: np.ndarray
    reduce: Any
    estimator: Any
    rows: np.ndarray  # fitted codes, reduced, with their points: where the estimator cannot transform
    raw: np.ndarray
    turn: np.ndarray
    shift: np.ndarray

    @property
    def dim(self) -> int:
        """Of the codes."""
        return len(self.centre)

    def transform(self, codes: np.ndarray) -> np.ndarray:
        codes = _centred(codes, self.centre)
        codes = codes if self.reduce is None else self.reduce.transform(codes)
        if isinstance(self.estimator, Transforms):
            return self.place(np.asarray(self.estimator.transform(codes), dtype=np.float64))
        from sklearn.neighbors import NearestNeighbors

        search = NearestNeighbors(n_neighbors=min(NEAREST, len(self.rows))).fit(self.rows)
        distance, index = search.kneighbors(codes)
        weight = 1 / np.maximum(distance, 1e-12 * (1 + distance.max())) ** 2
        return self.place(np.einsum("nk,nkd->nd", weight / weight.sum(1, keepdims=True), self.raw[index]))

    def place(self, raw: np.ndarray) -> np.ndarray:
        return raw @ self.turn + self.shift

    def turned(self, turn: np.ndarray, shift: np.ndarray) -> FittedMap:
        return replace(self, turn=turn, shift=shift)


def check_projector(method: Any) -> None:
    if not isinstance(method, str) and not isinstance(method, Fits):
        raise TypeError(f"method must be one of {', '.join(METHODS)} or an estimator, got a {type(method).__name__}")


def fit_map(
    codes: np.ndarray, method: Any, dims: int, seed: Seed, at_most: int | None, before: np.ndarray | None = None
) -> tuple[FittedMap, np.ndarray, tuple[str, ...]]:
    """The fitted map, the points of all codes, and what has to be said about it."""
    notes: tuple[str, ...] = ()
    if not 1 <= dims <= codes.shape[1]:
        raise ValueError(f"`dims` must be from 1 to the {codes.shape[1]} dims of the codes, got {dims}")
    if at_most is not None and at_most < 5:
        raise ValueError(f"`at_most` must be 5 or more rows to learn a map from, got {at_most}")
    dim, reduce = codes.shape[1], None
    # What an estimator of one's own may need as it is, a positive code for example, is left as it is.
    centre = codes.mean(0, dtype=np.float64) if isinstance(method, str) else np.zeros(dim)
    codes = small = _centred(codes, centre)
    if method in ("tsne", "umap") and dim > REDUCED < len(codes):
        from sklearn.decomposition import PCA

        reduce = PCA(REDUCED, random_state=seed).fit(codes)
        small = reduce.transform(codes)
        notes += (f"{REDUCED} principal components of {dim} dims, {reduce.explained_variance_ratio_.sum():.0%}",)
    limit = at_most or (FIT_AT_MOST.get(method, len(codes)) if isinstance(method, str) else len(codes))
    rows, start = small, before
    if len(small) > limit:
        drawn = np.sort(np.random.default_rng([seed, len(small), 1]).permutation(len(small))[:limit])
        rows, start = small[drawn], None if before is None else before[drawn]
        notes += (f"learned from {limit:,} of {len(small):,} rows, the others placed on the map",)
    estimator = _estimator(method, dims, seed, len(rows), start)
    raw = np.asarray(estimator.fit_transform(rows), dtype=np.float64)
    if raw.ndim != 2 or len(raw) != len(rows):
        raise ValueError(f"{type(method).__name__} has to make a map (sample, 2) of {len(rows)} rows, got {raw.shape}")
    fitted = FittedMap(centre, reduce, estimator, rows, raw, np.eye(raw.shape[1]), np.zeros(raw.shape[1]))
    return fitted, raw if len(rows) == len(small) else fitted.transform(codes), notes


def _centred(codes: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Codes about a centre, in their own precision, which a large common offset must not take up: the sums of squares
    that PCA and distances are made of would lose the rest."""
    return (codes - centre).astype(codes.dtype, copy=False) if centre.any() else codes


def _estimator(method: Any, dims: int, seed: Seed, count: int, start: np.ndarray | None) -> Any:
    """The estimator of a name, or a clone of one that is given; `start` is the map to begin from."""
    if method == "pca":
        from sklearn.decomposition import PCA

        return PCA(dims, random_state=seed)
    if method == "tsne":
        from sklearn.manifold import TSNE

        init = "pca" if start is None else (start / start[:, 0].std() * 1e-4).astype(np.float32)
        solver = "barnes_hut" if dims < 4 else "exact"
        return TSNE(dims, perplexity=min(30, (count - 1) / 3), init=init, method=solver, random_state=seed, n_jobs=1)
    if method == "umap":
        try:
            from umap import UMAP
        except ImportError as error:
            raise ImportError("UMAP is not installed; pip install 'latentlab[metrics]'") from error
        init: Any = "spectral" if start is None else start.astype(np.float32)
        # one thread is what a seed means to UMAP; said aloud, it does not warn
        return UMAP(n_components=dims, n_neighbors=min(15, count - 1), init=init, random_state=seed, n_jobs=1)
    if isinstance(method, type) or not isinstance(method, Fits):
        raise ValueError(f"`method` must be {', '.join(METHODS)} or an estimator with fit_transform, got {method!r}")
    if not isinstance(method, SklearnEstimator):  # a class of one's own
        own = copy.deepcopy(method)
        if isinstance(own, Seeded):
            own.random_state = seed
        return own
    from sklearn.base import clone

    cloned: Any = clone(method)
    states = [name for name in cloned.get_params() if name.split("__")[-1] == "random_state"]
    return cloned.set_params(**dict.fromkeys(states, seed))


def procrustes(points: np.ndarray, onto: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn (or reflection) and shift that bring points nearest to others, by least squares (Schoenemann 1966)."""
    u, _, vt = np.linalg.svd((points - points.mean(0)).T @ (onto - onto.mean(0)))
    return u @ vt, onto.mean(0) - points.mean(0) @ u @ vt
