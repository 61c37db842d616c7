"""Paths through several keyframes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from latentlab.checks import clear_errors
from latentlab.interpolate.pair import Axis, as_rows, check_points, great_circle, numbers


@clear_errors
def spline(
    keys: Float[Tensor, "key batch ..."], t: float | Sequence[float] | Tensor, *, axis: Axis = "clip"
) -> Float[Tensor, "point batch ..."]:
    """A smooth path through all keyframes that keeps norms as `slerp` does.

    Squad (Shoemake 1987): between keyframes i and i + 1, `slerp(slerp(q_i, q_{i+1}, u), slerp(s_i, s_{i+1}, u),
    2 u (1 - u))`, with the inner points s chosen so that the direction of travel has no corner.

    Args:
        keys: two or more keyframes.
        t: positions from 0 (first) to 1 (last), keyframes evenly spaced; `walk` with `space="uniform"` takes those
            that are even to the eye.
        axis: one angle for each clip, or for each frame.

    >>> keys = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]], [[-1.0, 0.0]]])
    >>> spline(keys, [0.5]).round(decimals=3).flatten().tolist()
    [0.0, 1.0]
    """
    if not isinstance(keys, Tensor) or keys.ndim < 3 or len(keys) < 2:
        found = f"shape {tuple(keys.shape)}" if isinstance(keys, Tensor) else f"a {type(keys).__name__}"
        raise ValueError(f"a path needs one tensor of two keyframes or more, axes (key, batch, ...); got {found}")
    check_points(keys)
    t = numbers(t, keys)
    if not ((t >= 0) & (t <= 1)).all():
        raise ValueError(f"positions on a path lie in [0, 1], got {t.tolist()}")
    rows, restore = as_rows(keys, axis)  # key row dim
    inner = _inner_points(rows)
    i = (t * (len(keys) - 1)).long().clamp(max=len(keys) - 2)
    u = (t * (len(keys) - 1) - i).repeat_interleave(rows.shape[1])[:, None]  # one for each row of each point
    outside = great_circle(rows[i].flatten(0, 1), rows[i + 1].flatten(0, 1), u)
    inside = great_circle(inner[i].flatten(0, 1), inner[i + 1].flatten(0, 1), u)
    return restore(great_circle(outside[0], inside[0], 2 * u * (1 - u)).view(len(t), *rows.shape[1:]))


def _inner_points(rows: Float[Tensor, "key row dim"]) -> Float[Tensor, "key row dim"]:
    """s_i = exp_i(-(log_i(q_{i-1}) + log_i(q_{i+1})) / 4), Shoemake (1987); the ends are their own."""
    norms = rows.norm(dim=2, keepdim=True).clamp(min=torch.finfo(rows.dtype).tiny)
    unit = rows / norms
    here = unit[1:-1]
    turn = -(_log(here, unit[:-2]) + _log(here, unit[2:])) / 4
    angle = turn.norm(dim=2, keepdim=True)
    moved = torch.cos(angle) * here + torch.sin(angle) * turn / angle.clamp(min=1e-12)
    return torch.cat([rows[:1], moved * norms[1:-1], rows[-1:]])


def _log(at: Tensor, to: Tensor) -> Tensor:
    """The tangent at unit vector `at` that leads to unit vector `to`."""
    cosine = (at * to).sum(2, keepdim=True).clamp(-1, 1)
    across = to - cosine * at
    length = across.norm(dim=2, keepdim=True)
    return torch.atan2(length, cosine) * across / length.clamp(min=1e-12)
