"""Projections: codes as points on a plane, beside figures that say how far the picture can be believed."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from latentlab.checks import Seed, clear_errors
from latentlab.store import replacing
from latentlab.view.quality import Quality, check_judging, checked, judge_map

METHODS = ("pca", "tsne", "umap")
FIT_AT_MOST = {"tsne": 5_000, "umap": 20_000}  # rows learned from; the others are placed on the finished map
REDUCED = 50  # t-SNE and UMAP see this many principal components of longer codes
NEAREST = 5  # points between which a new one is placed by methods that cannot transform


@dataclass(frozen=True, eq=False)
class Projection:
    """Codes on a plane.

    Attributes:
        points: `(sample, 2)`, or as many columns as were asked for.
        method: its name.
        seed: of all randomness.
        quality: how far the picture can be believed.
        notes: what was done besides, such as rows left out of the fit.
    """

    points: np.ndarray
    method: str
    seed: Seed
    quality: Quality
    notes: tuple[str, ...] = ()
    _map: _Map | None = field(default=None, repr=False)

    def transform(self, codes: ArrayLike) -> np.ndarray:
        """Puts new codes `(sample, dim)` on this map, which stays as it is.

        Methods without a transform of their own (t-SNE) place a code between its nearest fitted neighbours, weighted by
        the inverse square of the distance; a fitted code lands on its own point.

        Raises:
            ValueError: codes of another length than those of the map, or NaN.
        """
        assert self._map is not None
        return self._map.transform(checked(codes, least=1, dim=self._map.dim))

    def plot(self, color: ArrayLike | None = None, **options: Any):
        """The map as a chart; see `latentlab.view.plots.projection`."""
        from latentlab.view.plots import projection

        return projection(self, color, **options)

    def save(self, path: str | Path) -> None:
        """Writes the points as safetensors, their method, seed, quality and notes as its metadata."""
        from safetensors.numpy import save_file

        about = {"method": self.method, "seed": self.seed, "quality": asdict(self.quality), "notes": self.notes}
        with replacing(path) as partial:
            save_file({"points": np.ascontiguousarray(self.points)}, partial, {"projection": json.dumps(about)})

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return np.asarray(self.points, dtype=dtype)

    def __len__(self) -> int:
        return len(self.points)


@clear_errors
def project(
    codes: ArrayLike,
    method: str | Any = "pca",
    *,
    dims: int = 2,
    seed: Seed = 0,
    neighbours: int = 15,
    judge: int = 1000,
    repeats: int = 3,
    at_most: int | None = None,
) -> Projection:
    """Projects codes and judges the map.

    Args:
        codes: `(sample, dim)`, at least 5 rows.
        method: "pca", "tsne", "umap", or any estimator with `fit_transform`, whose settings are kept; it is copied and
            its `random_state`, or that of each step of a pipeline, is set to `seed`. t-SNE and UMAP see 50 principal
            components.
        dims: columns of the map.
        seed: same seed, same map.
        neighbours: that count as nearest; less than half of the rows judged, or it is lowered to that.
        judge: rows drawn for the quality figures, whose cost grows with their square.
        repeats: refits on those rows for the stability, 2 or more; 0 leaves it out.
        at_most: rows to learn the map from, the rest is placed on it; None is 5,000 for t-SNE, 20,000 for UMAP.

    Returns:
        The map. What was subsampled is said in its `notes`.

    Raises:
        ValueError: NaN or infinite codes, too few rows, codes that are all the same, an unknown method.
        ImportError: UMAP, which is not installed.

    >>> codes = np.random.default_rng(0).normal(size=(60, 5)) * [9, 5, 1, 1, 1]
    >>> found = project(codes, repeats=0)
    >>> found.points.shape, round(found.quality.trustworthiness, 1)
    ((60, 2), 1.0)
    """
    _check_method(method)
    judging = _judging(neighbours, judge, repeats)
    rows = checked(codes)
    return _judged(rows, *_fit(rows, method, dims, seed, at_most), method, dims, seed, judging)


@clear_errors
def project_series(
    steps: Sequence[ArrayLike],
    method: str | Any = "pca",
    *,
    dims: int = 2,
    seed: Seed = 0,
    neighbours: int = 15,
    judge: int = 1000,
    repeats: int = 3,
    at_most: int | None = None,
) -> list[Projection]:
    """Projects the same samples at successive frames, noise levels or training steps, so that the maps do not flip.

    PCA has one basis, learned from all steps. t-SNE and UMAP start each map from the one before. Each map of another
    method than PCA is then turned (and reflected, but not scaled) onto the one before, by least squares (Procrustes).

    Args:
        steps: codes `(sample, dim)` of each step, rows in one order.
        method, dims, seed, neighbours, judge, repeats, at_most: see `project`; PCA learns from at most that many rows
            of all steps together, other methods of each step.

    Returns:
        A map for each step.

    Raises:
        ValueError: no steps, or steps that differ in shape.

    >>> turn = np.array([[0.0, 1.0], [-1.0, 0.0]])
    >>> codes = np.random.default_rng(0).normal(size=(40, 2)) * [3, 1]
    >>> first, second = project_series([codes, codes + 0.01], repeats=0)
    >>> bool(np.abs(first.points - second.points).max() < 0.1)
    True
    """
    _check_method(method)
    judging = _judging(neighbours, judge, repeats)
    arrays = [checked(step) for step in steps]
    if not arrays or any(a.shape != arrays[0].shape for a in arrays):
        shapes = [a.shape for a in arrays]
        raise ValueError(f"steps must be one or more arrays of one shape (sample, dim), got {shapes}")
    basis = (
        _fit(np.concatenate(arrays), method, dims, seed, at_most)
        if isinstance(method, str) and method == "pca"
        else None
    )
    found: list[Projection] = []
    for rows in arrays:
        if basis is not None:
            fitted, _, notes = basis
            points, notes = fitted.transform(rows), ("one basis for all steps", *notes)
        else:
            before = found[-1].points if found else None
            fitted, points, notes = _fit(rows, method, dims, seed, at_most, before)
            if before is not None:
                fitted = fitted.turned(*_procrustes(points, before))
                points = fitted.place(points)
                notes += ("turned onto the step before",)
        found.append(_judged(rows, fitted, points, notes, method, dims, seed, judging))
    return found


@dataclass(frozen=True, eq=False)
class _Map:
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
        if hasattr(self.estimator, "transform"):
            return self.place(np.asarray(self.estimator.transform(codes), dtype=np.float64))
        from sklearn.neighbors import NearestNeighbors

        search = NearestNeighbors(n_neighbors=min(NEAREST, len(self.rows))).fit(self.rows)
        distance, index = search.kneighbors(codes)
        weight = 1 / np.maximum(distance, 1e-12 * (1 + distance.max())) ** 2
        return self.place(np.einsum("nk,nkd->nd", weight / weight.sum(1, keepdims=True), self.raw[index]))

    def place(self, raw: np.ndarray) -> np.ndarray:
        return raw @ self.turn + self.shift

    def turned(self, turn: np.ndarray, shift: np.ndarray) -> _Map:
        return replace(self, turn=turn, shift=shift)


def _check_method(method: Any) -> None:
    if not isinstance(method, str) and not hasattr(method, "fit_transform"):
        raise TypeError(f"method must be one of {', '.join(METHODS)} or an estimator, got a {type(method).__name__}")


def _judging(neighbours: int, judge: int, repeats: int) -> dict[str, int]:
    check_judging(judge, neighbours, repeats)
    return {"neighbours": neighbours, "judge": judge, "repeats": repeats}


def _judged(
    rows: np.ndarray,
    fitted: _Map,
    points: np.ndarray,
    notes: tuple[str, ...],
    method: Any,
    dims: int,
    seed: Seed,
    judging: dict[str, int],
) -> Projection:
    """A fitted map with its quality, and with what was subsampled for it among the notes."""
    quality = judge_map(rows, points, lambda codes, s: _fit(codes, method, dims, s, None)[1], seed=seed, **judging)
    if quality.judged < len(rows):
        notes += (f"quality judged on {quality.judged:,} of {len(rows):,} rows",)
        if quality.stability is not None:
            notes += (f"stability is that of maps of {quality.refitted:,} rows",)
    name = method if isinstance(method, str) else type(method).__name__
    return Projection(points, name, seed, quality, notes, fitted)


def _fit(
    codes: np.ndarray, method: Any, dims: int, seed: Seed, at_most: int | None, before: np.ndarray | None = None
) -> tuple[_Map, np.ndarray, tuple[str, ...]]:
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
    fitted = _Map(centre, reduce, estimator, rows, raw, np.eye(raw.shape[1]), np.zeros(raw.shape[1]))
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
    if isinstance(method, type) or not hasattr(method, "fit_transform"):
        raise ValueError(f"`method` must be {', '.join(METHODS)} or an estimator with fit_transform, got {method!r}")
    if not hasattr(method, "get_params"):  # a class of one's own
        own = copy.deepcopy(method)
        if hasattr(own, "random_state"):
            own.random_state = seed
        return own
    from sklearn.base import clone

    cloned: Any = clone(method)
    states = [name for name in cloned.get_params() if name.split("__")[-1] == "random_state"]
    return cloned.set_params(**dict.fromkeys(states, seed))


def _procrustes(points: np.ndarray, onto: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn (or reflection) and shift that bring points nearest to others, by least squares (Schoenemann 1966)."""
    u, _, vt = np.linalg.svd((points - points.mean(0)).T @ (onto - onto.mean(0)))
    return u @ vt, onto.mean(0) - points.mean(0) @ u @ vt
