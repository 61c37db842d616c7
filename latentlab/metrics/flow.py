"""Optical flow as a callable, and what is done with it: warping, and which pixels are seen both ways."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

Frames = Float[Tensor, "frame channel height width"]
Field = Float[Tensor, "frame 2 height width"]
Flow = Callable[[Frames, Frames], Field]


def dis(a: Frames, b: Frames) -> Field:
    """Where each pixel of `a` lies in `b`, by dense inverse search (Kroeger et al. 2016), OpenCV's medium preset.

    Args:
        a, b: frames in [-1, 1].

    Returns:
        Pixels right and down.

    >>> frame = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    >>> frame = torch.nn.functional.avg_pool2d(frame, 7, 1, 3)
    >>> dis(frame, frame.roll(2, dims=3))[0, :, 32, 32].round().abs()
    tensor([2., 0.])
    """
    import cv2
    import numpy as np

    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = [(127.5 * (x.mean(1) + 1)).round().clamp(0, 255).to(torch.uint8).cpu().numpy() for x in (a, b)]
    fields = [search.calc(one, two, np.zeros((*one.shape, 2), np.float32)) for one, two in zip(*grey, strict=True)]
    return torch.from_numpy(np.stack(fields)).permute(0, 3, 1, 2).to(a.device)


def still(a: Frames, b: Frames) -> Field:
    """No motion: every change counts as flicker, as it should for a static camera before a static scene.

    >>> frame = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    >>> float(still(frame, frame).abs().max())
    0.0
    """
    return a.new_zeros(len(a), 2, *a.shape[2:])


def warp(frames: Frames, field: Field, *, mode: str = "bicubic") -> Frames:
    """Each frame read where the field points; bicubic, since bilinear reading would hide noise."""
    return _read(frames, _places(field), mode)


def visible(there: Field, back: Field) -> Bool[Tensor, "frame height width"]:
    """Pixels whose way there and back closes: |u + w|^2 <= 0.01 (|u|^2 + |w|^2) + 0.5 (Sundaram et al. 2010, eq. 5).

    Pixels that leave the frame are not visible.
    """
    return _closes(there, back, _places(there))


def follow(frames: Frames, there: Field, back: Field) -> tuple[Frames, Bool[Tensor, "frame height width"]]:
    """`warp(frames, there)` and `visible(there, back)`, which share most of their work."""
    places = _places(there)
    return _read(frames, places, "bicubic"), _closes(there, back, places)


def _places(field: Field) -> Float[Tensor, "frame height width 2"]:
    """Where the field points, as `grid_sample` counts: from -1 at the first pixel to 1 at the last."""
    height, width = field.shape[2:]
    rows = torch.linspace(-1, 1, height, device=field.device, dtype=field.dtype)[:, None]
    columns = torch.linspace(-1, 1, width, device=field.device, dtype=field.dtype)
    x = torch.addcmul(columns, field[:, 0], field.new_tensor(2 / max(1, width - 1)))
    y = torch.addcmul(rows, field[:, 1], field.new_tensor(2 / max(1, height - 1)))
    return torch.stack([x, y], 3)


def _read(frames: Frames, places: Tensor, mode: str) -> Frames:
    return F.grid_sample(frames, places, mode=mode, padding_mode="border", align_corners=True)


def _closes(there: Field, back: Field, places: Tensor) -> Bool[Tensor, "frame height width"]:
    returned = _read(back, places, "bilinear")
    gap = (there + returned).square().sum(1)
    size = there.square().sum(1) + returned.square().sum(1)
    x, y = (places.abs() <= 1 + 1e-6).unbind(3)  # rounding must not push a still border pixel out
    return (gap <= 0.01 * size + 0.5) & x & y
