"""Masks: where to paint, at the size of the clip, and the way to the grid of latents on which a generator paints.

A mask is 1 where the generator may paint and 0 where the clip stays, `(batch, 1, frame, height, width)`; one clip and
one frame stand for all. In between it says how much of the new picture is mixed in.
"""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from latentlab.checks import Count, Natural, clear_errors
from latentlab.generator.grid import check_mask
from latentlab.shapes import CLAMPED, Mask, Video, check_video
from latentlab.video import probe, read, read_fitted

COLOURED = 32  # levels between the channels of a pixel; what lossy files make of grey is below


def as_mask(mask: Tensor | np.ndarray, video: Video) -> Mask:
    """A user's mask as one value for each pixel of a clip; `with_axes` with its batch and frames spelled out.

    Raises:
        ValueError: as `with_axes`.

    >>> as_mask(torch.eye(4), torch.zeros(2, 3, 5, 4, 4)).shape
    torch.Size([2, 1, 5, 4, 4])
    """
    return with_axes(mask, video).expand(len(video), 1, *video.shape[2:])


@clear_errors
def with_axes(mask: Tensor | np.ndarray, video: Video) -> Mask:
    """A user's mask of a clip, checked, with all of its axes.

    Args:
        mask: in [0, 1] or of booleans, `(height, width)` for all frames and clips, or `(batch, 1, frame, height,
            width)`, whose batch and frame may be 1.
        video: the clips that it is of.

    Returns:
        float32 `(batch, 1, frame, height, width)` on the clip's device; a batch or frame of 1 stays 1.

    Raises:
        ValueError: no mask of this clip; a picture of three colours or of values up to 255 is none.

    >>> with_axes(torch.eye(4), torch.zeros(2, 3, 5, 4, 4)).shape
    torch.Size([1, 1, 1, 4, 4])
    """
    if isinstance(mask, np.ndarray) and mask.dtype.kind in "fiub":
        mask = torch.from_numpy(np.ascontiguousarray(mask))
    if not isinstance(mask, Tensor) or mask.is_complex():
        raise ValueError(f"a mask is a tensor or an array of numbers in [0, 1], got {type(mask).__name__}")
    check_video(CLAMPED, video=video)
    count, _, frames, height, width = video.shape
    found, wanted = tuple(mask.shape), (count, 1, frames, height, width)
    mask = mask[None, None, None] if mask.ndim == 2 else mask
    fits = mask.ndim == 5 and all(a in (1, b) for a, b in zip(mask.shape[:3], wanted[:3], strict=True))
    if not fits or mask.shape[3:] != (height, width):
        raise ValueError(
            f"the mask of clips {tuple(video.shape)} has axes (height, width) or (batch, 1, frame, height, width), "
            f"{height} x {width} pixels and 1 or {frames} frames; got shape {found}"
        )
    mask = mask.detach().to(video.device, torch.float32)
    if not (mask.min() >= 0 and mask.max() <= 1):  # NaN is in no range
        raise ValueError(
            f"a mask is in [0, 1], 1 where to paint, got values from {float(mask.min()):.3g} to "
            f"{float(mask.max()):.3g}; `read_mask` makes one of a picture"
        )
    return mask


@clear_errors
def read_mask(
    path: str | PathLike[str], *, num_frames: Count | None = None, size: tuple[Count, Count] | None = None
) -> Mask:
    """The mask in a picture or video file: white is 1, black is 0.

    Args:
        path: an image, a video, or a folder of images.
        num_frames: that a video is fitted to in time; a picture stays one frame, which stands for all.
        size: (height, width) that it is fitted to, pixels, cropped as a clip of the same size would be; None keeps its
            own.

    Returns:
        `(1, 1, frame, height, width)`.

    Raises:
        ValueError: a picture in colour, which is no mask.

    >>> import tempfile
    >>> from latentlab.video import write
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(f"{folder}/a.mkv", torch.ones(1, 3, 2, 16, 16))
    ...     mask = read_mask(f"{folder}/a.mkv")
    >>> mask.shape, float(mask.min())
    (torch.Size([1, 1, 2, 16, 16]), 1.0)
    """
    found = probe(path)
    if found.num_frames > 1 and num_frames:
        clip = read_fitted(path, num_frames, size or (found.height, found.width))
    else:
        clip = read(path, size=size)
    apart = (clip.video.amax(1) - clip.video.amin(1)) * 127.5
    if (coloured := float((apart > COLOURED).float().mean())) > 0.01:
        raise ValueError(
            f"{path} is in colour ({100 * coloured:.0f} % of its pixels), and a mask is grey: white where it acts, "
            "black elsewhere; `latentlab paint CLIP --masks` paints one"
        )
    # In whole levels: black that is 3e-8 after scaling would count as painted.
    return clip.video.mean(1, keepdim=True).add(1).mul(127.5).round().div(255)


@clear_errors
def dilate(mask: Mask, pixels: Natural) -> Mask:
    """The mask grown to all sides, corners too: each pixel gets the largest value of the square around it.

    >>> dilate(torch.tensor([0.0, 0, 0, 1, 0]).view(1, 1, 1, 1, 5), 1).flatten()
    tensor([0., 0., 1., 1., 1.])
    """
    check_mask(mask)
    side = 2 * pixels + 1
    return F.max_pool3d(mask, (1, side, side), stride=1, padding=(0, pixels, pixels)) if pixels else mask


@clear_errors
def erode(mask: Mask, pixels: Natural) -> Mask:
    """The mask shrunk from all sides; what lies beyond the frame counts as painted.

    >>> erode(torch.tensor([1.0, 1, 1, 0, 0]).view(1, 1, 1, 1, 5), 1).flatten()
    tensor([1., 1., 0., 0., 0.])
    """
    check_mask(mask)
    return 1 - dilate(1 - mask, pixels)


@clear_errors
def feather(mask: Mask, pixels: Natural) -> Mask:
    """The mask with an edge that falls to 0 in even steps outside it; inside nothing changes.

    >>> feather(torch.tensor([1.0, 0, 0, 0]).view(1, 1, 1, 1, 4), 1).flatten()
    tensor([1.0000, 0.5000, 0.0000, 0.0000])
    """
    return torch.stack([dilate(mask, n) for n in range(pixels + 1)]).mean(0)


@clear_errors
def invert(mask: Mask) -> Mask:
    """What was painted stays, all else is painted.

    >>> invert(torch.tensor([1.0, 0.25]).view(1, 1, 1, 1, 2)).flatten()
    tensor([0.0000, 0.7500])
    """
    check_mask(mask)
    return 1 - mask


@clear_errors
def union(mask: Mask) -> Mask:
    """One mask for all frames: the largest value that each pixel ever has.

    >>> union(torch.eye(2).view(1, 1, 2, 1, 2)).flatten()
    tensor([1., 1., 1., 1.])
    """
    check_mask(mask)
    return mask.amax(2, keepdim=True).expand_as(mask)


@clear_errors
def box(mask: Mask) -> Mask:
    """The smallest box around what is painted, frame by frame. A loose mask does not tell the model the old outline.

    >>> box(torch.eye(3)[None, None, None])[0, 0, 0].sum()
    tensor(9.)
    """

    def filled(painted: np.ndarray) -> np.ndarray:
        rows, columns = (np.flatnonzero(painted.any(axis)) for axis in (1, 0))
        full = np.zeros(painted.shape, np.uint8)
        full[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = 1
        return full

    return _by_frame(mask, filled)


@clear_errors
def hull(mask: Mask) -> Mask:
    """The convex hull of what is painted, frame by frame.

    >>> corners = torch.zeros(1, 1, 1, 4, 4)
    >>> corners[..., 0, 0] = corners[..., 0, 3] = corners[..., 3, 0] = 1
    >>> hull(corners)[0, 0, 0].sum()
    tensor(10.)
    """
    import cv2

    def filled(painted: np.ndarray) -> np.ndarray:
        outline = cv2.convexHull(cv2.findNonZero(painted.astype(np.uint8)))
        return cv2.fillConvexPoly(np.zeros(painted.shape, np.uint8), outline, (1,))

    return _by_frame(mask, filled)


def _by_frame(mask: Mask, filled: Callable[[np.ndarray], np.ndarray]) -> Mask:
    """Another shape for what is painted in each frame; frames with nothing stay empty."""
    check_mask(mask)
    found = torch.zeros_like(mask)
    for frame, target in zip(mask.flatten(0, 2), found.flatten(0, 2), strict=True):
        if frame.any():
            target.copy_(torch.from_numpy(filled((frame > 0).cpu().numpy())))
    return found
