"""Paths between two points of a latent space."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.forward_ad import unpack_dual

from latentlab.checks import clear_errors

Axis = Literal["clip", "frame"]
LARGE = 1 << 22  # bytes from which numpy asks for large pages


@clear_errors
def lerp(a: Tensor, b: Tensor, t: float | Sequence[float] | Tensor) -> Float[Tensor, "point batch ..."]:
    """Straight line from `a` (t = 0) to `b` (t = 1); shrinks the norm of Gaussian noise by up to a factor 0.71 halfway.

    Args:
        a, b: points of the same shape, first axis batch.
        t: positions, one or many; outside [0, 1] they extrapolate. `walk` with `space="uniform"` takes those that are
            even to the eye.

    Returns:
        One batch for each position.

    >>> lerp(torch.zeros(1, 2), torch.ones(1, 2), [0.0, 0.5]).tolist()
    [[[0.0, 0.0]], [[0.5, 0.5]]]
    """
    t = positions(a, b, t)
    return torch.lerp(a[None], b[None], t.view(-1, *[1] * a.ndim))


@clear_errors
def slerp(
    a: Tensor, b: Tensor, t: float | Sequence[float] | Tensor, *, axis: Axis = "clip"
) -> Float[Tensor, "point batch ..."]:
    """Great-circle path from `a` to `b` (Shoemake 1985), the norm going linearly from one to the other.

    Directions turn at constant angular speed, so points of a Gaussian stay as likely as its samples. Where the angle
    is near 0 this is the straight line; near pi, where the great circle is not defined, it passes through a fixed
    direction at right angles to `a`, so the path stays continuous and finite.

    Args:
        a, b: points of the same shape, first axis batch.
        t: positions, one or many; outside [0, 1] they go on along the circle. `walk` with `space="uniform"` takes
            those that are even to the eye.
        axis: one angle for each clip, or with "frame" one for each frame (axis 2 of video latents).

    Returns:
        One batch for each position.

    >>> slerp(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]), [0.5])[0].round(decimals=4)
    tensor([[0.7071, 0.7071]])
    """
    t = positions(a, b, t)
    ((flat_a,), restore), ((flat_b,), _) = as_rows(a[None], axis), as_rows(b[None], axis)
    return restore(great_circle(flat_a, flat_b, t))


def great_circle(
    flat_a: Float[Tensor, "row dim"], flat_b: Float[Tensor, "row dim"], t: Float[Tensor, "*row point"]
) -> Float[Tensor, "point row dim"]:
    """`slerp` of rows, at positions that all of them share or each has of its own."""
    norm_a, norm_b = flat_a.norm(dim=1, keepdim=True), flat_b.norm(dim=1, keepdim=True)
    tiny = torch.finfo(flat_a.dtype).tiny
    unit_a, unit_b = flat_a / norm_a.clamp(min=tiny), flat_b / norm_b.clamp(min=tiny)
    angle, across = _towards(unit_a, unit_b)
    turn, norm = angle * t, torch.lerp(norm_a, norm_b, t)  # row point
    weights = torch.stack([norm * torch.cos(turn), norm * torch.sin(turn)], 2)
    plane = torch.stack([unit_a, across], 1)  # row 2 dim
    line = ((norm_a * norm_b) == 0)[:, :, None]
    if line.any():  # a zero vector has no direction: take the straight line there
        weights = torch.where(line, torch.stack([1 - t, t], -1), weights)
        plane = torch.where(line, torch.stack([flat_a, flat_b], 1), plane)
    return _combined(weights, plane)


def _combined(weights: Tensor, plane: Tensor) -> Float[Tensor, "point row dim"]:
    """`weights @ plane`, points first. A long path is mostly the cost of its memory, so that comes in large pages."""
    shape = weights.shape[1], weights.shape[0], plane.shape[2]
    size = math.prod(shape) * plane.element_size()
    followed = any(x.requires_grad or unpack_dual(x).tangent is not None for x in (weights, plane))  # by a derivative
    if followed or size < LARGE or plane.device.type != "cpu":
        return (weights @ plane).transpose(0, 1)
    path = torch.from_numpy(np.empty(size, np.uint8)).view(plane.dtype).view(shape)  # numpy asks the system for them
    torch.bmm(weights, plane, out=path.transpose(0, 1))
    return path


def _towards(unit_a: Tensor, unit_b: Tensor) -> tuple[Float[Tensor, "row 1"], Float[Tensor, "row dim"]]:
    """The angle from a to b, and unit vectors in their plane at right angles to a, towards b."""
    finfo = torch.finfo(unit_a.dtype)

    def along(x: Tensor) -> Tensor:
        return (unit_a * x).sum(1, keepdim=True)

    cosine = along(unit_b)
    rest = unit_b - cosine * unit_a
    rest = rest - along(rest) * unit_a  # once more: near 0 and pi the first left some of a
    sine = rest.norm(dim=1, keepdim=True)
    # atan2 of both keeps full precision at both ends, where acos of the cosine loses half the digits.
    angle, across = torch.atan2(sine, cosine), rest / sine.clamp(min=finfo.tiny)
    antipodal = (sine < 8 * finfo.eps) & (cosine < 0)
    if not antipodal.any():
        return angle, across
    # Antipodes: the axis that a leans on least, made orthogonal to it.
    axis = torch.zeros_like(unit_a).scatter_(1, unit_a.abs().argmin(1, keepdim=True), 1.0)
    turned = axis - along(axis) * unit_a
    turned = turned / turned.norm(dim=1, keepdim=True).clamp(min=finfo.tiny)
    return angle, torch.where(antipodal, turned, across)


def as_rows(points: Tensor, axis: Axis) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Points `(point, batch, ...)` as `(point, row, dim)`, where a row is what shares one angle, and the way back."""
    if points.ndim < 3:
        raise ValueError(f"latents have axes (batch, ...), got shape {tuple(points.shape[1:])}; add one, x[None]")
    if axis == "clip":
        return points.flatten(2), lambda path: path.view(-1, *points.shape[1:])
    if axis != "frame":
        raise ValueError(f"axis must be 'clip' or 'frame', got {axis!r}")
    if points.ndim != 6:
        raise ValueError(
            f"axis='frame' needs (batch, channel, frame, height, width), got shape {tuple(points.shape[1:])}"
        )
    batch, channel, frame, height, width = points.shape[1:]

    def restore(path: Tensor) -> Tensor:
        return path.view(-1, batch, frame, channel, height, width).transpose(2, 3)

    return points.transpose(2, 3).reshape(len(points), batch * frame, -1), restore


def positions(a: Tensor, b: Tensor, t: float | Sequence[float] | Tensor) -> Float[Tensor, " point"]:
    """Positions on a path from `a` to `b` as a tensor, after the checks that every path makes."""
    if not (isinstance(a, Tensor) and isinstance(b, Tensor)):
        raise ValueError(f"the two ends must be tensors, got {type(a).__name__} and {type(b).__name__}")
    if a.shape != b.shape:
        raise ValueError(f"the two ends must have one shape, got {tuple(a.shape)} and {tuple(b.shape)}")
    if a.dtype != b.dtype:
        raise ValueError(f"the two ends must have one dtype, got {a.dtype} and {b.dtype}")
    check_points(a)
    check_points(b)
    return numbers(t, a)


def check_points(points: Tensor) -> None:
    """Raises unless points are floating point, finite and at least one."""
    if not points.is_floating_point():
        raise ValueError(f"points of a latent space must be floating point, got {points.dtype}")
    if not points.numel():
        raise ValueError(f"there are no points, got shape {tuple(points.shape)}")
    if not points.isfinite().all():
        bad = int((~points.isfinite()).sum())
        raise ValueError(f"points must be finite, got {bad} NaN or infinite values of {points.numel()}")


def numbers(t: float | Sequence[float] | Tensor, like: Tensor) -> Float[Tensor, " point"]:
    """Positions in the dtype of the points."""
    try:
        if torch.is_complex(torch.as_tensor(t)):
            raise ValueError("complex numbers")
        t = torch.as_tensor(t, dtype=like.dtype, device=like.device).reshape(-1)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"positions are numbers, 0 at the first end and 1 at the last, got {t!r}") from error
    if not (t.isfinite().all() and len(t)):
        raise ValueError(f"positions must be finite and at least one, got {t.tolist()}")
    return t
