"""What every measure of clips asks of its input: one range, one order of axes."""

from __future__ import annotations

from torch import Tensor

SLACK = 1e-3  # rounding, not another range


def check_video(**videos: Tensor) -> None:
    """Checks that clips are floating point `(batch, 3, frame, height, width)` in [-1, 1], and all of one shape.

    Raises:
        ValueError: other axes, NaN or infinity, another range, or clips of different shapes.

    >>> import torch
    >>> check_video(video=torch.zeros(1, 3, 2, 4, 4))
    """
    for name, video in videos.items():
        if video.ndim != 5 or video.shape[1] != 3 or not video.is_floating_point() or not video.numel():
            found = f"{video.dtype} of shape {tuple(video.shape)}"
            raise ValueError(f"`{name}` must be floating point (batch, 3, frame, height, width), got {found}")
        low, high = (float(extreme) for extreme in video.detach().aminmax())
        if not (low >= -1 - SLACK and high <= 1 + SLACK):  # written so that NaN fails
            way = "`latentlab.video.from_uint8` reads 8-bit pictures, `2 * x - 1` maps [0, 1], `clamp(-1, 1)` cuts"
            raise ValueError(f"`{name}` must be in [-1, 1], got {low:g} to {high:g}; {way}")
    shapes = {name: tuple(video.shape) for name, video in videos.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"clips of different shapes: {' and '.join(map(str, shapes.values()))}")
