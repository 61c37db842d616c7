"""Sample grids: pictures that show how a training run is doing."""

from __future__ import annotations

from pathlib import Path

from einops import rearrange
from PIL import Image

from latentlab.shapes import Video
from latentlab.store import replacing


def save_grid(path: Path, video: Video, columns: int) -> None:
    """Writes the frames of some clips as one PNG; a clip is a strip of frames, `columns` clips side by side."""
    pixels = video.float().add(1).mul(127.5).round().clamp(0, 255).byte().cpu()
    picture = rearrange(pixels, "(r k) c f h w -> (r h) (k f w) c", k=columns)
    with replacing(path) as partial:
        Image.fromarray(picture.contiguous().numpy()).save(partial)
