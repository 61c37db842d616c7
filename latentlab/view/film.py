"""Clips as film strips in a page: one PNG beside the next, played by CSS, scrubbed by a number. No codec, no file."""

from __future__ import annotations

import base64
import io
from html import escape

import numpy as np
from PIL import Image

from latentlab.shapes import Video


def strip(video: Video) -> str:
    """`data:` address of a PNG with the frames of one clip `(1, 3, frame, height, width)` side by side."""
    if video.ndim != 5 or len(video) != 1 or video.shape[1] != 3:
        raise ValueError(f"a film strip shows one clip (1, 3, frame, height, width), got {tuple(video.shape)}")
    frames = (127.5 * (video[0].float() + 1)).round().clamp(0, 255).byte().permute(2, 1, 3, 0).cpu().numpy()
    height, count, width, _ = frames.shape
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(frames.reshape(height, count * width, 3))).save(file, "png", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def film(
    video: Video, *, title: str = "", width: int = 256, fps: float = 8.0, frame: int | None = None, key: str = "film"
) -> str:
    """HTML of one clip, looping, or standing at `frame`.

    Args:
        video: one clip.
        title: below the picture.
        width: of the picture in the page, pixels.
        fps: frames a second.
        frame: None plays.
        key: a name unique in the page, since CSS animations have names.

    >>> import torch
    >>> "steps(4)" in film(torch.zeros(1, 3, 4, 8, 8))
    True
    """
    count, rows, columns = video.shape[2:]
    height = round(width * rows / columns)
    place = "" if frame is None else f"background-position:-{min(max(frame, 0), count - 1) * width}px 0;"
    move = f"animation:{key} {count / fps:.3f}s steps({count}) infinite;" if frame is None and count > 1 else ""
    away = f"background-position:-{count * width}px 0"
    return (
        f"<style>@keyframes {key}{{from{{background-position:0 0}}to{{{away}}}}}</style>"
        f'<figure style="margin:0 8px 0 0;display:inline-block;vertical-align:top">'
        f'<div role="img" aria-label="{escape(title or "clip", quote=True)}" style="width:{width}px;height:{height}px;'
        f"background-image:url({strip(video)});background-size:{count * width}px {height}px;"
        f'image-rendering:pixelated;border-radius:4px;{place}{move}"></div>'
        f'<figcaption style="font:12px/1.6 sans-serif">{escape(title)}</figcaption></figure>'
    )
