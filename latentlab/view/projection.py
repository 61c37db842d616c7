"""Projections: codes as points on a plane, beside figures that say how far the picture can be believed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from latentlab.checks import Seed, clear_errors
from latentlab.shapes import in_a_line
from latentlab.store import replacing
from latentlab.view.fitted_map import FittedMap, check_projector, fit_map, procrustes
from latentlab.view.plots import maps
from latentlab.view.quality import Quality, check_judging, checked, judge_map


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
    _map: FittedMap | None = field(default=None, repr=False)

    __repr__ = in_a_line

    @clear_errors
    def transform(self, codes: ArrayLike) -> np.ndarray:
        """Puts new codes `(sample, dim)` on this map, which stays as it is.

        Methods without a transform of their own (t-SNE) place a code between its nearest fitted neighbours, weighted by
        the inverse square of the distance; a fitted code lands on its own point.

        Raises:
            ValueError: codes of another length than those of the map, or NaN.
        """
        assert self._map is not None
        return self._map.transform(checked(codes, least=1, dim=self._map.dim))

    @clear_errors
    def plot(self, color: ArrayLike | None = None, **options: Any):
        """The map as a chart; see `latentlab.view.plots.projection`."""
        return maps.projection(self, color, **options)

    @clear_errors
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
    check_projector(method)
    judging = _judging(neighbours, judge, repeats)
    rows = checked(codes)
    return _judged(rows, *fit_map(rows, method, dims, seed, at_most), method, dims, seed, judging)


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
    check_projector(method)
    judging = _judging(neighbours, judge, repeats)
    arrays = [checked(step) for step in steps]
    if not arrays or any(a.shape != arrays[0].shape for a in arrays):
        shapes = [a.shape for a in arrays]
        raise ValueError(f"steps must be one or more arrays of one shape (sample, dim), got {shapes}")
    basis = (
        fit_map(np.concatenate(arrays), method, dims, seed, at_most)
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
            fitted, points, notes = fit_map(rows, method, dims, seed, at_most, before)
            if before is not None:
                fitted = fitted.turned(*procrustes(points, before))
                points = fitted.place(points)
                notes += ("turned onto the step before",)
        found.append(_judged(rows, fitted, points, notes, method, dims, seed, judging))
    return found


def _judging(neighbours: int, judge: int, repeats: int) -> dict[str, int]:
    check_judging(judge, neighbours, repeats)
    return {"neighbours": neighbours, "judge": judge, "repeats": repeats}


def _judged(
    rows: np.ndarray,
    fitted: FittedMap,
    points: np.ndarray,
    notes: tuple[str, ...],
    method: Any,
    dims: int,
    seed: Seed,
    judging: dict[str, int],
) -> Projection:
    """A fitted map with its quality, and with what was subsampled for it among the notes."""
    quality = judge_map(rows, points, lambda codes, s: fit_map(codes, method, dims, s, None)[1], seed=seed, **judging)
    if quality.judged < len(rows):
        notes += (f"quality judged on {quality.judged:,} of {len(rows):,} rows",)
        if quality.stability is not None:
            notes += (f"stability is that of maps of {quality.refitted:,} rows",)
    name = method if isinstance(method, str) else type(method).__name__
    return Projection(points, name, seed, quality, notes, fitted)
