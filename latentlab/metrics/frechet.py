"""Distance between two sets of clips, by the Gaussians that fit their features."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def frechet_distance(features: Float[Tensor, "sample dim"], reference: Float[Tensor, "other dim"]) -> float:
    """Squared Frechet distance of two Gaussians (Dowson & Landau 1982), fitted to features.

    `|m1 - m2|^2 + tr(C1) + tr(C2) - 2 tr (C1 C2)^(1/2)`, the last term as the nuclear norm of `A' B` with `C = A A'`,
    so there is no matrix square root. It is biased upwards for few samples: read it beside the distance of two
    halves of the reference.

    Raises:
        ValueError: different widths, or fewer than two samples.

    >>> x = torch.randn(500, 3, generator=torch.Generator().manual_seed(0))
    >>> round(frechet_distance(x + 1.0, x), 4)
    3.0
    """
    if features.ndim != 2 or reference.ndim != 2 or features.shape[1] != reference.shape[1]:
        raise ValueError(f"features must be (sample, dim) of one width, got {features.shape} and {reference.shape}")
    if min(len(features), len(reference)) < 2:
        raise ValueError(f"two samples at least, got {len(features)} and {len(reference)}")
    a, b = features.double(), reference.double()
    shift = (a.mean(0) - b.mean(0)).pow(2).sum()
    a, b = (x - x.mean(0) for x in (a, b))
    a, b = a / (len(a) - 1) ** 0.5, b / (len(b) - 1) ** 0.5
    cross = torch.linalg.matrix_norm(a @ b.T, ord="nuc") if len(a) < a.shape[1] else _cross_trace(a, b)
    return float(shift + a.pow(2).sum() + b.pow(2).sum() - 2 * cross)


def _cross_trace(a: Tensor, b: Tensor) -> Tensor:
    """tr (C1 C2)^(1/2) as the nuclear norm of R1 R2', with C = R' R from the QR of the centred features."""
    r1, r2 = torch.linalg.qr(a, mode="r").R, torch.linalg.qr(b, mode="r").R
    return torch.linalg.matrix_norm(r1 @ r2.T, ord="nuc")
