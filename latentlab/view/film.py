"""Clips as film strips in a page: one PNG beside the next, played by CSS, scrubbed by a number. No codec, no file."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

from latentlab.shapes import Video
from latentlab.view.pages import render_page


def strip(video: Video) -> str:
    """`data:` address of a PNG with the frames of one clip `(1, 3, frame, height, width)` side by side."""
    frames = _pictures(video)
    count, height, width, _ = frames.shape
    return _address(frames.transpose(1, 0, 2, 3).reshape(height, count * width, 3), compress_level=1)


def loop(video: Video, *, fps: float = 8.0) -> str:
    """`data:` address of an animated PNG of one clip, which plays wherever pictures are shown."""
    first, *others = _pictures(video)
    rest = [Image.fromarray(frame) for frame in others]
    return _address(first, save_all=True, append_images=rest, duration=1000 / fps, loop=0)


def film(
    video: Video,
    *,
    title: str = "",
    width: int = 256,
    fps: float = 8.0,
    frame: int | None = None,
    key: str = "film",
    age: float = 0.0,
) -> str:
    """HTML of one clip, looping, or standing at `frame`.

    Args:
        video: one clip.
        title: below the picture.
        width: of the picture in the page, pixels.
        fps: frames a second.
        frame: None plays.
        key: a name unique in the page, since CSS animations have names. The loop stands still for those who ask their
            system for less motion.
        age: seconds that it has played, so that a new picture goes on where the old one was.

    >>> import torch
    >>> "steps(4)" in film(torch.zeros(1, 3, 4, 8, 8))
    True
    """
    count, rows, columns = video.shape[2:]
    plays = frame is None and count > 1
    return render_page(
        "film.html", strip=strip(video), title=title, key=key, count=count, width=width,
        height=round(width * rows / columns), frame=0 if frame is None else min(max(frame, 0), count - 1),
        seconds=count / fps if plays else 0, played=age % (count / fps),
    )  # fmt: skip


def still_page(clips: dict[str, Video], *, width: int = 224, fps: float = 8.0) -> str:
    """HTML of clips by title that needs no script and no style: what a page without a kernel shows."""
    return render_page("stills.html", clips={title: loop(v, fps=fps) for title, v in clips.items()}, width=width)


def _pictures(video: Video) -> np.ndarray:
    if video.ndim != 5 or len(video) != 1 or video.shape[1] != 3:
        raise ValueError(f"a film shows one clip (1, 3, frame, height, width), got {tuple(video.shape)}")
    return (127.5 * (video[0].float() + 1)).round().clamp(0, 255).byte().permute(1, 2, 3, 0).cpu().numpy()


def _address(picture: np.ndarray, **options: Any) -> str:
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(file, "png", **options)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")
