"""Read video files, images and folders of images as clips."""

import os
import sys
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from latentlab.checks import Count, Positive, clear_errors
from latentlab.shapes import Video
from latentlab.video.clip import Clip
from latentlab.video.decode import Index, index_of, pictures_of
from latentlab.video.files import existing
from latentlab.video.fit import check_fit, fit_space, fit_time, sentence, space_note
from latentlab.warning import warn


@dataclass(frozen=True)
class Info:
    """What a file holds, before it is read: number of frames, size as displayed (pixels), frames a second."""

    num_frames: Count
    height: int
    width: int
    fps: Positive


def _gather(
    path: Path, index: Index, wanted: Sequence[int], size: tuple[int, int] | None, fit: str
) -> tuple[Video, list[int], str, str]:
    """Read the wanted frames (ascending): the video, the frames it is made of, a note on space, one on the rest."""
    check_fit(size, fit)
    numbers: list[int] = []
    told, bad = dict.fromkeys(index.notes), []
    found = (0, 0)
    # One block for all: frames kept one by one would be copied, and hold the heap open between others passing through.
    video = torch.empty(0)
    for picture in pictures_of(path, index, wanted):
        if not picture.planes:
            bad += picture.told
            continue
        told |= dict.fromkeys(picture.told)
        height, width = picture.planes[0].shape
        if not numbers:
            found = (height, width)
            video = _room(path, len(wanted), size or found)
        if size is None:
            if (height, width) != found:
                kinds = ", ".join(f"{w} x {h}" for h, w in sorted({found, (height, width)}))
                raise ValueError(f"{path} holds pictures of different sizes ({kinds}); give `size=(height, width)`")
            _fill(video[0, :, len(numbers)], picture.planes)
        else:
            frame = torch.empty(3, height, width)
            _fill(frame, picture.planes)
            video[0, :, len(numbers)] = fit_space(frame[None], size, fit)[0]
        numbers.append(picture.number)
    if not numbers:
        why = f"the first: {bad[0]}" if bad else "the file is damaged"
        raise ValueError(f"{path}: none of the {len(wanted)} frames asked for decodes; {why}")
    space = "" if size is None else space_note(found, size, fit)
    lost = len(wanted) - len(numbers)
    names = f" ({'; '.join(bad[:3])}{'; ...' if len(bad) > 3 else ''})" if bad else ""
    damage = sentence(
        index.damage, f"lacks {lost} of the {len(wanted)} frames asked for, damaged{names}" if lost else ""
    )
    if damage:
        warn(f"{path} {damage}")
        damage = f"the file {damage}"
    return video[:, :, : len(numbers)].contiguous(), numbers, space, sentence(*told, damage)


def _room(path: Path, num_frames: Count, size: tuple[int, int]) -> Video:
    """Memory for the frames, where this machine has that much."""
    needed = 12 * num_frames * size[0] * size[1]
    # Windows does not say how much there is.
    there = needed if sys.platform == "win32" else os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > there:
        what = f"{num_frames} frames of {size[1]} x {size[0]} take {needed / 1e9:.1f} GB as float32"
        raise ValueError(f"{path}: {what}, this machine has {there / 1e9:.1f}; give `size=`, or `start=` and `stop=`")
    return torch.from_numpy(np.empty((1, 3, num_frames, *size), np.float32))  # on huge pages, unlike torch's


def _fill(frame: Tensor, planes: Sequence[np.ndarray]) -> None:
    """Write red, green, blue planes into `(3, height, width)` as values in [-1, 1]."""
    for channel, plane in zip(frame, planes, strict=True):
        channel.numpy()[:] = plane
        if plane.dtype == np.uint8:
            channel.div_(127.5).sub_(1)


@clear_errors
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
    path = existing(path)
    index = index_of(path)
    # Of a folder, the first image that can be read.
    for picture in pictures_of(path, index, range(index.num_frames) if index.images else [0]):
        if picture.planes:
            height, width = picture.planes[0].shape
            return Info(index.num_frames, height, width, index.fps)
    raise ValueError(f"{path} holds no frame that decodes; the file is damaged")


@clear_errors
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

    Frames are decoded one at a time and fitted as they come; without `size` the range asked for is held whole, once. A
    file that is cut short gives the frames that decode, a warning, and a word in the note. What was found and cannot be
    honoured is in the note, too: interlacing, other tracks, transparency, pixels that are not square, uneven times.

    HDR is tone-mapped to SDR, and more than 8 bits a channel are kept. Pages of a TIFF and animated WebP and PNG are
    clips.

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
    path = existing(path)
    if start < 0 or step < 1 or (stop is not None and stop <= start):
        raise ValueError(f"expected 0 <= start < stop and step >= 1, got start={start}, stop={stop}, step={step}")
    index = index_of(path)
    if start >= index.num_frames:
        raise ValueError(f"{path} has {index.num_frames} frames, so `start` must be below that, got {start}")
    wanted = range(start, min(stop or index.num_frames, index.num_frames), step)
    video, _, space, rest = _gather(path, index, wanted, size, fit)
    short = f"stopped at the last frame, {index.num_frames - 1}" if stop and stop > index.num_frames else ""
    return Clip(video, index.fps / step, sentence(short, space, _times_note(index), rest))


@clear_errors
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
    path = existing(path)
    index = index_of(path)
    if not len(frames) or min(frames) < 0 or max(frames) >= index.num_frames:
        raise ValueError(f"{path} has {index.num_frames} frames; `frames` must be in that range, got {list(frames)}")
    video, space, rest = _in_order(path, index, frames, size, fit)
    return Clip(video, index.fps, sentence(space, _times_note(index), rest))


def _in_order(
    path: Path, index: Index, frames: Sequence[int], size: tuple[int, int] | None, fit: str
) -> tuple[Video, str, str]:
    """Frames in any order, repeats allowed: the video, a note on space, one on the rest."""
    video, numbers, space, rest = _gather(path, index, sorted(set(frames)), size, fit)
    order = [max(bisect_right(numbers, frame) - 1, 0) for frame in frames]
    return video if order == list(range(len(numbers))) else video[:, :, order], space, rest


def _times_note(index: Index) -> str:
    return "its frame times are uneven, frames were taken by number" if index.is_uneven else ""


@clear_errors
def read_fitted(path: str | os.PathLike[str], num_frames: Count, size: tuple[int, int], *, fit: str = "crop") -> Clip:
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
    path = existing(path)
    index = index_of(path)
    chosen, time_note = fit_time(index.num_frames, num_frames, index.times if index.is_uneven else None)
    video, space, rest = _in_order(path, index, chosen, size, fit)
    return Clip(video, index.fps * min(1.0, num_frames / index.num_frames), sentence(time_note, space, rest))
