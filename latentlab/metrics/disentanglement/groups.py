"""Groups of dimensions: channels, frames or blocks of wide codes, taken for one dimension each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from latentlab.checks import clear_errors
from latentlab.metrics.disentanglement.rows import Groups, folds

FOLDS = 3


@clear_errors
def group_by_axis(shape: Sequence[int], axis: int | Sequence[int], block: int = 1) -> np.ndarray:
    """A label for each dim of flattened codes: its place along an axis, or along several.

    Args:
        shape: of one sample before it was flattened, e.g. (channel, frame, height, width).
        axis: that tells groups apart; several make blocks.
        block: places along each axis that share a group.

    Returns:
    XX

    >>> group_by_axis((2, 3), 0).tolist()  # channels of (channel, frame)
    [0, 0, 0, 1, 1, 1]
    >>> group_by_axis((1, 4, 4), (1, 2), block=2)[:4].tolist()  # 2 x 2 blocks of a picture
    [0, 0, 1, 1]
    """
    axes = [axis] if isinstance(axis, int | np.integer) else [*axis]
    if block < 1 or block != int(block) or any(not -len(shape) <= a < len(shape) for a in axes):
        raise ValueError(f"axes {axes} and block {block} do not fit codes of shape {tuple(shape)}")
    places = np.indices(tuple(shape)).reshape(len(shape), -1)[axes] // block
    return np.unique(places, axis=1, return_inverse=True)[1].ravel()


def name_groups(groups: Mapping[str, Sequence[int]] | Sequence[Any], dims: int) -> dict[str, np.ndarray]:
    """Dims of each group by name.

    Raises:
        ValueError: labels do not fit the dims, a dim that is not there, an empty group, two of one name.
    """
    if isinstance(groups, Mapping):
        named = {str(name): read_places(at, dims) for name, at in groups.items()}
        if len(named) < len(groups):
            raise ValueError(f"groups need different names, got {', '.join(map(str, groups))}")
    else:
        labels = np.asarray(groups)
        if labels.shape != (dims,):
            raise ValueError(f"{dims} dims need {dims} group labels, got shape {labels.shape}")
        named = {str(label): np.flatnonzero(labels == label) for label in np.unique(labels)}
    for name, at in named.items():
        if not len(at) or at.min() < 0 or at.max() >= dims or len(np.unique(at)) < len(at):
            raise ValueError(f"group {name!r} must hold some of dims 0 to {dims - 1}, each once; got {at.tolist()}")
    if not named:
        raise ValueError("no groups; leave `units` out to score each dim")
    return named


def read_places(at: Any, count: int) -> np.ndarray:
    """Numbers of dims from such numbers, or from a mask of all `count` dims.

    Raises:
        ValueError: neither.

    >>> read_places([False, True, True], 3).tolist()
    [1, 2]
    """
    found = np.asarray(at).ravel()
    if found.dtype == bool and len(found) == count:
        return np.flatnonzero(found)
    if len(found) and found.dtype.kind not in "iu":
        raise ValueError(f"dims must be whole numbers, or a mask of all {count}; got {found.tolist()}")
    return found.astype(int)


def read_group(
    codes: Float[np.ndarray, "sample dim"],
    columns: Sequence[tuple[np.ndarray, np.ndarray, str]],
    rows: Groups = None,
) -> list[np.ndarray]:
    """What a group says of each factor: the value a ridge regression predicts, each sample by a fit without it.

    Information of the prediction is at most that of the group (data processing), so this never says too much; it is
    blind to what the group holds in other than linear form.

    Args:
        codes: of the group.
        columns: factor, its labels, its kind.
        rows: which of them belong together, and are predicted together.

    Returns:
        For each factor the label predicted (categorical), or the value (else; circular ones as an angle).
    """
    targets = [encode_factor(f, labels, kind) for f, labels, kind in columns]
    predicted = predict_folds(codes, np.concatenate(targets, 1), rows)
    parts = np.split(predicted, np.cumsum([t.shape[1] for t in targets])[:-1], axis=1)
    return [_decode(part, labels, kind, rows) for part, (_, labels, kind) in zip(parts, columns, strict=True)]


def encode_factor(factor: np.ndarray, labels: np.ndarray, kind: str) -> Float[np.ndarray, "sample target"]:
    """A factor as regression targets: one for each category, cosine and sine of an angle, else the value scaled."""
    if kind == "categorical":
        return np.eye(int(labels.max()) + 1)[labels]
    if kind == "circular":
        return np.stack([np.cos(np.deg2rad(factor)), np.sin(np.deg2rad(factor))], 1)
    return ((factor - factor.mean()) / (factor.std() or 1.0))[:, None]


def predict_folds(
    codes: Float[np.ndarray, "sample dim"], targets: Float[np.ndarray, "sample target"], rows: Groups = None
) -> np.ndarray:
    """Targets predicted for each third of the samples by ridge regression on the other two."""
    fold, found = folds(len(codes), FOLDS, rows), np.zeros_like(targets)
    for i in range(FOLDS):
        found[fold == i] = ridge(codes[fold != i], targets[fold != i], codes[fold == i])
    return found


def ridge(codes: np.ndarray, targets: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Targets of `others`, the penalty chosen by generalised cross-validation (Golub, Heath & Wahba 1979)."""
    centre, scale, mean = codes.mean(0), codes.std(0), targets.mean(0)
    scale = np.where(np.ptp(codes, axis=0) > 0, scale, 1.0)
    x, y = (codes - centre) / scale, targets - mean
    values, vectors = np.linalg.eigh(x.T @ x if x.shape[1] <= len(x) else x @ x.T)
    kept = values > 1e-9 * max(values[-1], 1e-300)
    values, vectors = values[kept], vectors[:, kept]
    axes = vectors if x.shape[1] <= len(x) else x.T @ vectors / np.sqrt(values)
    along = axes.T @ (x.T @ y)
    best = (np.inf, np.zeros_like(along))
    for penalty in np.geomspace(1e-6, 1e2, 9) * len(x):
        shrunk = along / (values + penalty)[:, None]
        error = (y**2).sum() - (shrunk * (2 * along - values[:, None] * shrunk)).sum()
        free = len(x) - 1 - (values / (values + penalty)).sum()
        best = min(best, (error / max(free, 1e-3) ** 2, shrunk), key=lambda pair: pair[0])
    return (others - centre) / scale @ (axes @ best[1]) + mean


def _decode(part: np.ndarray, labels: np.ndarray, kind: str, rows: Groups) -> np.ndarray:
    if kind == "categorical":
        return _nearest_class(part, labels, rows)
    return np.arctan2(part[:, 1], part[:, 0]) if kind == "circular" else part[:, 0]


def _nearest_class(scores: Float[np.ndarray, "sample class"], labels: np.ndarray, rows: Groups) -> np.ndarray:
    """The class whose mean scores are nearest, in units of the spread within classes: of scores of a regression this is
    discriminant analysis (Hastie et al. 1994). The largest score alone would miss the middle classes of a line."""
    fold, found, count = folds(len(scores), FOLDS, rows), np.zeros(len(scores), int), scores.shape[1]
    for i in range(FOLDS):
        learn, y = scores[fold != i], labels[fold != i]
        sizes = np.bincount(y, minlength=count)
        means = np.stack([np.bincount(y, column, count) for column in learn.T], 1) / np.maximum(sizes, 1)[:, None]
        spread = np.cov((learn - means[y]).T).reshape(count, count)
        spread = spread + 1e-6 * max(float(np.trace(spread)), 1e-12) * np.eye(count)
        weights = np.linalg.solve(spread, means.T)
        nearness = scores[fold == i] @ weights - (means.T * weights).sum(0) / 2 + np.log(np.maximum(sizes, 1e-12))
        found[fold == i] = nearness.argmax(1)
    return found
