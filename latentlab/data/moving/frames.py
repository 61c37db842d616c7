"""Single frames of moving shapes with the factors that one frame shows."""

from __future__ import annotations

import numpy as np
import torch
from tqdm.auto import tqdm

from latentlab.checks import Seed, clear_errors
from latentlab.data.moving.dataset import MovingShapes
from latentlab.data.moving.factors import FACTORS, NAMES, NUM_FRAMES
from latentlab.factors import Factor, FactorTable
from latentlab.shapes import Video

_SEEN = ("shape", "hue", "size", "background_hue", "light")
FRAME_FACTORS = (
    *(FACTORS[NAMES.index(name)] for name in _SEEN),
    Factor("x", "continuous", 15.25, 48.75, "pixels from the left"),
    Factor("y", "continuous", 15.25, 48.75, "pixels from the top"),
)


@clear_errors
def moving_frames(count: int, seed: Seed = 0, *, progress: bool = False) -> tuple[Video, FactorTable]:
    """One frame of each of `count` clips, at a time of its own, with what that frame shows.

    Args:
        count: how many.
        seed: of the clips and of the times.
        progress: show a bar.

    Returns:
        Frames `(count, 3, 1, 64, 64)`, and shape, hue, size, background hue, light and place of the centre.

    >>> video, factors = moving_frames(2)
    >>> video.shape, factors.names[-2:]
    (torch.Size([2, 3, 1, 64, 64]), ('x', 'y'))
    """
    data = MovingShapes(count, seed)
    times = [int(np.random.default_rng([seed, i]).integers(NUM_FRAMES)) for i in range(count)]
    items = tqdm(range(count), desc="drawing frames", disable=not progress or None)
    video = torch.cat([data.clip(i, frames=[times[i]]) for i in items])
    return video, factors_at(data.factors(), np.array(times))


def factors_at(factors: FactorTable, times: np.ndarray) -> FactorTable:
    """What one frame of each clip shows, from the factors of the clips.

    Args:
        factors: of clips of moving shapes.
        times: number of the frame, one a clip.
    """
    angle, far = np.deg2rad(factors["direction"]), factors["speed"] * times
    x, y = factors["start_x"] + far * np.cos(angle), factors["start_y"] - far * np.sin(angle)  # rows grow downwards
    return FactorTable(np.stack([*(factors[name] for name in _SEEN), x, y], 1), FRAME_FACTORS)
