"""What can be measured of any clip: brightness, colour, contrast, sharpness, motion, place, likeness to captions.

A measure takes clips and returns a `FactorTable`; `data.moving.measure` is another one, for moving shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from latentlab.checks import WrongKind, clear_errors
from latentlab.factors import Factor, FactorTable
from latentlab.quoted import shown
from latentlab.shapes import Video

Measure = Callable[[Video], FactorTable]
APPEARANCE = (
    Factor("brightness", "continuous", 0, 1, "luma"),
    Factor("contrast", "continuous", 0, 0.5, "standard deviation of the luma of a frame"),
    Factor("red_green", "continuous", -1, 1, "red less green"),
    Factor("yellow_blue", "continuous", -1, 1, "yellow less blue"),
    Factor("sharpness", "continuous", 0, 2, "standard deviation of the Laplacian of the luma"),
    Factor("motion", "continuous", 0, 1, "mean absolute luma from frame to frame"),
    Factor("place_x", "continuous", 0, 1, "share of the width from the left"),
    Factor("place_y", "continuous", 0, 1, "share of the height from the top"),
)


@clear_errors
def appearance(video: Video) -> FactorTable:
    """Measures of any clips, each a mean over frames.

    Colours are the opponent axes of Hasler & Susstrunk (2003). The place is the centroid of what differs from the
    frame's median colour; NaN where nothing does.

    Args:
        video: clips.

    Returns:
        One row a clip, columns as in `APPEARANCE`.

    >>> appearance(torch.ones(1, 3, 2, 8, 8))["brightness"]
    array([1.])
    """
    if video.ndim != 5 or video.shape[1] != 3 or not video.is_floating_point() or not video.isfinite().all():
        found = f"{video.dtype} of shape {tuple(video.shape)}"
        raise ValueError(f"video must be finite, floating point and (batch, 3, frame, height, width), got {found}")
    rgb = (video.detach().float().cpu().double() + 1) / 2
    red, green, blue = rgb.unbind(1)  # (batch, frame, height, width)
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    x, y = _place(rgb)
    columns = {
        "brightness": luma.mean((1, 2, 3)),
        "contrast": luma.flatten(2).std(2, unbiased=False).mean(1),
        "red_green": (red - green).mean((1, 2, 3)),
        "yellow_blue": (0.5 * (red + green) - blue).mean((1, 2, 3)),
        "sharpness": _laplacian(luma).flatten(2).std(2, unbiased=False).mean(1),
        "motion": luma.diff(dim=1).abs().mean((1, 2, 3)) if luma.shape[1] > 1 else torch.zeros(len(luma)),
        "place_x": x,
        "place_y": y,
    }
    return FactorTable(np.stack([columns[spec.name].numpy() for spec in APPEARANCE], 1), APPEARANCE)


@clear_errors
def likeness(score: Callable[[Video, Sequence[str]], Tensor], captions: Sequence[str]) -> Measure:
    """A measure of how much clips look like each of some captions.

    Args:
        score: `(clips, captions) -> (clip, caption)`, such as cosine similarities of CLIP.
        captions: what to compare with.
    """
    if not callable(score):
        raise WrongKind(f"score must be a function of clips and captions, got {shown(score)}")
    specs = tuple(Factor(f"like {caption!r}", "continuous", -1, 1, "similarity") for caption in captions)

    def measure(video: Video) -> FactorTable:
        return FactorTable(np.asarray(score(video, captions).detach().cpu(), dtype=np.float64), specs)

    return measure


def _laplacian(luma: Tensor) -> Tensor:
    middle = luma[..., 1:-1, 1:-1]
    around = luma[..., :-2, 1:-1] + luma[..., 2:, 1:-1] + luma[..., 1:-1, :-2] + luma[..., 1:-1, 2:]
    return around - 4 * middle


def _place(rgb: Tensor) -> tuple[Tensor, Tensor]:
    """Where the object is: pixels count by their distance from the median colour, beyond a tenth of the farthest."""
    median = rgb.flatten(3).median(3).values[..., None, None]
    distance = (rgb - median).square().sum(1).sqrt()  # (batch, frame, height, width)
    far = distance.amax((2, 3), keepdim=True)
    weight = (distance - 0.1 * far).clamp(min=0) * (far > 0.02)
    total = weight.sum((2, 3))
    height, width = rgb.shape[-2:]
    across, down = (torch.arange(n, dtype=rgb.dtype).add(0.5) / n for n in (width, height))
    x = (weight.sum(2) @ across) / total
    y = (weight.sum(3) @ down) / total
    return x.nanmean(1), y.nanmean(1)
