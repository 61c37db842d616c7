"""Temporal metrics: how much a clip flickers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from latentlab.shapes import Video

LEVELS = 127.5  # 8-bit levels in one unit of video
MAD_TO_SD = 1 / 0.6745  # of a normal distribution


@dataclass(frozen=True)
class Flicker:
    """Equivalent jitter of clips, in 8-bit levels: independent jitter of standard deviation a reads a.

    Attributes:
        overall: robust, over all pixels; `(batch,)`.
        brightness: of the whole frame at once (exposure, colour); `(batch,)`.
        difference: mean absolute difference of adjacent frames, which also counts motion; `(batch,)`.
        series: `overall` for each inner frame; `(batch, frame - 2)`.
    """

    overall: Float[Tensor, " batch"]
    brightness: Float[Tensor, " batch"]
    difference: Float[Tensor, " batch"]
    series: Float[Tensor, "batch frame-2"]


def flicker(video: Video) -> Flicker:
    """Flicker of clips, told apart from slow change by the three-frame residual.

    `r_t = f_t - (f_{t-1} + f_{t+1}) / 2` is blind to anything that changes linearly; divided by sqrt(1.5), its
    standard deviation is that of the jitter. Medians over pixels ignore what moves as long as it covers less than half
    of the frame; motion is not compensated, so pan and zoom read as flicker here.

    Args:
        video: clips of three frames or more.

    Returns:
        Jitter in 8-bit levels.

    Raises:
        ValueError: fewer than three frames.

    >>> import torch
    >>> flicker(torch.zeros(1, 3, 8, 16, 16)).overall
    tensor([0.])
    """
    if video.ndim != 5 or video.shape[2] < 3:
        raise ValueError(f"flicker needs (batch, channel, 3 or more frames, height, width), got {tuple(video.shape)}")
    frames = video.float() * LEVELS
    residual = (frames[:, :, 1:-1] - 0.5 * (frames[:, :, :-2] + frames[:, :, 2:])) / math.sqrt(1.5)
    per_frame = residual.transpose(1, 2).flatten(2)  # batch frame pixel
    series = per_frame.abs().median(dim=2).values * MAD_TO_SD
    whole = residual.flatten(3).median(dim=3).values  # batch channel frame
    return Flicker(
        overall=residual.flatten(1).abs().median(dim=1).values * MAD_TO_SD,
        brightness=whole.pow(2).mean(dim=(1, 2)).sqrt(),
        difference=frames.diff(dim=2).abs().mean(dim=(1, 2, 3, 4)),
        series=series,
    )
