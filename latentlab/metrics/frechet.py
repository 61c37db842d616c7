"""Frechet distance between two sets of clips, by the Gaussians that fit their features."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from latentlab.checks import Seed, clear_errors
from latentlab.shapes import in_a_line
from latentlab.warning import warn

# A set of clips: a vector each, or of each clip the vectors of its frames, which resemble each other.
FeatureRows = Float[Tensor, "sample dim"] | Sequence[Float[Tensor, "frame dim"]]


@dataclass(frozen=True, eq=False)
class Moments:
    """Count, mean and scatter of features in float64: all that a Gaussian keeps of them, and mergeable.

    Attributes:
        count: samples seen.
        mean: `(dim,)`.
        scatter: sum of the outer products of the samples about their mean, `(dim, dim)`.

    >>> x = torch.arange(8.0).view(4, 2)
    >>> (Moments.of(x[:1]) + Moments.of(x[1:])).mean.tolist()
    [3.0, 4.0]
    """

    count: int
    mean: Float[Tensor, " dim"]
    scatter: Float[Tensor, "dim dim"]

    __repr__ = in_a_line

    @staticmethod
    def of(features: Float[Tensor, "sample dim"]) -> Moments:
        """Moments of a batch, of one sample or more.

        Raises:
            ValueError: not `(sample, dim)`, no sample, NaN or infinity.
        """
        x = _checked(features).double()
        mean = x.mean(0)
        return Moments(len(x), mean, (x - mean).T @ (x - mean))

    def __add__(self, other: Moments) -> Moments:
        """Moments of both sets together (Chan et al. 1979), in any order and grouping."""
        if len(self.mean) != len(other.mean):
            raise ValueError(f"moments of {len(self.mean)} and {len(other.mean)} dimensions cannot be merged")
        count, gap = self.count + other.count, other.mean - self.mean
        mean = self.mean + gap * (other.count / count)
        between = torch.outer(gap, gap) * (self.count * other.count / count)
        return Moments(count, mean, self.scatter + other.scatter + between)

    @property
    def covariance(self) -> Float[Tensor, "dim dim"]:
        """Unbiased; needs two samples."""
        return self.scatter / (self.count - 1)


@clear_errors
def frechet_distance(features: Tensor | Moments, reference: Tensor | Moments) -> float:
    """Squared Frechet distance of two Gaussians (Dowson & Landau 1982), fitted to features.

    `|m1 - m2|^2 + tr(C1) + tr(C2) - 2 tr (C1 C2)^(1/2)`, without a matrix square root. With `C = A' A` the last trace
    is the nuclear norm of `A1 A2'`, which for fewer samples than dimensions is small and needs no covariance; otherwise
    it is the sum of the roots of the eigenvalues of the symmetric `L' C2 L`, `C1 = L L'`. It is biased upwards by about
    1 / samples: `compare` gives it with n, interval and floor, `frechet_infinity` extrapolates it, `kernel_distance` is
    unbiased.

    Args:
        features, reference: `(sample, dim)`, or their `Moments`; two samples at least.

    Raises:
        ValueError: different widths, fewer than two samples, NaN or infinity.

    Warns:
        UserWarning: fewer than dim + 1 samples, so that a covariance is singular.

    >>> x = torch.randn(500, 3, generator=torch.Generator().manual_seed(0))
    >>> round(frechet_distance(x + 1.0, x), 4)
    3.0
    """
    dim, *counts = compared_sizes(features, reference)
    if said := too_few(min(counts), dim):
        warn(said)
    return frechet(features, reference)


def frechet(features: Tensor | Moments, reference: Tensor | Moments) -> float:
    """`frechet_distance` without its checks and warning, for many calls on parts of one set."""
    few = [isinstance(x, Tensor) and len(x) <= x.shape[1] for x in (features, reference)]
    (mean1, spread1, root1), (mean2, spread2, root2) = (
        _by_samples(x) if f and isinstance(x, Tensor) else _by_moments(x)
        for f, x in zip(few, (features, reference), strict=True)
    )
    if all(few):
        cross = torch.linalg.matrix_norm(root1 @ root2.T, ord="nuc")
    elif any(few):  # A C A' of the few samples A
        a, c = (root1, root2) if few[0] else (root2, root1)
        cross = _sum_of_roots(a @ c @ a.T)
    else:
        cross = _trace_of_root(root1, root2)
    return float((mean1 - mean2).square().sum() + spread1 + spread2 - 2 * cross)


def _by_samples(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, trace of the covariance, and A with covariance A' A, of samples - 1 rows.

    Centred samples sum to zero, and the zero eigenvalue that they bring would be rounded, and its root be 1e-8.
    So A holds what each sample differs by from the mean of those before it (Helmert), which turns them and loses none.
    """
    x = x.double()
    mean, count = x.mean(0), torch.arange(1, len(x), dtype=torch.float64, device=x.device)[:, None]
    centred = x - mean
    a = (count * centred[1:] - centred.cumsum(0)[:-1]) / (count * (count + 1) * (len(x) - 1)).sqrt()
    return mean, a.square().sum(), a


def _by_moments(x: Tensor | Moments) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, trace of the covariance, and the covariance."""
    moments = x if isinstance(x, Moments) else Moments.of(x)
    return moments.mean, moments.covariance.trace(), moments.covariance


def _trace_of_root(c1: Tensor, c2: Tensor) -> Tensor:
    """tr (C1 C2)^(1/2)."""
    root, failed = torch.linalg.cholesky_ex(c1)
    if failed:  # singular: C1 = V w V'
        values, vectors = torch.linalg.eigh(c1)
        root = vectors * values.clamp(min=0).sqrt()
    return _sum_of_roots(root.T @ c2 @ root)


def _sum_of_roots(symmetric: Tensor) -> Tensor:
    return torch.linalg.eigvalsh(symmetric).clamp(min=0).sqrt().sum()


@clear_errors
def frechet_infinity(features: FeatureRows, reference: FeatureRows, *, points: int = 8, seed: Seed = 0) -> float:
    """Frechet distance extrapolated to endless samples (Chong & Forsyth 2020): its bias falls as 1 / samples.

    Distances of random parts of both sets, of a quarter (but no fewer than dim + 1 clips) up to all, are fitted by a
    line over 1 / part; its value at 0 is returned. It can be a little below 0 for equal distributions.

    Args:
        features, reference: a vector a clip, or a list with the vectors of each clip's frames, which stay together; at
            least 2 (dim + 1) clips each.
        points: parts, at least 3.
        seed: of the choice.

    Raises:
        ValueError: too few clips or points, different widths.

    >>> x = torch.randn(2, 2000, 4, generator=torch.Generator().manual_seed(0))
    >>> abs(frechet_infinity(x[0], x[1])) < abs(frechet_distance(x[0], x[1]))
    True
    """
    dim, *_ = compared_sizes(rows(features), rows(reference))
    clips = min(len(features), len(reference))
    if clips < 2 * (dim + 1) or points < 3:
        way = "below, the bias is no straight line; `kernel_distance` has none"
        raise ValueError(f"needs 2 (dim + 1) = {2 * (dim + 1)} samples and 3 points, got {clips} and {points}: {way}")
    parts = np.linspace(max(0.25, (dim + 1) / clips), 1, points)
    values = []
    for i, part in enumerate(parts):
        rng = np.random.default_rng([seed, i])
        values.append(
            frechet(*(choose(x, rng.permutation(len(x))[: round(part * len(x))]) for x in (features, reference)))
        )
    return float(np.polyfit(1 / parts, values, 1)[1])


def rows(features: FeatureRows) -> Float[Tensor, "sample dim"]:
    """All vectors of a set.

    Raises:
        ValueError: no clip, or clips whose vectors have no common width.
    """
    if isinstance(features, Tensor):
        return features
    if not isinstance(features, list | tuple) or not all(isinstance(x, Tensor) for x in features):
        way = "`torch.from_numpy` makes one of an array"
        raise ValueError(f"features must be a tensor, or a list of one a clip, got {type(features).__name__}; {way}")
    shapes = {(x.ndim, x.shape[-1] if x.ndim else 0) for x in features}
    if len(shapes) != 1 or shapes.pop()[0] != 2:
        found = sorted({tuple(x.shape) for x in features}, key=str)[:4]
        raise ValueError(f"expected (frame, dim) of each clip, of one width, got {found} among {len(features)}")
    return torch.cat(list(features))


def choose(features: FeatureRows, clips: np.ndarray) -> Float[Tensor, "sample dim"]:
    """The vectors of some clips, by number, repeats allowed."""
    if isinstance(features, Tensor):
        return features[torch.as_tensor(clips, device=features.device)]
    return torch.cat([features[i] for i in clips])


def compared_sizes(features: Tensor | Moments, reference: Tensor | Moments) -> tuple[int, int, int]:
    """Dimensions and both counts of two sets that can be compared.

    Raises:
        ValueError: different widths, fewer than two samples, NaN or infinity.
    """
    sizes = [
        (x.count, len(x.mean)) if isinstance(x, Moments) else tuple(_checked(x).shape) for x in (features, reference)
    ]
    if sizes[0][1] != sizes[1][1]:
        raise ValueError(f"features must be (sample, dim) of one width, got {sizes[0]} and {sizes[1]}")
    if min(sizes[0][0], sizes[1][0]) < 2:
        raise ValueError(f"two samples at least, got {sizes[0][0]} and {sizes[1][0]}")
    return sizes[0][1], sizes[0][0], sizes[1][0]


def too_few(count: int, dim: int, clips: float = math.inf) -> str:
    """What to say of a Frechet distance of `count` samples from so many clips; "" if there are enough."""
    bias = "the Frechet distance is mostly bias; read its floor, or kernel_distance"
    if count <= dim:
        return f"{count} samples for {dim} dimensions: {bias}"
    if clips <= dim:
        return f"{clips} clips ({count} frames, alike within a clip) for {dim} dimensions: {bias}"
    return ""


def _checked(x: Tensor) -> Tensor:
    if not isinstance(x, Tensor):
        way = "`torch.from_numpy` makes one of an array; only a Frechet distance takes `Moments`"
        raise ValueError(f"features must be a tensor (sample, dim), got {type(x).__name__}; {way}")
    if x.ndim != 2 or not x.numel():
        raise ValueError(f"features must be (sample, dim) of one width, got {tuple(x.shape)}")
    if not x.isfinite().all():
        raise ValueError(f"features hold {int((~x.isfinite()).sum())} NaN or infinite values of {x.numel()}")
    return x
