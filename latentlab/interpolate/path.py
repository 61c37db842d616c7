"""Paths through several keyframes, and positions that make a path even to the eye."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool3d

from latentlab.interpolate.pair import Axis, as_rows, great_circle, numbers
from latentlab.shapes import Video

Path = Callable[[Tensor], Tensor]
Distance = Callable[[Tensor, Tensor], Tensor]


def spline(
    keys: Float[Tensor, "key batch ..."], t: float | Sequence[float] | Tensor, *, axis: Axis = "clip"
) -> Float[Tensor, "point batch ..."]:
    """A smooth path through all keyframes that keeps norms as `slerp` does.

    Squad (Shoemake 1987): between keyframes i and i + 1, `slerp(slerp(q_i, q_{i+1}, u), slerp(s_i, s_{i+1}, u),
    2 u (1 - u))`, with the inner points s chosen so that the direction of travel has no corner.

    Args:
        keys: two or more keyframes.
        t: positions from 0 (first) to 1 (last), keyframes evenly spaced; `uniform` gives those that are even to the
            eye.
        axis: one angle for each clip, or for each frame.

    >>> keys = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]], [[-1.0, 0.0]]])
    >>> spline(keys, [0.5]).round(decimals=3).flatten().tolist()
    [0.0, 1.0]
    """
    if not isinstance(keys, Tensor) or keys.ndim < 3 or len(keys) < 2:
        found = f"shape {tuple(keys.shape)}" if isinstance(keys, Tensor) else f"a {type(keys).__name__}"
        raise ValueError(f"a path needs one tensor of two keyframes or more, axes (key, batch, ...); got {found}")
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


def uniform(
    path: Path,
    count: int,
    *,
    decode: Callable[[Tensor], Tensor] | None = None,
    distance: Distance | None = None,
    probes: int = 33,
    rounds: int = 3,
) -> Float[Tensor, " point"]:
    """Positions along any path between which the distance is the same: spacing by arc length.

    A path in noise often changes the picture within one short stretch, whatever its formula. The distance is measured
    at `probes` positions, the positions are moved to equal shares of its sum, and so on for a few rounds, the probes
    gathering where the change is. With a decoder the picture changes evenly:

        t = uniform(lambda t: slerp(a, b, t)[:, 0], 9, decode=generator.decode)
        clips = generator.decode(slerp(a, b, t)[:, 0])

    Args:
        path: positions (in [0, 1]) to points, first axis which.
        count: of positions wanted, first 0 and last 1.
        decode: from points to what the distance compares, as of latents to clips; None compares the points themselves.
        distance: of consecutive ones, `(shown[:-1], shown[1:]) -> (point - 1,)`, as `latentlab.metrics.lpips`; by
            default `picture_distance` of what is decoded, and the Euclidean one of points.
        probes: evaluations of the path in a round.
        rounds: of refinement.

    Returns:
        Rising positions.

    Raises:
        ValueError: fewer than two positions, or a path along which nothing changes.

    >>> [round(t, 2) for t in uniform(lambda t: t[:, None] ** 2, 3).tolist()]
    [0.0, 0.71, 1.0]
    """
    for name, value, least in (("count", count, 2), ("probes", probes, 3), ("rounds", rounds, 1)):
        if not isinstance(value, int) or value < least:
            raise ValueError(f"`{name}` must be a whole number of at least {least}, got {value!r}")
    distance = distance or (_euclidean if decode is None else picture_distance)
    at = torch.linspace(0, 1, probes, dtype=torch.float64)
    length = torch.zeros_like(at)
    for _ in range(rounds):
        points = path(at.float())
        shown = points if decode is None else decode(points)
        steps = distance(shown[:-1], shown[1:]).double().cpu()
        if steps.shape != (probes - 1,) or not steps.isfinite().all() or float(steps.sum()) <= 0:
            raise ValueError(f"the distance gave {tuple(steps.shape)} values, sum {float(steps.sum()):g}; expected "
                             f"{probes - 1} finite ones, not all zero")  # fmt: skip
        length = torch.cat([steps.new_zeros(1), steps.cumsum(0)]) / steps.sum()
        known, at = (at, length), _interpolate(torch.linspace(0, 1, probes, dtype=torch.float64), length, at)
    return _interpolate(torch.linspace(0, 1, count, dtype=torch.float64), known[1], known[0]).float()


def picture_distance(a: Video, b: Video) -> Float[Tensor, " batch"]:
    """Root mean square difference of clips, averaged over 4 x 4 blocks so that a shift of a pixel is a small change.

    >>> picture_distance(torch.zeros(1, 3, 2, 8, 8), torch.ones(1, 3, 2, 8, 8)).tolist()
    [1.0]
    """
    if a.ndim != 5 or a.shape != b.shape:
        raise ValueError(f"clips are (batch, 3, frame, height, width), got {tuple(a.shape)} and {tuple(b.shape)}; "
                         "anything else needs a `distance` of its own")  # fmt: skip
    block = (1, min(4, a.shape[3]), min(4, a.shape[4]))
    return avg_pool3d(a - b, block).square().flatten(1).mean(1).sqrt()


def _euclidean(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).flatten(1).norm(dim=1)


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


def _interpolate(x: Tensor, known_x: Tensor, known_y: Tensor) -> Tensor:
    """Linear interpolation of a rising table."""
    i = torch.searchsorted(known_x, x, right=True).clamp(1, len(known_x) - 1)
    span = (known_x[i] - known_x[i - 1]).clamp(min=1e-300)
    return torch.lerp(known_y[i - 1], known_y[i], ((x - known_x[i - 1]) / span).clamp(0, 1))
