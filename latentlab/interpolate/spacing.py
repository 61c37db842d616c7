"""How a path is spaced: by its parameter, or so that it changes evenly to the eye."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool3d

from latentlab.checks import Count, clear_errors
from latentlab.interpolate.pair import check_points
from latentlab.shapes import Video

CodePath = Callable[[Tensor], Tensor]
PointDistance = Callable[[Tensor, Tensor], Tensor]


@clear_errors
def walk(
    path: CodePath,
    count: int,
    *,
    space: Literal["parameter", "uniform"] = "parameter",
    decode: Callable[[Tensor], Tensor] | None = None,
    distance: PointDistance | None = None,
) -> Float[Tensor, "point batch ..."]:
    """Points along a path from its first end to its last, spaced by its parameter or evenly to the eye.

        between = walk(partial(slerp, a, b), 9, space="uniform", decode=generator.decode)

    Args:
        path: positions in [0, 1] to points `(point, batch, ...)`, as `lerp`, `nlerp`, `slerp` and `spline` give
            them once their ends are told.
        count: of points, ends included.
        space: "parameter" takes positions evenly; "uniform" spaces each item of the batch by arc length, see
            `uniform`.
        decode: from points to what the distance compares; "uniform" needs this, a distance, or both.
        distance: of consecutive ones; None is `picture_distance` of what is decoded.

    Raises:
        ValueError: another spacing, nothing to measure "uniform" with, a path that is none, or along which nothing
            changes.

    >>> import functools
    >>> from latentlab.interpolate import lerp
    >>> path = functools.partial(lerp, torch.zeros(1, 1), torch.ones(1, 1))
    >>> walk(path, 3).flatten().tolist()
    [0.0, 0.5, 1.0]
    >>> seen = walk(path, 3, space="uniform", distance=lambda a, b: (b**2 - a**2).abs().flatten(1).sum(1))
    >>> [round(x, 2) for x in seen.flatten().tolist()]
    [0.0, 0.71, 1.0]
    """
    _check_counts(count=(count, 2))
    if space not in ("parameter", "uniform"):
        raise ValueError(f"a path is spaced by 'parameter' or 'uniform', got {space!r}")
    measured = decode is not None or distance is not None
    if measured and space != "uniform":
        raise ValueError("decode= and distance= measure a path for space='uniform'; without it they change nothing")
    if space == "parameter":
        return _points(path, torch.linspace(0, 1, count))
    if not measured:
        raise ValueError(
            "space='uniform' needs to know what is even: decode=, as generator.decode, to compare pictures, "
            "or a distance= of points"
        )

    def of(item: int) -> CodePath:
        return lambda t: path(t)[:, item]

    items = [of(item) for item in range(_batch(path))]
    at = [uniform(item, count, decode=decode, distance=distance) for item in items]
    return torch.stack([item(t) for item, t in zip(items, at, strict=True)], dim=1)


@clear_errors
def uniform(
    path: CodePath,
    count: int,
    *,
    decode: Callable[[Tensor], Tensor] | None = None,
    distance: PointDistance | None = None,
    probes: Count = 33,
    rounds: Count = 3,
) -> Float[Tensor, " point"]:
    """Positions along any path between which the distance is the same: spacing by arc length.

    A path in noise often changes the picture within one short stretch, whatever its formula. The distance is measured
    at `probes` positions, the positions are moved to equal shares of its sum, and so on for a few rounds, the probes
    gathering where the change is. With a decoder the picture changes evenly:

        t = uniform(lambda t: slerp(a, b, t)[:, 0], 9, decode=generator.decode)
        clips = generator.decode(slerp(a, b, t)[:, 0])

    `walk(..., space="uniform")` takes the points there, for each clip of a batch.

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
        ValueError: fewer than two positions, a path of other than one finite point for each position, a distance of
            other than one finite number for each pair, or a path along which nothing changes.

    >>> [round(t, 2) for t in uniform(lambda t: t[:, None] ** 2, 3).tolist()]
    [0.0, 0.71, 1.0]
    """
    _check_counts(count=(count, 2), probes=(probes, 3), rounds=(rounds, 1))
    distance = distance or (_euclidean if decode is None else picture_distance)
    at = torch.linspace(0, 1, probes, dtype=torch.float64)
    for left in reversed(range(rounds)):
        steps = _steps(_points(path, at.float()), decode, distance)
        length = torch.cat([steps.new_zeros(1), steps.cumsum(0)]) / steps.sum()
        at = _shares(probes if left else count, length, at)
    return at.float()


@clear_errors
def picture_distance(a: Video, b: Video) -> Float[Tensor, " batch"]:
    """Root mean square difference of clips, averaged over 4 x 4 blocks so that a shift of a pixel is a small change.

    >>> picture_distance(torch.zeros(1, 3, 2, 8, 8), torch.ones(1, 3, 2, 8, 8)).tolist()
    [1.0]
    """
    if a.ndim != 5 or a.shape != b.shape:
        raise ValueError(f"clips are (batch, 3, frame, height, width), got {tuple(a.shape)} and {tuple(b.shape)}; "
                         "anything else needs a `distance` of its own")  # fmt: skip
    check_points(a)
    check_points(b)
    block = (1, min(4, a.shape[3]), min(4, a.shape[4]))
    return avg_pool3d(a - b, block).square().flatten(1).mean(1).sqrt()


def _batch(path: CodePath) -> int:
    """Items of a path's batch."""
    ends = _points(path, torch.tensor([0.0, 1.0]))
    if ends.ndim < 2 or not ends.shape[1]:
        raise ValueError(f"a path gives points (point, batch, ...), this one {tuple(ends.shape)}")
    return ends.shape[1]


def _points(path: CodePath, at: Tensor) -> Tensor:
    """What a path gives at positions, checked to be a point for each."""
    points = path(at)
    if not isinstance(points, Tensor) or points.ndim < 1 or len(points) != len(at):
        raise ValueError(f"a path is asked for points at {len(at)} positions, it gave {_found(points)}")
    check_points(points)
    return points


def _steps(
    points: Tensor, decode: Callable[[Tensor], Tensor] | None, distance: PointDistance
) -> Float[Tensor, " step"]:
    """Distances from each point to the next one, on the CPU."""
    shown = points if decode is None else decode(points)
    if not isinstance(shown, Tensor) or len(shown) != len(points):
        raise ValueError(f"decode is asked for one of each of {len(points)} points, it made {_found(shown)}")
    steps = distance(shown[:-1], shown[1:])
    if not isinstance(steps, Tensor) or steps.shape != (len(points) - 1,):
        raise ValueError(
            f"the distance is asked for a number for each of {len(points) - 1} pairs, it gave {_found(steps)}"
        )
    steps = steps.detach().double().cpu()
    if not steps.isfinite().all() or (steps < 0).any():
        raise ValueError(f"distances are finite and not negative, got {steps.min():g} to {steps.max():g}")
    if not steps.any():
        raise ValueError("nothing changes along this path: its distances are all zero, so no spacing is even")
    return steps


def _found(value: object) -> str:
    return f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"


def _check_counts(**counts: tuple[int, int]) -> None:
    for name, (value, least) in counts.items():
        if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
            raise ValueError(f"`{name}` must be a whole number of at least {least}, got {value!r}")


def _euclidean(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).flatten(1).norm(dim=1)


def _shares(count: int, length: Tensor, at: Tensor) -> Tensor:
    """Positions at equal shares of the length, by a rising table; the ends stay where nothing changes towards them."""
    x = torch.linspace(0, 1, count, dtype=torch.float64)
    i = torch.searchsorted(length, x, right=True).clamp(1, len(length) - 1)
    span = (length[i] - length[i - 1]).clamp(min=1e-300)
    found = torch.lerp(at[i - 1], at[i], ((x - length[i - 1]) / span).clamp(0, 1))
    return torch.cat([at[:1], found[1:-1], at[-1:]])
