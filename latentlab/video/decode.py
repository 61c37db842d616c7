"""Decode a file frame by frame: where its frames are, how to enter it midway, which way up they stand.

Frames come in display order, turned and mirrored as the file asks (phone clips), alpha dropped, non-square pixels taken
as square; whatever is not honoured is told beside the frame.
"""

from bisect import bisect_left
from collections.abc import Generator, Iterator, Sequence
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

from latentlab.video import stills
from latentlab.video.colour import Converter
from latentlab.video.files import check_pixels, check_regular, existing, images_in
from latentlab.video.pixels import halved_frame, is_doubled

IMAGE_FPS = 8.0  # images carry no rate
# Playlists and the like: text that makes other files be opened, or devices.
_OBEYED = {"concat", "concatf", "hls", "dash", "imf", "sdp", "rtp", "rtsp", "sap", "webm_dash_manifest", "lavfi", "tty"}
_OPTIONS = {"format_whitelist": ",".join(sorted(av.formats_available - _OBEYED))}
_GIF_PIXELS_A_BYTE = 4096  # LZW codes of 12 bits stand for at most 3,838 pixels


@dataclass(frozen=True, eq=False)
class Index:
    """Where the frames of a clip are: its images, or the display times by which a video can be entered midway."""

    num_frames: int
    fps: float
    images: tuple[Path, ...] = ()
    pages: tuple[int, ...] = ()  # of a file that Pillow reads
    times: Sequence[int] | None = None  # display order; None: read from the start
    tick: float = 0.001  # unit of the times, in seconds
    codec: str = ""
    damage: str = ""
    notes: tuple[str, ...] = ()
    doubled: bool = False  # each pixel was written as 2 x 2

    @property
    def is_uneven(self) -> bool:
        """Whether frames stand more than half a frame away from where an even rate would put them."""
        if self.times is None or len(self.times) < 3:
            return False
        times = np.asarray(self.times, np.float64)
        even = np.linspace(times[0], times[-1], len(times))
        return bool(np.abs(times - even).max() > 0.5 * (even[1] - even[0]) + 1)


@dataclass(frozen=True)
class DecodedPicture:
    """A frame by its number: red, green and blue, uint8 in 0..255 or float32 in [-1, 1], and what is to be told of it.

    Without planes it is an image that cannot be read, and `told` says why.
    """

    number: int
    planes: Sequence[np.ndarray]
    told: Sequence[str] = ()


def index_of(path: Path) -> Index:
    existing(path)
    if path.is_dir():
        images = images_in(path)
        return Index(len(images), IMAGE_FPS, images)
    status = check_regular(path)
    return _index_file(path, (status.st_mtime_ns, status.st_size))


@lru_cache(maxsize=256)
def _index_file(path: Path, stamp: tuple[int, int]) -> Index:
    """List the display times of a file's frames; `stamp` renews the entry of a changed file."""
    pages = stills.pages_of(path)
    if pages is not None:
        count = len(pages.numbers)
        fps = 1000 * count / pages.lasts if pages.lasts else IMAGE_FPS
        return Index(count, fps, pages=pages.numbers, times=pages.times, notes=pages.notes)
    with _opened(path) as (container, stream):
        packets = _packets(container, stream)
        announced = float(stream.average_rate or stream.guessed_rate or IMAGE_FPS)
        is_image = container.format.name.endswith("_pipe") or container.format.name == "image2"
        tick = float(stream.time_base or 1)
        lasts = float(stream.duration or 0) * tick
        if not lasts and len(container.streams) == 1:  # of several streams, another may last longer
            lasts = (container.duration or 0) / av.time_base
        known: dict[str, Any] = {"codec": stream.codec_context.name, "notes": _notes(container, stream)}
        known["doubled"] = is_doubled(container, stream)
    times = sorted(time for time, _, _ in packets if time is not None)
    if is_image or not times or len(set(times)) < len(packets):
        return Index(len(packets), IMAGE_FPS if is_image else announced, **known)
    span = (times[-1] - times[0]) * tick
    _, duration, corrupt = packets[-1]
    ends = span + duration * tick
    # Containers round times to a tick, and some announce another rate than the average.
    is_true = abs((len(times) - 1) / announced - span) <= 2 * tick
    fps = announced if is_true else len(times) / ends
    cut_short = corrupt or lasts - ends > 3 / fps + 0.02 * lasts
    damage = f"was cut short (its pictures end after {ends:.2f} of {lasts:.2f} s)" if cut_short else ""
    return Index(len(times), fps, times=times, tick=tick, damage=damage, **known)


@contextmanager
def _opened(path: Path) -> Generator[tuple[Any, Any]]:
    """Open a file and its largest video stream, which is never an album cover."""
    # torchvision's readers turn FFmpeg's log on as they are imported. Its callback waits, in a decoder's thread, for
    # the interpreter lock, which whoever closes that decoder holds: the process would stand still.
    av.logging.set_level(None)
    with path.open("rb") as file:
        head = file.read(12)
    if not head:
        raise ValueError(f"{path} is empty (0 bytes): copy or download it again")
    with ExitStack() as stack:
        try:
            # A `%03d` in the name of an image must not be taken for a sequence, nor `a:b` for a network address.
            file = stack.enter_context(path.open("rb")) if "%" in path.name else f"file:{path}"
            container: Any = stack.enter_context(av.open(file, options=_OPTIONS, metadata_errors="replace"))
        except av.FFmpegError as error:
            found = f"{path.stat().st_size} bytes starting with {head!r}"
            way = "expected a whole video (mp4, webm, gif, mkv, mov) or image: it may be cut short, or of another kind"
            raise ValueError(f"{path} cannot be opened as a video ({error.strerror}), found {found}; {way}") from error
        streams = _pictures_streams(container)
        if not streams:
            found = ", ".join(s.type for s in container.streams) or "no stream"
            raise ValueError(f"{path} holds no video, found: {found}; give a file with a picture track")
        stream = max(streams, key=lambda s: s.width * s.height)
        check_pixels(path, stream.height, stream.width)
        size = path.stat().st_size
        if container.format.name == "gif" and stream.width * stream.height > _GIF_PIXELS_A_BYTE * size:
            raise ValueError(f"{path} announces {stream.width} x {stream.height} pixels in {size} bytes, as no gif can")
        stream.thread_type = "AUTO"
        yield container, stream


def _pictures_streams(container: Any) -> list[Any]:
    return [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]


def _notes(container: Any, stream: Any) -> tuple[str, ...]:
    notes = []
    streams = _pictures_streams(container)
    if len(streams) > 1:
        others = ", ".join(f"{s.width} x {s.height}" for s in streams if s is not stream)
        notes.append(f"of its {len(streams)} picture tracks the largest was read (the others: {others})")
    shape = stream.sample_aspect_ratio
    if shape and shape != 1:
        notes.append(f"its pixels, {shape.numerator}:{shape.denominator} of width to height, were taken as square")
    return tuple(notes)


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


def _display_matrix(path: Path, frame: av.VideoFrame) -> tuple[int, int, int, int]:
    """The matrix x' = a x + c y, y' = b x + d y (y downwards) by which a file asks to be shown.

    Asking a frame for it ties the frame into a cycle which only the garbage collector undoes: once a file, not a frame.
    """
    try:
        side_data: Any = frame.side_data
        matrix = side_data.get(SideData.DISPLAYMATRIX)
    except ValueError:  # PyAV 18 does not know the EXIF block of a photo
        return stills.exif_matrix(path)
    if matrix is None:
        return 1, 0, 0, 1
    a, b, _, c, d, *_ = np.frombuffer(bytes(matrix), np.int32).tolist()
    return a, b, c, d


def _upright(plane: np.ndarray, matrix: tuple[int, int, int, int]) -> np.ndarray:
    """Apply a display matrix: the dominant ones of its entries are a transpose and two flips."""
    a, b, c, d = matrix
    if abs(b) > abs(a):
        plane, flip_x, flip_y = plane.swapaxes(0, 1), c < 0, b < 0
    else:
        flip_x, flip_y = a < 0, d < 0
    return plane[:: -1 if flip_y else 1, :: -1 if flip_x else 1]


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
        frames = _decoded(container, stream)
        if start == 0 or index.times is None:
            yield from enumerate(frames)
            return
        with suppress(av.FFmpegError):  # where the file allows no seeking, the first frame is number 0
            container.seek(index.times[start], stream=stream)
        first = next(frames, None)
        if first is not None and first.pts is not None:
            number = bisect_left(index.times, first.pts)
            if number <= start and index.times[number] == first.pts:
                yield from enumerate(chain([first], frames), number)
                return
    yield from _frames_from(path, index, 0)  # landed behind the goal (open groups of pictures): count from the start


def pictures_of(path: Path, index: Index, wanted: Sequence[int]) -> Iterator[DecodedPicture]:
    """The wanted frames (ascending), one at a time; those of a video that do not decode are left out."""
    if index.images:
        for number in wanted:
            yield _image(index.images[number], number)
    elif index.pages:
        found = stills.pictures_in(path, [index.pages[number] for number in wanted])
        for number, (picture, told) in zip(wanted, found, strict=True):
            yield DecodedPicture(number, list(np.moveaxis(picture, -1, 0)), told)
    else:
        converter, matrix = Converter(index.codec), None
        for number, frame in _frames_from(path, index, wanted[0]):
            if number > wanted[-1]:
                return
            if wanted[bisect_left(wanted, number)] == number:
                matrix = matrix or _display_matrix(path, frame)
                planes, told = converter.rgb(halved_frame(frame) if index.doubled else frame)
                yield DecodedPicture(number, [_upright(plane, matrix) for plane in planes], told)


def _image(path: Path, number: int) -> DecodedPicture:
    """One of a folder of images, without planes where it cannot be read."""
    try:
        index = index_of(path)
        first = next(pictures_of(path, index, [0]), DecodedPicture(number, (), [f"{path.name} does not decode"]))
    except (ValueError, OSError) as error:
        return DecodedPicture(number, (), [str(error)])
    more = index.num_frames > 1 and first.planes
    told = [*first.told, *index.notes, *(["of images with several pictures, the first was read"] if more else [])]
    return DecodedPicture(number, first.planes, told)
