"""Read video files, images and folders of images as clips."""

import os
import warnings
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from latentlab.shapes import Video
from latentlab.video.clip import Clip, from_uint8
from latentlab.video.decode import Index, index_of, pictures_of
from latentlab.video.fit import check_fit, fit_space, fit_time, sentence, space_note


@dataclass(frozen=True)
class Info:
    """What a file holds, before it is read: number of frames, size as displayed (pixels), frames a second."""

    num_frames: int
    height: int
    width: int
    fps: float


def _gather(
    path: Path, index: Index, wanted: Sequence[int], size: tuple[int, int] | None, fit: str
) -> tuple[Video, list[int], str, str]:
    """Read the wanted frames (ascending): the video, the frames it is made of, a note on space, one on damage."""
    check_fit(size, fit)
    numbers, pictures, shapes = [], [], []
    # Small frames kept one by one between large ones passing through would hold the heap open: one block for all.
    fitted = None if size is None else torch.empty(len(wanted), 3, *size)
    for number, picture in pictures_of(path, index, wanted):
        if fitted is None or size is None:
            pictures.append(picture)
        else:
            fitted[len(numbers)] = fit_space(from_uint8(picture[None, None])[:, :, 0], size, fit)[0]
        numbers.append(number)
        shapes.append(picture.shape[:2])
    if not numbers:
        raise ValueError(f"{path}: none of the {len(wanted)} frames asked for decodes; the file is damaged")
    if size is None and len(set(shapes)) > 1:
        kinds = ", ".join(f"{w} x {h}" for h, w in sorted(set(shapes)))
        raise ValueError(f"{path} holds pictures of different sizes ({kinds}); give `size=(height, width)`")
    if fitted is None:
        video = from_uint8(np.stack(pictures)[None])
    else:
        video = fitted[: len(numbers)].transpose(0, 1)[None].contiguous()
    space = "" if size is None else space_note(shapes[0], size, fit)
    lost = len(wanted) - len(numbers)
    damage = sentence(index.damage, f"lacks {lost} of the {len(wanted)} frames asked for, damaged" if lost else "")
    if damage:
        warnings.warn(f"{path} {damage}", stacklevel=3)
        damage = f"the file {damage}"
    return video, numbers, space, damage


def probe(path: str | os.PathLike[str]) -> Info:
    """Say what a video file, image or folder of images holds, decoding its first frame only.

    Args:
        path: as for `read`.

    Returns:
        Number of frames, size as displayed, frames a second.

    Raises:
        FileNotFoundError: if there is nothing at `path`.
        ValueError: if it holds no frame that can be read.

    >>> import tempfile
    >>> from latentlab.video import write
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(f"{folder}/a.mp4", torch.zeros(1, 3, 8, 16, 16), fps=4)
    ...     found = probe(f"{folder}/a.mp4")
    >>> found.num_frames, found.fps
    (8, 4.0)
    """
    path = Path(path)
    index = index_of(path)
    for _, picture in pictures_of(path, index, [0]):
        height, width = picture.shape[:2]
        return Info(index.num_frames, height, width, index.fps)
    raise ValueError(f"{path} holds no frame that decodes; the file is damaged")


def read(
    path: str | os.PathLike[str],
    *,
    start: int = 0,
    stop: int | None = None,
    step: int = 1,
    size: tuple[int, int] | None = None,
    fit: str = "crop",
) -> Clip:
    """Read a video file, an image, or a folder of images (in natural order: 2 before 10) as one clip.

    Frames are decoded one at a time and fitted as they come; without `size` the range asked for is held whole. A file
    that is cut short gives the frames that decode, a warning, and a word in the note.

    Args:
        path: mp4, webm, gif, mkv, mov, ...; an image; or a folder of images, which count as 8 frames a second.
        start: first frame, from 0.
        stop: the frame to stop before; None is the end.
        step: every `step`-th frame; the rate is divided by it.
        size: (height, width) to fit the frames to, in pixels; None keeps them as they are.
        fit: "crop", "pad" or "stretch", see the module.

    Returns:
        A clip of shape `(1, 3, frame, height, width)`.

    Raises:
        FileNotFoundError: if there is nothing at `path`.
        ValueError: if it holds no frame that can be read, or the range is empty.

    Example:
        >>> clip = read("bunny.mp4", stop=16, size=(64, 64))  # doctest: +SKIP
    """
    path = Path(path)
    if start < 0 or step < 1 or (stop is not None and stop <= start):
        raise ValueError(f"expected 0 <= start < stop and step >= 1, got start={start}, stop={stop}, step={step}")
    index = index_of(path)
    if start >= index.num_frames:
        raise ValueError(f"{path} has {index.num_frames} frames, so `start` must be below that, got {start}")
    wanted = range(start, min(stop or index.num_frames, index.num_frames), step)
    video, _, space, damage = _gather(path, index, wanted, size, fit)
    short = f"stopped at the last frame, {index.num_frames - 1}" if stop and stop > index.num_frames else ""
    return Clip(video, index.fps / step, sentence(short, space, damage))


def read_at(
    path: str | os.PathLike[str],
    frames: Sequence[int],
    *,
    size: tuple[int, int] | None = None,
    fit: str = "crop",
) -> Clip:
    """Read single frames by number, in the order given; one that does not decode is replaced by the one before.

    Args:
        path: as for `read`.
        frames: frame numbers from 0, in any order, repeats allowed.
        size: (height, width) to fit the frames to, in pixels; None keeps them as they are.
        fit: "crop", "pad" or "stretch", see the module.

    Returns:
        A clip of `len(frames)` frames, at the rate of the file.

    Raises:
        FileNotFoundError: if there is nothing at `path`.
        ValueError: if none of the frames can be read, or a number is out of range.

    >>> import tempfile
    >>> from latentlab.video import write
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(f"{folder}/a.mp4", torch.zeros(1, 3, 8, 16, 16), fps=4)
    ...     clip = read_at(f"{folder}/a.mp4", [7, 0])
    >>> clip.video.shape
    torch.Size([1, 3, 2, 16, 16])
    """
    path = Path(path)
    index = index_of(path)
    wanted = sorted(set(frames))
    if not wanted or wanted[0] < 0 or wanted[-1] >= index.num_frames:
        raise ValueError(f"{path} has {index.num_frames} frames; `frames` must be in that range, got {list(frames)}")
    video, numbers, space, damage = _gather(path, index, wanted, size, fit)
    order = [max(bisect_right(numbers, frame) - 1, 0) for frame in frames]
    return Clip(video[:, :, order], index.fps, sentence(space, damage))


def read_fitted(path: str | os.PathLike[str], num_frames: int, size: tuple[int, int], *, fit: str = "crop") -> Clip:
    """Read a clip at a model's length and size: `fit_clip` of `read`, holding only the fitted frames in memory.

    Args:
        path: as for `read`.
        num_frames: frames wanted, at least 1.
        size: (height, width) wanted, in pixels.
        fit: "crop", "pad" or "stretch", see the module.

    Returns:
        A clip of shape `(1, 3, num_frames, *size)` which lasts as long as the file.

    Raises:
        FileNotFoundError: if there is nothing at `path`.
        ValueError: if it holds no frame that can be read, or `num_frames`, `size` or `fit` is out of range.

    >>> import tempfile
    >>> from latentlab.video import write
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(f"{folder}/a.mp4", torch.zeros(1, 3, 8, 16, 16), fps=4)
    ...     clip = read_fitted(f"{folder}/a.mp4", 4, (8, 8))
    >>> clip.video.shape
    torch.Size([1, 3, 4, 8, 8])
    """
    index = index_of(Path(path))
    chosen, time_note = fit_time(index.num_frames, num_frames)
    clip = read_at(path, chosen, size=size, fit=fit)
    return Clip(clip.video, clip.fps * min(1.0, num_frames / index.num_frames), sentence(time_note, clip.note))
