"""What tells one moving shape from another, alone or among several: its hue, and the magnitudes of its moments."""

from __future__ import annotations

import numpy as np

from latentlab.data.moving.factors import SHAPES, SIDE
from latentlab.data.moving.moments import ORDER, MatteMoments, polygon_moment
from latentlab.data.moving.render import POLYGONS
from latentlab.shapes import OVERSHOOT, Video, check_video

SYMMETRY = {"circle": 0, "square": 4, "triangle": 3, "star": 5, "cross": 4}  # turns that map the shape onto itself
MIN_CONTRAST = 0.1  # between object and background, RGB distance; else there is no object to speak of
MIN_SPEED = 0.02  # pixels a frame; slower than this has no direction


def nearest_shape(moments: MatteMoments, area: np.ndarray) -> np.ndarray:
    """Nearest polygon by the magnitudes of its third, fourth and fifth moment, in units of its size."""
    m = moments.central[..., 3:]
    # Neighbouring frames multiplied: noise averages out instead of adding up, and a slow turn does no harm.
    pair = moments.seen[:, 1:] & moments.seen[:, :-1]
    lagged = np.abs((m[:, 1:] * m[:, :-1].conj()).sum(1)) / np.maximum(pair.sum(1), 1)[:, None]
    single = (np.abs(m) ** 2).sum(1) / np.maximum(moments.seen.sum(1), 1)[:, None]
    magnitude = np.sqrt(np.where(np.asarray(pair.any(1))[:, None], lagged, single))
    radius = np.sqrt(np.maximum(area, 1) / np.pi)
    magnitude = magnitude / radius[:, None] ** np.arange(3, ORDER + 1)
    return np.abs(magnitude[:, None] - _TEMPLATES).sum(-1).argmin(1).astype(float)


_TEMPLATES = np.array([[abs(polygon_moment(POLYGONS[s], k)) for k in range(3, ORDER + 1)] for s in SHAPES])


def hue_of(rgb: np.ndarray) -> np.ndarray:
    """Degrees; the hexagonal hue of HSV, NaN for grey."""
    r, g, b = rgb.T
    high, low = rgb.max(1), rgb.min(1)
    chroma = np.where(high - low > 0.02, high - low, np.nan)
    sector = np.select([high == r, high == g], [(g - b) / chroma, (b - r) / chroma + 2], (r - g) / chroma + 4)
    return sector * 60 % 360


def check_clips(video: Video) -> None:
    """Raises a `ValueError` for what is no clip of this world's size."""
    if video.ndim != 5 or video.shape[1] != 3 or video.shape[2] < 1 or video.shape[-2:] != (SIDE, SIDE):
        raise ValueError(
            f"video must be (batch, 3, frame, {SIDE}, {SIDE}), got {tuple(video.shape)}; "
            "add a batch axis with video[None], put channels second"
        )
    if len(video):
        check_video(OVERSHOOT, video=video)
