"""Decode a file frame by frame: where its frames are, how to enter it midway, which way up they stand.

Frames come in display order, turned and mirrored as the file asks (phone clips), 8 bits a channel (10-bit files are
rounded, HDR is not tone-mapped), alpha dropped, non-square pixels taken as square.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import Type as SideData
from av.stream import Disposition
from av.video.reformatter import Interpolation

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm")
VIDEO_SUFFIXES = (".mp4", ".webm", ".mkv", ".mov", ".m4v", ".avi", ".gif", ".mpg", ".mpeg", ".ts", ".wmv", ".flv")
IMAGE_FPS = 8.0  # images carry no rate
# swscale's defaults are off by up to 4 levels on 10-bit files; these are not.
_EXACT = int(Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT)


@dataclass(frozen=True, eq=False)
class Index:
    """Where the frames of a clip are: its images, or the display times by which a video can be entered midway."""

    num_frames: int
    fps: float
    images: tuple[Path, ...] = ()
    times: Sequence[int] | None = None  # display order, unit: the stream's time base; None: read from the start
    damage: str = ""


def natural_order(path: Path) -> list[tuple[int, int | str]]:
    """Sort key which puts frame2.png before frame10.png.

    >>> import torch
    >>> [path.name for path in sorted([Path("10.png"), Path("9.png")], key=natural_order)]
    ['9.png', '10.png']
    """
    pieces = re.split(r"(\d+)", path.as_posix().lower())
    return [(0, int(piece)) if piece.isdecimal() else (1, piece) for piece in pieces]


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """Open a file and its first video stream, which is never an album cover."""
    with path.open("rb") as file:
        head = file.read(12)
    if not head:
        raise ValueError(f"{path} is empty (0 bytes): copy or download it again")
    with ExitStack() as stack:
        try:
            # A `%03d` in the name of an image must not be taken for a sequence, nor `a:b` for a network address.
            file = stack.enter_context(path.open("rb")) if "%" in path.name else f"file:{path}"
            container = stack.enter_context(av.open(file))
        except av.FFmpegError as error:
            found = f"{path.stat().st_size} bytes starting with {head!r}"
            way = "expected a whole video (mp4, webm, gif, mkv, mov) or image: it may be cut short, or of another kind"
            raise ValueError(f"{path} cannot be opened as a video ({error.strerror}), found {found}; {way}") from error
        streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
        if not streams:
            found = ", ".join(s.type for s in container.streams) or "no stream"
            raise ValueError(f"{path} holds no video, found: {found}; give a file with a picture track")
        streams[0].thread_type = "AUTO"
        yield container, streams[0]


def index_of(path: Path) -> Index:
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; give a video, an image or a folder of images")
    if not path.is_dir():
        status = path.stat()
        return _index_file(path, (status.st_mtime_ns, status.st_size))
    files = sorted((f for f in path.iterdir() if not f.name.startswith(".")), key=natural_order)
    images = tuple(f for f in files if f.suffix.lower() in IMAGE_SUFFIXES)
    if not images:
        found = f"{len(files)} other files such as {files[0].name}" if files else "nothing"
        way = f"a folder is read as one clip made of images ({' '.join(IMAGE_SUFFIXES)}); else give one video file"
        raise ValueError(f"{path} holds no images, found {found}; {way}")
    return Index(len(images), IMAGE_FPS, images)


@lru_cache(maxsize=256)
def _index_file(path: Path, stamp: tuple[int, int]) -> Index:
    """List the display times of a file's frames without decoding them; `stamp` renews the entry of a changed file."""
    with _opened(path) as (container, stream):
        packets = _packets(container, stream)
        announced = float(stream.average_rate or stream.guessed_rate or IMAGE_FPS)
        is_image = container.format.name.endswith("_pipe") or container.format.name == "image2"
        tick = float(stream.time_base or 1)
        lasts = float(stream.duration or 0) * tick
        if not lasts and len(container.streams) == 1:  # of several streams, another may last longer
            lasts = (container.duration or 0) / av.time_base
    times = sorted(time for time, _, _ in packets if time is not None)
    if is_image or not times or len(set(times)) < len(packets):
        return Index(len(packets), IMAGE_FPS if is_image else announced)
    span = (times[-1] - times[0]) * tick
    _, duration, corrupt = packets[-1]
    ends = span + duration * tick
    # Containers round times to a tick, and some announce another rate than the average.
    is_true = abs((len(times) - 1) / announced - span) <= 2 * tick
    fps = announced if is_true else len(times) / ends
    cut_short = corrupt or lasts - ends > 3 / fps + 0.02 * lasts
    damage = f"was cut short (its pictures end after {ends:.2f} of {lasts:.2f} s)" if cut_short else ""
    return Index(len(times), fps, times=times, damage=damage)


def _packets(container: Any, stream: Any) -> list[tuple[int | None, int, bool]]:
    """Time, duration, damage of the frames to be shown: those an edit list hides are dropped by the decoder too."""
    packets = []
    try:
        for packet in container.demux(stream):
            if packet.size and not packet.is_discard:
                packets.append((packet.pts, packet.duration or 0, packet.is_corrupt))
    except av.FFmpegError:
        return packets  # the rest of the file is missing
    return packets


def _display_matrix(frame: av.VideoFrame) -> tuple[int, int, int, int]:
    """The matrix x' = a x + c y, y' = b x + d y (y downwards) by which a file asks to be shown.

    Asking a frame for it ties the frame into a cycle which only the garbage collector undoes: once a file, not a frame.
    """
    try:
        side_data: Any = frame.side_data
        matrix = side_data.get(SideData.DISPLAYMATRIX)
    except ValueError:  # PyAV 18 does not know the EXIF block of a photo; its turn it knows, a mirroring is lost
        return {0: (1, 0, 0, 1), 90: (0, -1, 1, 0), -90: (0, 1, -1, 0)}.get(frame.rotation, (-1, 0, 0, -1))
    if matrix is None:
        return 1, 0, 0, 1
    a, b, _, c, d, *_ = np.frombuffer(bytes(matrix), np.int32).tolist()
    return a, b, c, d


def _upright(picture: np.ndarray, matrix: tuple[int, int, int, int]) -> np.ndarray:
    """Apply a display matrix: the dominant ones of its entries are a transpose and two flips."""
    a, b, c, d = matrix
    if abs(b) > abs(a):
        picture, flip_x, flip_y = picture.swapaxes(0, 1), c < 0, b < 0
    else:
        flip_x, flip_y = a < 0, d < 0
    return picture[:: -1 if flip_y else 1, :: -1 if flip_x else 1]


def _decoded(container: Any, stream: Any) -> Iterator[av.VideoFrame]:
    """Every frame that decodes; damaged packets are passed over, and missed by whoever counts the frames."""
    packets = container.demux(stream)
    while True:
        try:
            frames = next(packets).decode()
        except StopIteration:
            return
        except av.InvalidDataError:
            continue
        except av.FFmpegError:
            return
        yield from frames


def _frames_from(path: Path, index: Index, start: int) -> Iterator[tuple[int, av.VideoFrame]]:
    """Frames with their numbers, from the key frame before `start` on where the file can be entered there."""
    with _opened(path) as (container, stream):
        if start == 0 or index.times is None:
            yield from enumerate(_decoded(container, stream))
            return
        frames = _decoded(container, stream)
        with suppress(av.FFmpegError):  # where the file allows no seeking, the first frame is number 0
            container.seek(index.times[start], stream=stream)
        first = next(frames, None)
        if first is not None and first.pts is not None:
            number = bisect_left(index.times, first.pts)
            if number <= start and index.times[number] == first.pts:
                yield from enumerate(chain([first], frames), number)
                return
    yield from _frames_from(path, index, 0)  # landed behind the goal (open groups of pictures): count from the start


def pictures_of(path: Path, index: Index, wanted: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
    """The wanted frames (ascending) with their numbers, one at a time; those that do not decode are left out."""
    if index.images:
        for number in wanted:
            for _, picture in pictures_of(index.images[number], Index(1, IMAGE_FPS), [0]):
                yield number, picture
        return
    matrix = None
    for number, frame in _frames_from(path, index, wanted[0]):
        if number > wanted[-1]:
            return
        spot = bisect_left(wanted, number)
        if wanted[spot] == number:
            matrix = matrix or _display_matrix(frame)
            yield number, _upright(frame.to_ndarray(format="rgb24", interpolation=_EXACT), matrix)
