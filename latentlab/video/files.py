"""What lies at a path: a file to be decoded, a folder of images, or the reason why it is neither."""

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from latentlab.checks import clear_errors

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm")
VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".f4v", ".webm", ".mkv", ".avi", ".divx", ".gif", ".apng"),
    *(".mpg", ".mpeg", ".mpe", ".m1v", ".m2v", ".mpv", ".vob", ".dat", ".ts", ".m2t", ".mts", ".m2ts", ".mod", ".tod"),
    *(".wmv", ".asf", ".flv", ".ogv", ".ogg", ".ogm", ".dv", ".mxf", ".nut", ".ivf", ".y4m", ".rm", ".rmvb", ".amv"),
    *(".h264", ".264", ".avc", ".h265", ".265", ".hevc", ".obu", ".mjpeg", ".mjpg"),
)
MOST_PIXELS = 2**27  # of a frame, four times those of 8K
_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://")


@clear_errors
def natural_order(path: Path) -> list[tuple[int, int | str]]:
    """Sort key which puts frame2.png before frame10.png.

    >>> import torch
    >>> [path.name for path in sorted([Path("10.png"), Path("9.png")], key=natural_order)]
    ['9.png', '10.png']
    """
    pieces = re.split(r"(\d+)", path.as_posix().lower())
    return [(0, int(piece)) if piece.isdecimal() else (1, piece) for piece in pieces]


def existing(path: str | os.PathLike[str]) -> Path:
    """The path, of something that is there.

    Raises:
        FileNotFoundError: if there is nothing, which an address of the web is told more about.
    """
    text = os.fspath(path)
    if not os.path.exists(text):
        if _ADDRESS.match(text):
            raise FileNotFoundError(f"{text} is an address, and only files are read: download it first")
        raise FileNotFoundError(f"{text} does not exist; give a video, an image or a folder of images")
    return Path(path)


def check_regular(path: Path) -> os.stat_result:
    """Raises for what would be waited on for ever, such as a pipe, or never ends, such as /dev/zero.

    Raises:
        ValueError: if it is there and no regular file.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        kinds = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFDIR: "a folder"}
        kind = kinds.get(stat.S_IFMT(status.st_mode), "a device")
        raise ValueError(f"{path} is {kind}, and only regular files are read: save what it gives to a file")
    return status


def images_in(folder: Path) -> tuple[Path, ...]:
    """The images of a folder that is one clip, in natural order; hidden files and folders are no part of it.

    Raises:
        ValueError: if it holds none.
    """
    files = sorted((f for f in folder.iterdir() if not f.name.startswith(".")), key=natural_order)
    images = tuple(f for f in files if f.suffix.lower() in IMAGE_SUFFIXES and not f.is_dir())
    if not images:
        found = f"{len(files)} other files such as {files[0].name}" if files else "nothing"
        way = f"a folder is read as one clip made of images ({' '.join(IMAGE_SUFFIXES)}); else give one video file"
        raise ValueError(f"{folder} holds no images, found {found}; {way}")
    return images


def files_below(root: Path, left_out: dict[Path, str]) -> Iterator[Path]:
    """All files below a folder but hidden ones; folders that cannot be entered go into `left_out`, with the reason."""

    def refused(error: OSError) -> None:
        left_out[Path(error.filename)] = f"cannot be entered ({error.strerror})"

    for folder, folders, names in os.walk(root, onerror=refused):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for path in (Path(folder, name) for name in folders):
            if path.is_symlink():  # not followed: it may lead round in circles
                left_out[path] = "a link to a folder"
        yield from (Path(folder, name) for name in sorted(names) if not name.startswith("."))


def check_pixels(path: Path, height: int, width: int) -> None:
    """Raises for frames that only an attack on memory would have, before they are decoded.

    Raises:
        ValueError: if a frame has more than `MOST_PIXELS`.
    """
    if height * width > MOST_PIXELS:
        raise ValueError(f"{path} has frames of {width} x {height}; at most {MOST_PIXELS:,} pixels are read")
