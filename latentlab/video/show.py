"""Show clips in a notebook or a web page: an mp4 inside the page, no file beside it."""

import base64
import io
import math
from dataclasses import dataclass

from latentlab.checks import Positive, clear_errors
from latentlab.shapes import CLAMPED, Video, check_video
from latentlab.video.write import encode_pictures, frame_rate, one_clip

_PLAYER = (
    '<video src="{uri}" width="{width}" aria-label="{name}" controls autoplay loop muted '
    'playsinline style="image-rendering: pixelated; margin: 2px"></video>'
)


@clear_errors
def data_uri(video: Video, fps: Positive = 8.0, scale: int = 1) -> str:
    """Encode one clip as an mp4 inside a `data:` address, to be the `src` of an HTML video.

    Args:
        video: one clip, `(1, 3, frame, height, width)`; values beyond [-1, 1] are clamped.
        fps: frames a second, 0.01 to 1000.
        scale: each pixel becomes `scale` x `scale`; where it is even, h264, which keeps one colour for 2 x 2 pixels,
            does not smear small clips.

    Returns:
        `data:video/mp4;base64,...`

    Raises:
        ValueError: if the video is no single finite clip, or `fps` or `scale` is out of range.

    Example:
        >>> import torch
        >>> data_uri(torch.zeros(1, 3, 4, 16, 16), scale=4)[:22]
        'data:video/mp4;base64,'
    """
    if scale < 1 or scale != int(scale):
        raise ValueError(f"`scale` must be a whole number of at least 1, got {scale}")
    file = io.BytesIO()
    encode_pictures(file, one_clip(video), frame_rate(fps, ".mp4"), ".mp4", scale=int(scale))
    return "data:video/mp4;base64," + base64.b64encode(file.getvalue()).decode("ascii")


@dataclass(frozen=True)
class Player:
    """HTML which a notebook shows as a row of looping clips."""

    html: str

    def __repr__(self) -> str:  # notebooks keep it beside the HTML, which holds every clip
        return f"Player({self.html.count('<video')} clips)"

    def _repr_html_(self) -> str:
        return self.html


@clear_errors
def show(video: Video, fps: Positive = 8.0, width: int = 256) -> Player:
    """Play clips in a notebook: one looping player for each clip of the batch, in a row.

    Args:
        video: `(batch, 3, frame, height, width)`; values beyond [-1, 1] are clamped.
        fps: frames a second, 0.01 to 1000.
        width: width of each player, in pixels of the page.

    Returns:
        An object that Jupyter shows as the players.

    Raises:
        ValueError: if the video is not finite, or `fps` or `width` is out of range.

    Example:
        >>> import torch
        >>> show(torch.zeros(2, 3, 4, 16, 16)).html.count("<video")
        2
    """
    check_video(CLAMPED, video=video)
    if width < 1:
        raise ValueError(f"`width` must be at least 1 pixel, got {width}")
    scale = max(1, 2 * math.ceil(width / video.shape[-1] / 2)) if video.shape[-1] < width else 1
    players = [
        _PLAYER.format(uri=data_uri(clip, fps, scale), width=width, name=f"clip {number} of {len(video)}")
        for number, clip in enumerate(video.split(1), 1)
    ]
    return Player(f'<div style="display: flex; flex-wrap: wrap">{"".join(players)}</div>')
