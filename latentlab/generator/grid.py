"""Masks on the grid of latents: which latents hold a painted pixel."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from latentlab.checks import Count, clear_errors
from latentlab.shapes import Mask


@clear_errors
def to_grid(mask: Mask, size: tuple[Count, Count, Count]) -> Mask:
    """A mask on the grid of latents: the largest value of the pixels and frames that a latent holds.

    A nearest or a mean value would lose thin strokes. Latents that hold several frames are those of the causal video
    autoencoders: the first holds frame 0 alone and each that follows the next 4 (or 8), 1 to 4, 5 to 8, and so on. If
    that does not come out even, all hold as many.

    Args:
        mask: at the size of the clip.
        size: frames, height and width of the latents.

    Raises:
        ValueError: the frames cannot be shared out to that many latents.

    >>> mask = torch.zeros(1, 1, 9, 16, 16)
    >>> mask[:, :, 5, 3, 12] = 1
    >>> to_grid(mask, (3, 2, 2))[0, 0, :, 0, 1]
    tensor([0., 0., 1.])
    """
    check_mask(mask)
    frames, latents = mask.shape[2], size[0]
    if latents < frames:
        if latents > 1 and (frames - 1) % (latents - 1) == 0:
            each = (frames - 1) // (latents - 1)
            mask = torch.cat([mask[:, :, :1].expand(-1, -1, each, -1, -1), mask[:, :, 1:]], 2)
        if mask.shape[2] % latents:
            raise ValueError(f"{latents} latents cannot share {frames} frames; their shape is {size}")
        mask = mask.unflatten(2, (latents, -1)).amax(3)
    if mask.shape[2] != latents:
        raise ValueError(f"a mask of {frames} frames is not one of {latents} latents in time")
    return F.adaptive_max_pool3d(mask, size)


def check_mask(mask: Tensor) -> None:
    """Raises a `ValueError` for what is no mask."""
    if not isinstance(mask, Tensor) or mask.ndim != 5 or not mask.is_floating_point() or not mask.numel():
        found = f"{mask.dtype} of shape {tuple(mask.shape)}" if isinstance(mask, Tensor) else type(mask).__name__
        raise ValueError(f"a mask is floating point (batch, 1, frame, height, width), got {found}")
    if mask.shape[1] != 1:
        raise ValueError(f"a mask has one channel, axes (batch, 1, frame, height, width), got {tuple(mask.shape)}")
    if not (mask.min() >= 0 and mask.max() <= 1):
        raise ValueError(f"a mask is in [0, 1], got values from {float(mask.min()):.3g} to {float(mask.max()):.3g}")
