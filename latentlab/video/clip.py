"""A clip, and the one place where a video meets 8-bit pictures."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import UInt8

from latentlab.checks import Positive, clear_errors
from latentlab.shapes import CLAMPED, Video, check_video, in_a_line

Pictures = UInt8[np.ndarray, "batch frame height width 3"]


@dataclass(frozen=True)
class Clip:
    """A video with its frame rate (frames a second) and a note: what was done to it, and what could not be honoured.

    The note is "" where there is nothing to tell.
    """

    video: Video
    fps: Positive
    note: str = ""

    __repr__ = in_a_line


@clear_errors
def to_uint8(video: Video) -> Pictures:
    """Turn a video into 8-bit pictures; values outside [-1, 1] are clamped, as generators overshoot a little.

    Args:
        video: values in [-1, 1].

    Returns:
        The same clips in 0..255, channels last.

    Raises:
        ValueError: if the video has other axes, holds NaN or infinity, or is plainly on another scale.

    Example:
        >>> import torch
        >>> to_uint8(torch.zeros(1, 3, 2, 4, 4)).shape
        (1, 2, 4, 4, 3)
    """
    check_video(CLAMPED, video=video)
    video = video.detach().float()
    levels = ((video.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return levels.permute(0, 2, 3, 4, 1).contiguous().cpu().numpy()


@clear_errors
def from_uint8(pictures: Pictures) -> Video:
    """Turn 8-bit pictures into a video; `to_uint8` takes it back without loss.

    Args:
        pictures: values in 0..255, channels last.

    Returns:
        The same clips in [-1, 1].

    Raises:
        ValueError: if the array is not uint8 or has other axes.

    Example:
        >>> import numpy as np
        >>> from_uint8(np.zeros((1, 2, 4, 4, 3), np.uint8)).amax()
        tensor(-1.)
    """
    if pictures.ndim != 5 or pictures.shape[-1] != 3 or pictures.dtype != np.uint8:
        found = f"{pictures.dtype} of shape {pictures.shape}"
        raise ValueError(f"`pictures` must be uint8 (batch, frame, height, width, 3), got {found}")
    levels = torch.from_numpy(np.ascontiguousarray(np.moveaxis(pictures, -1, 1)))
    return levels.float().div_(127.5).sub_(1)
