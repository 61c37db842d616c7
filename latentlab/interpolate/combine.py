"""Weighted combinations that are as likely as the points they are made of."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from latentlab.checks import clear_errors
from latentlab.interpolate.pair import Axis, as_rows, check_points, lerp, positions


@clear_errors
def combine(
    points: Float[Tensor, "point batch ..."], weights: Sequence[float] | Tensor, *, axis: Axis = "clip"
) -> Float[Tensor, "batch ..."]:
    """Sum w_i x_i / sqrt(w' R w) with the measured correlations R: any number of latents, correlated or not.

    A plain weighted mean of Gaussian latents is too near the origin, by a factor 0.59 for three and 0.35 for eight. For
    independent latents R is the identity and this is Bodin et al. (2025, eq. 6); for inverted clips of one scene, which
    are correlated, dividing by |w| alone overshoots. Points of one norm are combined into a point of that norm; weights
    that pick one point return it.

    Args:
        points: latents, first axis which, second axis batch.
        weights: one for each point, of any sign, not all zero; their scale does not matter.
        axis: R of whole clips, or with "frame" of each frame by itself (video latents).

    Raises:
        ValueError: shapes do not fit, or the points cancel out.

    >>> a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    >>> combine(torch.stack([a, b]), [1, 1]).round(decimals=4)
    tensor([[0.7071, 0.7071]])
    """
    if not isinstance(points, Tensor):
        raise ValueError(
            f"points are one tensor, axes (point, batch, ...), see torch.stack; got {type(points).__name__}"
        )
    if points.ndim < 3:
        raise ValueError(f"points have axes (point, batch, ...), got {tuple(points.shape)}")
    check_points(points)
    try:
        w = torch.as_tensor(weights, dtype=points.dtype, device=points.device)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"weights are numbers, one for each point, got {weights!r}") from error
    if w.shape != points.shape[:1] or not w.isfinite().all() or not w.any():
        raise ValueError(f"{len(points)} points need as many finite weights, not all zero; got {w.tolist()}")
    w = w / w.abs().sum()
    rows, restore = as_rows(points, axis)  # point row dim
    units = rows / rows.norm(dim=2, keepdim=True).clamp(min=torch.finfo(rows.dtype).tiny)
    correlation = torch.einsum("ird,jrd->rij", units, units)
    length = torch.einsum("i,rij,j->r", w, correlation, w).clamp(min=0).sqrt()
    if (length < 1e-4).any():
        raise ValueError("these points cancel out under these weights; their combination has no direction")
    return restore(torch.einsum("i,ird->rd", w, rows)[None] / length[None, :, None])[0]


@clear_errors
def nlerp(
    a: Tensor, b: Tensor, t: float | Sequence[float] | Tensor, *, axis: Axis = "clip"
) -> Float[Tensor, "point batch ..."]:
    """The straight line from `a` to `b`, each point rescaled to the norm that `slerp` has there.

    The same points as slerp's, at another speed: faster in the middle.

    >>> nlerp(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]), [0.5]).round(decimals=4)
    tensor([[[0.7071, 0.7071]]])
    """
    t = positions(a, b, t)
    line, restore = as_rows(lerp(a, b, t), axis)
    ends, _ = as_rows(torch.stack([a, b]), axis)
    norms = ends.norm(dim=2, keepdim=True)
    wanted = torch.lerp(norms[:1], norms[1:], t.view(-1, 1, 1))
    length = line.norm(dim=2, keepdim=True)
    return restore(torch.where(length > 0, line * wanted / length.clamp(min=torch.finfo(line.dtype).tiny), line))
