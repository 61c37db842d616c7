"""Write clips as mp4, webm, gif, lossless mkv, or a folder of PNG images."""

import math
import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
from av.filter import Graph
from jaxtyping import UInt8

from latentlab.checks import Positive, clear_errors
from latentlab.shapes import Video
from latentlab.store import replacing
from latentlab.video.clip import Pictures, to_uint8
from latentlab.video.pixels import COMMENT, SMALL, enlarged

FrameArray = UInt8[np.ndarray, "height width 3"]

# suffix: container, codec, pixel format, codec options. Small clips come back at 46 to 54 dB from h264 of crf 10.
ENCODERS: dict[str, tuple[str, str, str, dict[str, str]]] = {
    ".mp4": ("mp4", "libx264", "yuv420p", {"crf": "10"}),
    ".mov": ("mov", "libx264", "yuv420p", {"crf": "10"}),
    ".webm": ("webm", "libvpx-vp9", "yuv420p", {"crf": "4", "b": "0"}),
    ".mkv": ("matroska", "ffv1", "bgr0", {}),
    ".gif": ("gif", "gif", "pal8", {}),
}
PICTURE = ".png"  # of a clip of one frame


@clear_errors
def write(path: str | os.PathLike[str], video: Video, fps: Positive = 8.0) -> None:
    """Write one clip to a file, its format by the suffix, or to a folder of PNG images where there is no suffix.

    `.mp4` and `.mov` are h264, `.webm` is vp9, nearly lossless and of the kind that plays in browsers and QuickTime,
    which keeps one colour for 2 x 2 pixels. Clips of up to 256 pixels a side are therefore written with each pixel as
    2 x 2, and the file says so: `read` gives the clip back at its own size, other players show it twice as large. In
    larger ones colours smear over 2 x 2 pixels, and a last row or column is repeated where a side is odd. `.gif` has
    256 colours chosen for the clip. `.mkv` (ffv1) and PNG are exact to 8 bits; a file `.png` holds a
    clip of one frame. The result replaces an older one only
    when it is whole: a run killed midway leaves the older one.

    Args:
        path: where to write; missing parent folders are made. A folder may hold nothing but `frame_*.png`.
        video: one clip, `(1, 3, frame, height, width)`; values beyond [-1, 1] are clamped.
        fps: frames a second, 0.01 to 1000, for a gif at most 50; a folder of images does not keep it.

    Raises:
        ValueError: if the suffix is unknown, the video is no single finite clip, or `fps` is out of range.

    Example:
        >>> import torch
        >>> write("gray.mp4", torch.zeros(1, 3, 16, 64, 64), fps=8.0)  # doctest: +SKIP
    """
    path = Path(path)
    suffix = check_target(path)
    pictures = one_clip(video)
    rate = frame_rate(fps, suffix)
    if suffix == PICTURE and len(pictures) > 1:
        raise ValueError(f"{path} would hold one frame, and the clip has {len(pictures)}; give a folder or a video")
    with replacing(path) as made:
        if suffix == PICTURE:
            av.VideoFrame.from_ndarray(pictures[0], format="rgb24").save(str(made))
            return
        if suffix:
            small = ENCODERS[suffix][2] == "yuv420p" and max(pictures.shape[1:3]) <= SMALL
            encode_pictures(str(made), pictures, rate, suffix, scale=2 if small else 1)
            return
        made.mkdir()
        for number, picture in enumerate(pictures):
            av.VideoFrame.from_ndarray(picture, format="rgb24").save(str(made / f"frame_{number:05d}.png"))


@clear_errors
def write_parts(path: str | os.PathLike[str], parts: Iterable[Video], fps: Positive = 8.0) -> int:
    """Write a clip that comes in parts, each when it is there, so that none of it need be kept; returns the frames.

    Args:
        path: of a video file, see `write`; a gif chooses its colours from the whole clip, so it is not written so.
        parts: one clip, `(1, 3, frame, height, width)` each, one after another in time.
        fps: frames a second.

    Raises:
        ValueError: no parts, parts of different sizes, or another kind of file.

    Example:
        >>> import torch
        >>> write_parts("long.mp4", (torch.zeros(1, 3, 16, 64, 64) for _ in range(100)))  # doctest: +SKIP
        1600
    """
    path = Path(path)
    suffix = check_target(path)
    if suffix not in ENCODERS or suffix == ".gif":
        kinds = ", ".join(kind for kind in ENCODERS if kind != ".gif")
        raise ValueError(f"parts are written to {kinds}, got {path}")
    count, sizes = 0, set()

    def pictures() -> Iterator[FrameArray]:
        nonlocal count
        for part in parts:
            for picture in one_clip(part):
                sizes.add(picture.shape[:2])
                if len(sizes) > 1:
                    raise ValueError(f"the parts of {path} have different sizes: {sorted(sizes)}")
                count += 1
                yield picture

    made = pictures()
    first = next(made, None)
    if first is None:
        raise ValueError(f"{path} would hold no frame: there are no parts")
    small = ENCODERS[suffix][2] == "yuv420p" and max(first.shape[:2]) <= SMALL
    with replacing(path) as partial:
        encode_pictures(str(partial), chain([first], made), frame_rate(fps, suffix), suffix, scale=2 if small else 1)
    return count


@clear_errors
def check_target(path: str | os.PathLike[str]) -> str:
    """Raises if `write` could not write there, before there is anything to write; returns the suffix.

    Raises:
        ValueError: an unknown suffix, a folder of other files, or a file where a folder should be.

    >>> check_target("star.mp4")
    '.mp4'
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix and suffix != PICTURE and suffix not in ENCODERS:
        expected = ", ".join([*ENCODERS, PICTURE])
        raise ValueError(f"expected {expected}, or no suffix for a folder of PNG images, got {suffix!r} in {path}")
    _check_replaceable(path, suffix)
    check_above(path)
    return suffix


def check_above(path: str | os.PathLike[str]) -> None:
    """Raises if no folder could be made above a path, or nothing could be written to the one that is there."""
    above = next((p for p in Path(path).absolute().parents if p.exists()), None)
    if above is not None and not (above.is_dir() and os.access(above, os.W_OK)):
        what = "cannot be written to" if above.is_dir() else "is a file, not a folder"
        raise ValueError(f"cannot write {path}: {above} {what}")


def one_clip(video: Video) -> np.ndarray:
    """The 8-bit pictures `(frame, height, width, 3)` of a batch of one."""
    if video.ndim == 5 and video.shape[0] != 1:
        way = "write them one by one, `write(path, video[i : i + 1])`"
        raise ValueError(f"a file takes one clip, got a batch of {video.shape[0]}; {way}")
    return to_uint8(video)[0]


def frame_rate(fps: Positive, suffix: str) -> Fraction:
    """The rate as a fraction that containers can hold: 29.97 becomes 30000/1001 where it is within rounding."""
    highest = 50 if suffix == ".gif" else 1000
    if not (math.isfinite(fps) and 0.01 <= fps <= highest):
        raise ValueError(f"`fps` must be 0.01 to {highest} frames a second, got {fps}")
    return Fraction(float(fps)).limit_denominator(10_000)


def encode_pictures(
    file: str | BinaryIO, pictures: Iterable[FrameArray], rate: Fraction, suffix: str, *, scale: int = 1
) -> None:
    """Encode 8-bit pictures `(height, width, 3)`, each pixel `scale` x `scale`, into a file by name or open."""
    container_format, codec, pixel_format, options = ENCODERS[suffix]
    pictures = iter(pictures)
    first = next(pictures)
    height, width = first.shape[:2]
    pictures = chain([first], pictures)
    own_colours = pixel_format == "yuv420p" and scale % 2 == 0
    sides = [side * scale for side in (height, width)]
    if not own_colours:
        even = pixel_format == "yuv420p"  # one colour for 2 x 2 pixels: both sides must be even
        odd = [(0, side % 2 if even else 0) for side in sides]
        pictures, scale = (_stretched(picture, scale, odd) for picture in pictures), 1
        sides = [side + more for side, (_, more) in zip(sides, odd, strict=True)]
    # With the index in front, browsers start to play at once, and a download cut short still opens.
    movflags = {"movflags": "faststart"} if suffix in (".mp4", ".mov") and isinstance(file, str) else {}
    name = f"file:{file}" if isinstance(file, str) else file
    with av.open(name, "w", format=container_format, options=movflags) as container:
        if own_colours and scale == 2:
            container.metadata["comment"] = COMMENT.format(height, width)
        stream: Any = container.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width = sides
        stream.pix_fmt = pixel_format
        frames = (
            _with_palette(np.stack([*pictures]), rate) if suffix == ".gif" else _frames(pictures, pixel_format, scale)
        )
        if pixel_format == "yuv420p":
            context = stream.codec_context  # say which yuv it is, or players guess by size: 1 is BT.709, limited range
            context.colorspace = context.color_range = context.color_primaries = context.color_trc = 1
        for frame in frames:
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _stretched(picture: FrameArray, scale: int, more: list[tuple[int, int]]) -> FrameArray:
    """Each pixel `scale` x `scale`, and the last row and column repeated."""
    return np.pad(picture.repeat(scale, axis=0).repeat(scale, axis=1), [*more, (0, 0)], mode="edge")


def _frames(pictures: Iterable[FrameArray], pixel_format: str, scale: int) -> Iterator[av.VideoFrame]:
    for picture in pictures:
        if scale > 1:
            yield enlarged(picture, scale)
            continue
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        if pixel_format == "yuv420p":
            frame = frame.reformat(format=pixel_format, dst_colorspace="ITU709", dst_color_range="MPEG")
        yield frame


def _with_palette(pictures: Pictures, rate: Fraction) -> Iterator[Any]:
    """Map the pictures to the 256 colours that serve the whole clip best."""
    graph = Graph()
    height, width = pictures.shape[1:3]
    rgb = av.VideoFormat("rgb24", width, height)
    source = graph.add_buffer(width=width, height=height, format=rgb, time_base=1 / rate)
    split, choose = graph.add("split"), graph.add("palettegen", "reserve_transparent=0")
    use, sink = graph.add("paletteuse", "dither=sierra2_4a"), graph.add("buffersink")
    source.link_to(split)
    split.link_to(choose, 0, 0)
    split.link_to(use, 1, 0)
    choose.link_to(use, 0, 1)
    use.link_to(sink)
    graph.configure()
    for number, picture in enumerate(pictures):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = number, 1 / rate
        source.push(frame)
    source.push(None)
    for _ in pictures:
        yield sink.pull()


def _check_replaceable(path: Path, suffix: str) -> None:
    """Refuse to replace a folder by a file, a file by a folder, or a folder that holds anything but our frames."""
    if not path.exists():
        return
    if path.is_dir() == bool(suffix):
        kind = "folder" if suffix else "file without a suffix"
        raise ValueError(f"{path} is an existing {kind}; give another name")
    foreign = [] if suffix else [entry.name for entry in path.iterdir() if not entry.match("frame_*.png")]
    if foreign:
        raise ValueError(f"{path} holds other things than frame_*.png ({foreign[0]}); give a new or an empty folder")
