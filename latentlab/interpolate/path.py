"""Paths through several keyframes, and positions that make a path even to the eye."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from latentlab.interpolate.pair import Axis, as_rows, slerp

Path = Callable[[Tensor], Tensor]


def spline(
    keys: Float[Tensor, "key batch ..."], t: float | Sequence[float] | Tensor, *, axis: Axis = "clip"
) -> Float[Tensor, "point batch ..."]:
    """A smooth path through all keyframes that keeps norms as `slerp` does.

    Squad (Shoemake 1987): between keyframes i and i + 1, `slerp(slerp(q_i, q_{i+1}, u), slerp(s_i, s_{i+1}, u),
    2 u (1 - u))`, with the inner points s chosen so that the direction of travel has no corner.

    Args:
        keys: two or more keyframes.
        t: positions from 0 (first) to 1 (last), keyframes evenly spaced.
        axis: one angle for each clip, or for each frame.

    >>> keys = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]], [[-1.0, 0.0]]])
    >>> spline(keys, [0.5]).round(decimals=3).flatten().tolist()
    [0.0, 1.0]
    """
    if keys.ndim < 3 or len(keys) < 2:
        raise ValueError(f"a path needs two keyframes or more, axes (key, batch, ...); got shape {tuple(keys.shape)}")
    where = torch.as_tensor(t, dtype=keys.dtype, device=keys.device).reshape(-1)
    if not ((where >= 0) & (where <= 1)).all():
        raise ValueError(f"positions on a path lie in [0, 1], got {where.tolist()}")
    inner = _inner_points(keys, axis)
    points = []
    for position in where.tolist():
        i = min(int(position * (len(keys) - 1)), len(keys) - 2)
        u = position * (len(keys) - 1) - i
        outside = slerp(keys[i], keys[i + 1], u, axis=axis)[0]
        inside = slerp(inner[i], inner[i + 1], u, axis=axis)[0]
        points.append(slerp(outside, inside, 2 * u * (1 - u), axis=axis)[0])
    return torch.stack(points)


def uniform(
    path: Path, distance: Callable[[Tensor, Tensor], Tensor], count: int, *, probes: int = 33, rounds: int = 3
) -> Float[Tensor, " point"]:
    """Positions along a path between which the distance is the same: spacing by arc length.

    A path in noise often changes the picture within one short stretch, whatever its formula. The distance is measured
    at `probes` positions, the positions are moved to equal shares of its sum, and so on for a few rounds, the probes
    gathering where the change is.

    Args:
        path: positions (in [0, 1]) to points, e.g. `lambda t: gen.decode(gen.sample(slerp(a, b, t)[:, 0]))`.
        distance: of consecutive points, `(points[:-1], points[1:]) -> (point - 1,)`; perceptual, or any other.
        count: of positions wanted, first 0 and last 1.
        probes: evaluations of the path in a round.
        rounds: of refinement.

    Returns:
        Rising positions.

    Raises:
        ValueError: fewer than two positions, or a path along which nothing changes.

    >>> [round(t, 2) for t in uniform(lambda t: t**2, lambda a, b: (b - a).abs(), 3).tolist()]
    [0.0, 0.71, 1.0]
    """
    if count < 2 or probes < 3 or rounds < 1:
        raise ValueError(f"need count >= 2, probes >= 3, rounds >= 1; got {count}, {probes}, {rounds}")
    at = torch.linspace(0, 1, probes, dtype=torch.float64)
    length = torch.zeros_like(at)
    for _ in range(rounds):
        points = path(at.float())
        steps = distance(points[:-1], points[1:]).double().cpu()
        if steps.shape != (probes - 1,) or not steps.isfinite().all() or float(steps.sum()) <= 0:
            raise ValueError(f"the distance gave {tuple(steps.shape)} values, sum {float(steps.sum()):g}; expected "
                             f"{probes - 1} finite ones, not all zero")  # fmt: skip
        length = torch.cat([steps.new_zeros(1), steps.cumsum(0)]) / steps.sum()
        known, at = (at, length), _interpolate(torch.linspace(0, 1, probes, dtype=torch.float64), length, at)
    return _interpolate(torch.linspace(0, 1, count, dtype=torch.float64), known[1], known[0]).float()


def _inner_points(keys: Tensor, axis: Axis) -> Tensor:
    """s_i = exp_i(-(log_i(q_{i-1}) + log_i(q_{i+1})) / 4), Shoemake (1987); the ends are their own."""
    rows, restore = as_rows(keys, axis)
    norms = rows.norm(dim=2, keepdim=True).clamp(min=torch.finfo(rows.dtype).tiny)
    unit = rows / norms
    here = unit[1:-1]
    turn = -(_log(here, unit[:-2]) + _log(here, unit[2:])) / 4
    angle = turn.norm(dim=2, keepdim=True)
    moved = torch.cos(angle) * here + torch.sin(angle) * turn / angle.clamp(min=1e-12)
    return restore(torch.cat([rows[:1], moved * norms[1:-1], rows[-1:]]))


def _log(at: Tensor, to: Tensor) -> Tensor:
    """The tangent at unit vector `at` that leads to unit vector `to`."""
    cosine = (at * to).sum(2, keepdim=True).clamp(-1, 1)
    across = to - cosine * at
    length = across.norm(dim=2, keepdim=True)
    return torch.atan2(length, cosine) * across / length.clamp(min=1e-12)


def _interpolate(x: Tensor, known_x: Tensor, known_y: Tensor) -> Tensor:
    """Linear interpolation of a rising table."""
    i = torch.searchsorted(known_x, x, right=True).clamp(1, len(known_x) - 1)
    span = (known_x[i] - known_x[i - 1]).clamp(min=1e-300)
    return torch.lerp(known_y[i - 1], known_y[i], ((x - known_x[i - 1]) / span).clamp(0, 1))
