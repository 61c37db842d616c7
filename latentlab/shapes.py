"""Array types with named axes, and the check of what users give as video: the shapes of latentlab in one place.

Axes, always in this order: `batch channel frame height width`.

- `Video`: float32 in [-1, 1], RGB.
- `Latents`: what the autoencoder makes of a video, about unit variance.
- `Noise`: same shape as the latents, unit variance; what `invert` returns and `sample` takes.
- `Codes`: one row a sample, one column a dimension.
- `Factors`: one row a sample, one column a factor.
"""

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

Video = Float[Tensor, "batch 3 frame height width"]
Mask = Float[Tensor, "batch 1 frame height width"]
Latents = Float[Tensor, "batch channel frame height width"]
Noise = Float[Tensor, "batch channel frame height width"]
Codes = Float[Tensor, "sample dim"]
Factors = Float[Tensor, "sample factor"]


# How far values of a clip may lie outside of [-1, 1]
SLACK = 0.01  # rounding
OVERSHOOT = 1.0  # generators and jitter; 8-bit levels and pictures scaled to unit variance reach further
CLAMPED = 63.0  # where what is beyond gets cut off anyway, or latents are welcome: only 8-bit levels reach further


def check_codes(codes: Tensor) -> None:
    """Raises unless they are codes `(sample, dim)`: floating point, finite, one at least.

    >>> import torch
    >>> check_codes(torch.zeros(3))
    Traceback (most recent call last):
    ValueError: codes must be floating point (sample, dim), at least one, got torch.float32 of shape (3,)
    """
    if codes.ndim != 2 or not len(codes) or not codes.is_floating_point():
        found = f"{codes.dtype} of shape {tuple(codes.shape)}"
        raise ValueError(f"codes must be floating point (sample, dim), at least one, got {found}")
    if not codes.isfinite().all():
        bad = int((~codes.isfinite()).any(1).sum())
        raise ValueError(f"{bad} of {len(codes)} codes hold NaN or infinity")


def check_video(slack: float = SLACK, **videos: Tensor) -> None:
    """Checks that clips are floating point `(batch, 3, frame, height, width)` in [-1, 1], and all of one shape.

    Args:
        slack: how far values may lie outside.
        videos: by the names that errors call them.

    Raises:
        ValueError: no tensor, other axes, NaN or infinity, another range, or clips of different shapes.

    >>> import torch
    >>> check_video(video=torch.zeros(1, 3, 2, 4, 4))
    """
    for name, video in videos.items():
        if not isinstance(video, Tensor):
            kind = type(video).__name__
            raise ValueError(f"`{name}` must be a tensor, got {kind}; `latentlab.video.read` reads a file")
        if video.ndim != 5 or video.shape[1] != 3 or not video.is_floating_point() or not video.numel():
            found = f"{video.dtype} of shape {tuple(video.shape)}"
            raise ValueError(f"`{name}` must be floating point (batch, 3, frame, height, width), got {found}")
        low, high = (float(extreme) for extreme in video.detach().aminmax())
        if not (math.isfinite(low) and math.isfinite(high)):
            bad = int((~video.isfinite()).sum())
            raise ValueError(f"`{name}` must be finite, got {bad} NaN or infinite values of {video.numel()}")
        if low < -1 - slack or high > 1 + slack:
            way = "`latentlab.video.from_uint8` reads 8-bit pictures, `2 * x - 1` maps [0, 1], `clamp(-1, 1)` cuts"
            raise ValueError(f"`{name}` must be in [-1, 1], got {low:g} to {high:g}; {way}")
    shapes = {name: tuple(video.shape) for name, video in videos.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"clips of different shapes: {' and '.join(map(str, shapes.values()))}")


def in_a_line(self: Any) -> str:
    """A dataclass in one line, for classes to take as `__repr__`: arrays by kind and shape, what is empty left out.

    >>> import torch
    >>> from latentlab.video import Clip
    >>> Clip(torch.zeros(1, 3, 16, 64, 64), fps=8.0)
    Clip(video=float32 (1, 3, 16, 64, 64), fps=8)
    """
    said = {field.name: getattr(self, field.name) for field in fields(self) if field.repr}
    shown = (f"{name}={_short(value)}" for name, value in said.items() if not _is_empty(value))
    return f"{type(self).__name__}({', '.join(shown)})"


def _short(value: Any, most: int = 12) -> str:
    if isinstance(value, Tensor | np.ndarray):
        shape = tuple(value.shape)
        return _short(value.tolist()) if math.prod(shape) <= 4 else f"{str(value.dtype).split('.')[-1]} {shape}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        shown = [f"{key}: {_short(one)}" for key, one in [*value.items()][:most]]
        return f"{{{', '.join(shown)}{', ...' * (len(value) > most)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_short, value[:most]))}{', ...' * (len(value) > most)}]"
    return repr(value)


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str | Mapping | list | tuple) and not value)
