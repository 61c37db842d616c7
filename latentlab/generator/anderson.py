"""Equations z = f(z) that implicit steps solve."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

TOLERANCE = 1e-6  # relative residual at which a solution counts as exact in float32


def fixed_point(
    f: Callable[[Tensor], Tensor],
    guess: Tensor,
    *,
    tolerance: float = 1e-7,
    max_calls: int = 12,
    memory: int = 2,
    ridge: float = 1e-12,
) -> tuple[Tensor, float]:
    """Solves z = f(z) by Anderson acceleration (Walker & Ni 2011, algorithm AA).

    The next z is the combination of the last few f(z) whose residual, by least squares, is smallest; each item of
    the batch has its own combination, so that it does not depend on its neighbours.

    Args:
        f: the map; a contraction converges, and so does much that is not quite one.
        guess: where to start, first axis batch.
        tolerance: stop once the relative residual |f(z) - z| / |z| of every item is below it.
        max_calls: of f.
        memory: earlier points that are combined.
        ridge: relative, on the normal equations.

    Returns:
        The solution, and the largest relative residual over the batch, which says whether it is one.

    >>> z, residual = fixed_point(lambda z: 0.5 * z + 1, torch.zeros(1, 1))
    >>> round(z.item(), 4), residual < 1e-6
    (2.0, True)
    """
    z, points, gaps = guess, [], []
    best, least = guess.reshape(len(guess), -1), torch.full((len(guess),), float("inf"), device=guess.device)
    for _ in range(max_calls):
        image = f(z).reshape(len(z), -1)
        gap = image - z.reshape(len(z), -1)
        residual = gap.norm(dim=1) / image.norm(dim=1).clamp(min=1e-12)
        # What has converged stays, so that an item does not depend on how long its neighbours take.
        better = (residual < least) & (least > tolerance)
        best, least = torch.where(better[:, None], image, best), torch.where(better, residual, least)
        if not (least > tolerance).any() or not residual.isfinite().all():
            break
        points, gaps = [*points, image][-memory - 1 :], [*gaps, gap][-memory - 1 :]
        z = _combine(points, gaps, ridge).view_as(guess)
    return best.view_as(guess), float(least.max())


def _combine(points: list[Tensor], gaps: list[Tensor], ridge: float) -> Tensor:
    """sum_i a_i f(z_i) with sum a = 1 and |sum_i a_i gap_i| least, for each row of the batch."""
    if len(points) == 1:
        return points[0]
    steps = torch.stack([gaps[-1] - g for g in gaps[:-1]], 2).double()
    gram = steps.mT @ steps
    scale = gram.diagonal(dim1=1, dim2=2).mean(1).clamp(min=torch.finfo(torch.float64).tiny)
    gram = gram + ridge * scale[:, None, None] * torch.eye(gram.shape[1], dtype=gram.dtype, device=gram.device)
    weights = torch.linalg.solve(gram, steps.mT @ gaps[-1].double()[..., None])[..., 0].to(points[0].dtype)
    moves = torch.stack([points[-1] - p for p in points[:-1]], 2)
    return points[-1] - (moves * weights[:, None]).sum(2)
