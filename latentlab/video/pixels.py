"""Pictures in yuv420p, the one h264 that plays everywhere, with a colour of its own for every pixel.

yuv420p keeps one colour for 2 x 2 pixels of brightness. A picture whose every pixel is written as 2 x 2 (or 4 x 4, ...)
fits into it without a loss: the planes are those of yuv444p, brightness repeated. `write` does so with small clips,
which smear most, and says so in the file's comment; `read` takes each pixel once again.
"""

from __future__ import annotations

import re
from typing import Any

import av
import numpy as np
from av.video.reformatter import Interpolation

SMALL = 256  # longest side of clips that are written so, pixels
# swscale's defaults are off by up to 4 levels; these are not.
EXACT = int(Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT)
COMMENT = "latentlab: {} x {} pixels, each written as 2 x 2"


def enlarged(picture: np.ndarray, scale: int) -> av.VideoFrame:
    """A picture `(height, width, 3)` as a frame of yuv420p, BT.709, each pixel `scale` x `scale`, an even number."""
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    frame = frame.reformat(
        format="yuv444p", dst_colorspace="ITU709", dst_color_range="MPEG", interpolation=Interpolation(EXACT)
    )
    sizes = (scale, scale // 2, scale // 2)
    planes = [plane.repeat(n, 0).repeat(n, 1) for plane, n in zip(_planes(frame), sizes, strict=True)]
    return _frame(planes, "yuv420p", like=frame)


def is_doubled(container: Any, stream: Any) -> bool:
    """Whether `write` made each pixel of a file 2 x 2, and nobody has changed its size since."""
    comments = (text for name, text in container.metadata.items() if name.lower() == "comment")
    expected = COMMENT.format(stream.height // 2, stream.width // 2)
    return stream.codec_context.pix_fmt == "yuv420p" and any(re.search(re.escape(expected), text) for text in comments)


def halved_frame(frame: av.VideoFrame) -> av.VideoFrame:
    """A frame with each pixel once: brightness is the mean of its four, which halves what the codec did to it."""
    y, u, v = _planes(frame)
    height, width = u.shape
    y = (y.reshape(height, 2, width, 2).sum((1, 3), dtype=np.uint16) + 2) // 4
    return _frame([y.astype(np.uint8), u, v], "yuv444p", like=frame)


def _planes(frame: av.VideoFrame) -> list[np.ndarray]:
    rows = (np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size) for plane in frame.planes)
    return [row[:, : plane.width] for row, plane in zip(rows, frame.planes, strict=True)]


def _frame(planes: list[np.ndarray], pixel_format: str, *, like: av.VideoFrame) -> av.VideoFrame:
    height, width = planes[0].shape
    frame = av.VideoFrame(width, height, pixel_format)
    for plane, values in zip(frame.planes, planes, strict=True):
        rows = np.zeros((plane.height, plane.line_size), np.uint8)
        rows[:, : plane.width] = values
        plane.update(rows.tobytes())
    frame.colorspace, frame.color_range = like.colorspace, like.color_range
    return frame
