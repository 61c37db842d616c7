"""Pictures that move: what an image model learns time from, where there are no videos of its pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from latentlab.checks import Count, Seed, clear_errors
from latentlab.data.pictures import Images
from latentlab.shapes import Video

DRIFT = 0.2  # of the frame's side, the most that a picture moves each way over a clip
TURN = math.radians(20)  # the most that it turns over a clip
GROWTH = 1.25  # the most that it grows or shrinks


class Drifting:
    """Each picture as a clip in which it drifts, turns and grows or shrinks, each at a rate of its own, steadily.

    The picture as it is stands in the middle of the clip. What comes in at the frame's edge repeats the edge.

    Args:
        pictures: what moves.
        num_frames: of a clip.

    >>> from latentlab.data import images
    >>> clips = Drifting(images("digits"), num_frames=8)
    >>> clips.clip(0).shape, clips.caption(0)
    (torch.Size([1, 3, 8, 8, 8]), '1')
    """

    @clear_errors
    def __init__(self, pictures: Images, num_frames: Count = 16) -> None:
        if num_frames < 1:
            raise ValueError(f"num_frames is at least 1, got {num_frames}")
        self.pictures, self.num_frames = pictures, num_frames

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.pictures.size

    @property
    def identity(self) -> str:
        """Tells these clips from others."""
        return f"{self.pictures.identity}, drifting over {self.num_frames} frames"

    @cached_property
    def _still(self) -> Float[Tensor, "n channel height width"]:
        return torch.from_numpy(self.pictures.pixels).movedim(-1, 1)

    @clear_errors
    def levels(self, indices: Sequence[int] | np.ndarray, *, seed: Seed = 0) -> Float[Tensor, "clip c frame h w"]:
        """Some clips with the channels of the pictures, in [-1, 1]; another seed moves them in other ways."""
        chosen = self.pictures.checked(indices)
        if not len(chosen):
            raise ValueError("give at least one clip, got none")
        rates = np.stack([np.random.default_rng([seed, int(i)]).uniform(-1, 1, 4) for i in chosen])
        drift_x, drift_y, turn, growth = torch.from_numpy(rates).float().T[:, :, None]
        time = torch.linspace(-0.5, 0.5, self.num_frames) if self.num_frames > 1 else torch.zeros(1)
        angle, scale = TURN * turn * time, GROWTH ** (growth * time)
        # Where each pixel of a frame comes from in the picture, whose sides are 2 in these units.
        across = angle.cos() / scale, angle.sin() / scale, -2 * DRIFT * drift_x * time
        down = -angle.sin() / scale, angle.cos() / scale, -2 * DRIFT * drift_y * time
        back = torch.stack([*across, *down], -1).unflatten(-1, (2, 3)).flatten(0, 1)
        still = self._still[chosen].float() / 127.5 - 1
        frames = still.repeat_interleave(self.num_frames, 0)
        grid = F.affine_grid(back, list(frames.shape), align_corners=False)
        moved = F.grid_sample(frames, grid, padding_mode="border", align_corners=False)
        return moved.unflatten(0, (len(chosen), self.num_frames)).transpose(1, 2)

    @clear_errors
    def clip(self, index: int, *, seed: Seed = 0, frames: Sequence[int] | None = None) -> Video:
        """One clip, `(1, 3, num_frames, height, width)`, or some of its frames."""
        clip = self.levels([index], seed=seed).expand(-1, 3, -1, -1, -1)
        return clip if frames is None else clip[:, :, list(frames)]

    @clear_errors
    def caption(self, index: int, *, seed: Seed = 0) -> str:
        """The name of the picture's class."""
        return self.pictures.caption(index, seed=seed)
