"""Distances between two sets of features that need no Gaussian: by a kernel, and by nearest neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from latentlab.checks import clear_errors
from latentlab.metrics.frechet import Moments, compared_sizes

BLOCK = 1024  # rows of a kernel or distance matrix held at once

Vectors = Float[Tensor, "sample dim"]


@clear_errors
def kernel_distance(features: Vectors, reference: Vectors) -> float:
    """Squared maximum mean discrepancy by the kernel `(x.y / dim + 1)^3`, unbiased (Binkowski et al. 2018).

    On Inception features of images it is KID, on video features KVD. It is 0 on average for equal distributions
    whatever the number of samples, so it may be negative.

    Args:
        features, reference: two samples at least.

    Raises:
        ValueError: different widths, fewer than two samples, NaN or infinity.

    >>> kernel_distance(torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [1.0]]))
    -19.0
    """
    if isinstance(features, Moments) or isinstance(reference, Moments):
        raise ValueError("a kernel distance needs the features themselves, got moments")
    compared_sizes(features, reference)
    return kernel_gap(features, reference)


def kernel_gap(features: Vectors, reference: Vectors) -> float:
    """`kernel_distance` without its checks, for many calls on parts of one set."""
    x, y = features.double(), reference.double()
    n, m = len(x), len(y)
    within_x = (_sum(x, x) - _kernel((x * x).sum(1), x.shape[1]).sum()) / (n * (n - 1))
    within_y = (_sum(y, y) - _kernel((y * y).sum(1), y.shape[1]).sum()) / (m * (m - 1))
    return float(within_x + within_y - 2 * _sum(x, y) / (n * m))


def _kernel(product: Tensor, dim: int) -> Tensor:
    return (product / dim + 1) ** 3


def _sum(x: Tensor, y: Tensor) -> Tensor:
    return torch.stack([_kernel(block @ y.T, x.shape[1]).sum() for block in x.split(BLOCK)]).sum()


@dataclass(frozen=True)
class PrecisionRecall:
    """Shares in [0, 1], and what they depend on.

    Attributes:
        precision: share of the features inside the reference's manifold.
        recall: share of the reference inside the manifold of the features.
        samples: of both; fewer samples make larger balls and larger shares.
        neighbours: k.
    """

    precision: float
    recall: float
    samples: tuple[int, int]
    neighbours: int


@clear_errors
def precision_recall(features: Vectors, reference: Vectors, *, neighbours: int = 3) -> PrecisionRecall:
    """Shares of samples inside the other set's manifold (Kynkaanniemi et al. 2019, eq. 2).

    A manifold is the union of balls around a set's samples that reach to their k-th nearest neighbour.

    Args:
        features, reference: more than `neighbours` samples each; for like numbers, of like counts.
        neighbours: k.

    Raises:
        ValueError: too few samples, different widths, NaN or infinity.

    >>> x = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    >>> precision_recall(x[:100] + 100, x[100:])
    PrecisionRecall(precision=0.0, recall=0.0, samples=(100, 100), neighbours=3)
    """
    if isinstance(features, Moments) or isinstance(reference, Moments):
        raise ValueError("nearest neighbours need the features themselves, got moments")
    _, *counts = compared_sizes(features, reference)
    if not 1 <= neighbours < min(counts):
        raise ValueError(f"`neighbours` must be from 1 to {min(counts) - 1}, got {neighbours}")
    x, y = features.double(), reference.double()
    x, y = x - y.mean(0), y - y.mean(0)  # distances are sums of squares here, and an offset would drown them
    return PrecisionRecall(_inside(x, y, neighbours), _inside(y, x, neighbours), (len(x), len(y)), neighbours)


def _inside(points: Tensor, centres: Tensor, k: int) -> float:
    """Share of the points within the balls around the centres; each centre is its own 0-th neighbour."""
    radii = torch.cat([torch.cdist(block, centres).kthvalue(k + 1, dim=1).values for block in centres.split(BLOCK)])
    within = torch.cat([(torch.cdist(block, centres) <= radii).any(1) for block in points.split(BLOCK)])
    return float(within.double().mean())
