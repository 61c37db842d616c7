"""What classical augmentation does to labelled slices: mirrors, bends, and brightness and noise of other scanners."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

SlicePictures = Float[Tensor, "slice 1 height width"]
Tissues = Int[Tensor, "slice height width"]

TURN = math.radians(12)  # the most that a slice turns
GROWTH = 0.12  # logarithm of the most that it grows or shrinks
SHIFT = 0.06  # of half the side, the most that it moves each way
BEND = 0.03  # of half the side, standard deviation of the displacement at the nodes
NODES = 6  # of the smooth displacement, each way


def warped(pictures: SlicePictures, tissues: Tissues, rng: np.random.Generator) -> tuple[SlicePictures, Tissues]:
    """Mirrors, turns, grows, shifts and smoothly bends each slice, its tissues along with it.

    The displacement is cubic between random nodes (elastic deformation, Simard et al. 2003; Ronneberger et al. 2015).

    Args:
        pictures: in any range; what comes in at the edges repeats them.
        tissues: whole numbers, moved by the nearest pixel.
        rng: of the warps.
    """
    count, device = len(pictures), pictures.device

    def draw(low: float, high: float) -> Tensor:
        return torch.from_numpy(rng.uniform(low, high, count)).float().to(device)

    turn, grown, mirror = draw(-TURN, TURN), draw(-GROWTH, GROWTH).exp(), 1 - 2 * (draw(0, 1) < 0.5).float()
    rotation = torch.stack(
        [torch.stack([turn.cos() * mirror, -turn.sin()], 1), torch.stack([turn.sin() * mirror, turn.cos()], 1)], 1
    )
    shift = torch.stack([draw(-SHIFT, SHIFT), draw(-SHIFT, SHIFT)], 1)
    affine = torch.cat([rotation / grown[:, None, None], shift[:, :, None]], 2)
    grid = F.affine_grid(affine, list(pictures.shape), align_corners=False)
    nodes = torch.from_numpy(rng.normal(0, BEND, (count, 2, NODES, NODES))).float().to(device)
    grid = grid + F.interpolate(nodes, pictures.shape[2:], mode="bicubic", align_corners=True).movedim(1, -1)
    moved = F.grid_sample(pictures, grid, mode="bilinear", padding_mode="border", align_corners=False)
    own = tissues[:, None].to(pictures.dtype)
    carried = F.grid_sample(own, grid, mode="nearest", padding_mode="border", align_corners=False)
    return moved, carried[:, 0].round().to(tissues.dtype)


def recoloured(pictures: SlicePictures, rng: np.random.Generator) -> SlicePictures:
    """Another curve of intensities, a smooth field and some noise for each slice in [-1, 1]."""
    count, device = len(pictures), pictures.device

    def draw(*shape: int) -> Tensor:
        return torch.from_numpy(rng.normal(size=(count, *shape))).float().to(device)

    field = F.interpolate(draw(1, 3, 3), pictures.shape[2:], mode="bicubic", align_corners=True)
    bright = (pictures + 1).clamp(min=0) / 2
    bright = bright ** (0.15 * draw(1, 1, 1)).exp() * (0.1 * draw(1, 1, 1) + 0.12 * field).exp()
    return (bright + 0.02 * draw(*pictures.shape[1:])).clamp(0, 1) * 2 - 1
