"""The silhouette of an object, drawn from what is known of it in each frame, and how well it covers another.

A class says "star" of whatever is nearer to a star than to the other four shapes, however bent; overlap does not.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from latentlab.data.moving.render import POLYGONS, background_colour, object_colour, pixel_coverage, turned_corners

STEP = 0.25  # pixels that a corner moves at most between two moments of the exposure


def silhouette(
    shape: str,
    size: float,
    centre: Float[np.ndarray, "frame 2"],
    angle: Float[np.ndarray, " frame"],
    blur: float = 0.0,
) -> Float[np.ndarray, "frame height width"]:
    """Share of each pixel that a shape covers, averaged over the exposure; exact, as `render` is.

    Args:
        shape: of `POLYGONS`.
        size: pixels, radius of the disc of equal area.
        centre: of the shape in every frame, pixels from the left and the top.
        angle: of the shape in every frame, degrees counterclockwise from upright.
        blur: exposure in frames.

    >>> still = silhouette("star", 8.0, np.full((2, 2), 32.0), np.zeros(2))
    >>> still.shape, still.sum((1, 2)).round(2)
    ((2, 64, 64), array([201.06, 201.06]))
    """
    corners, turned = POLYGONS[shape] * size, np.unwrap(np.deg2rad(angle))
    velocity = np.gradient(centre, axis=0) if len(centre) > 1 else np.zeros_like(centre)
    spin = np.gradient(turned) if len(turned) > 1 else np.zeros_like(turned)
    pace = np.hypot(*velocity.T).max() + np.abs(spin).max() * np.abs(corners).max()
    count = max(4, int(np.ceil(blur * pace / STEP))) if blur * pace > 0 else 1
    moments = blur * ((np.arange(count) + 0.5) / count - 0.5)
    drawn = [pixel_coverage(turned_corners(corners, centre + t * velocity, turned + t * spin)) for t in moments]
    return np.mean(drawn, axis=0)


def painted(
    matte: Float[np.ndarray, "frame height width"], hue: float, background_hue: float, light: float
) -> Float[np.ndarray, "3 frame height width"]:
    """A clip in the world's colours of what a matte covers, in [-1, 1]."""
    back, colour = (f(h)[:, None, None, None] for f, h in ((background_colour, background_hue), (object_colour, hue)))
    return 2 * light * (back + matte * (colour - back)) - 1


def soft_iou(
    one: Float[Tensor, "clip 1 frame height width"], other: Float[Tensor, "clip 1 frame height width"]
) -> Float[np.ndarray, "clip frame"]:
    """Overlap of mattes, frame by frame: the sum of what both cover over the sum of what either does, 0 to 1.

    It is NaN where neither covers anything.

    >>> half = torch.zeros(1, 1, 1, 4, 4)
    >>> half[..., :2] = 1.0
    >>> soft_iou(half, torch.ones_like(half)), soft_iou(half, half)
    (array([[0.5]]), array([[1.]]))
    """
    both, either = (f(one, other).double().sum((1, 3, 4)) for f in (torch.minimum, torch.maximum))
    return torch.where(either > 0, both / either, torch.nan).cpu().numpy()
