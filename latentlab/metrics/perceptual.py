"""How far one clip is from another."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from latentlab.shapes import Video


def psnr(video: Video, reference: Video) -> Float[Tensor, " batch"]:
    """Peak signal-to-noise ratio of each clip in decibels, peak to peak 2; equal clips give infinity.

    >>> psnr(torch.full((1, 3, 1, 2, 2), 0.2), torch.zeros(1, 3, 1, 2, 2)).item()
    20.0
    """
    if video.shape != reference.shape:
        raise ValueError(f"clips of different shapes: {tuple(video.shape)} and {tuple(reference.shape)}")
    error = (video.double() - reference.double()).pow(2).flatten(1).mean(1)
    return (10 * torch.log10(4 / error)).float()
