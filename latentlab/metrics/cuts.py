"""Shot cuts, told apart from flashes: after a cut the picture stays another, after a flash it comes back."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

LEVELS = 20.0  # a pair of frames that differs by more after compensation, and by more than both its neighbours, ...
RATIO = 3.0  # ... so many times, may be a cut; a fade changes as much from frame to frame
ALIKE = 0.9  # correlation: neighbours in a shot have 0.98 and more, frames of two shots 0.88 at most
APART = 4  # so a flash of up to three frames is no cut
GRID = 8  # cells in a row and in a column


def shot_cuts(frames: Float[Tensor, "frame channel height width"], change: Float[Tensor, " pair"]) -> tuple[int, ...]:
    """Frames at which a new shot begins.

    Between two shots the picture changes far more than in the pairs of frames beside, motion taken out, and no frame
    before is like one after, up to `APART` frames from it: what comes back so soon is a flash. Like is what correlates
    over a coarse grid after a gain and an offset of each colour: exposure may jump within a shot, and that is flicker.

    Args:
        frames: in 8-bit levels.
        change: mean absolute difference between each frame and the next, warped onto it, in 8-bit levels.

    >>> import torch
    >>> dark, light = -50 * torch.eye(16).expand(4, 3, 16, 16), 50 * torch.eye(16).flip(0).expand(4, 3, 16, 16)
    >>> shot_cuts(torch.cat([dark, light]), torch.tensor([0.0, 0, 0, 90, 0, 0, 0]))
    (4,)
    """
    beside = F.pad(change, (1, 1))
    found = ((change > LEVELS) & (change > RATIO * torch.maximum(beside[:-2], beside[2:]))).nonzero().flatten().tolist()
    cells = F.adaptive_avg_pool2d(frames, GRID).flatten(2)
    cells = (cells - cells.mean(2, keepdim=True)).flatten(1)
    products = cells @ cells.T + cells.shape[1]  # one squared level a cell: flat frames are alike
    powers = products.diagonal().sqrt()
    alike = (products / (powers[:, None] * powers) > ALIKE).tolist()
    return tuple(
        t + 1 for t in found
        if not any(alike[i][j] for i in range(max(0, t + 1 - APART), t + 1)
                   for j in range(t + 1, min(len(frames), i + APART + 1)))
    )  # fmt: skip


def shots(cuts: tuple[int, ...], frames: int) -> list[slice]:
    """The frames of each shot.

    >>> shots((3,), 8)
    [slice(0, 3, None), slice(3, 8, None)]
    """
    ends = [0, *cuts, frames]
    return [slice(a, b) for a, b in pairwise(ends)]
