"""Pictures that Pillow reads: photos as their EXIF block asks to be shown, pages of a TIFF, animated WebP and PNG.

Pages and animations are clips; the previews and second views of an MPO photo are not, and pages of another size than
the first are other versions of it.
"""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from latentlab.video.files import check_pixels

_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM")
_ORIENTATIONS = {
    **{1: (1, 0, 0, 1), 2: (-1, 0, 0, 1), 3: (-1, 0, 0, -1), 4: (1, 0, 0, -1)},
    **{5: (0, 1, 1, 0), 6: (0, 1, -1, 0), 7: (0, -1, -1, 0), 8: (0, -1, 1, 0)},
}


@dataclass(frozen=True)
class Pages:
    """Which pictures of a file make the clip, when each is shown (ms from the start), how long all last (ms)."""

    numbers: tuple[int, ...]
    times: tuple[int, ...] | None
    lasts: int
    notes: tuple[str, ...]


@runtime_checkable
class _Several(Protocol):
    """A file of a kind that may hold several pictures."""

    @property
    def n_frames(self) -> int: ...


@contextmanager
def _opened(path: Path) -> Generator[ImageFile]:
    try:
        with Image.open(path, formats=_FORMATS) as image:
            yield image
    except Image.DecompressionBombError as error:
        raise ValueError(f"{path} is too large a picture: {error}") from error
    except UnidentifiedImageError:
        raise
    except (OSError, SyntaxError, EOFError, ValueError) as error:  # of its many plugins
        raise ValueError(f"{path} cannot be read as a picture: {error}") from error


def pages_of(path: Path) -> Pages | None:
    """The pictures of a file, None if Pillow does not know its kind or would drop bits of it."""
    try:
        with _opened(path) as image:
            deep = image.mode in ("RGB", "RGBA") and ";16" in str(image.tile)  # Pillow cuts these to 8 bits
            return None if deep else _pages(image)
    except UnidentifiedImageError:
        return None


def _pages(image: Image.Image) -> Pages:
    count = image.n_frames if isinstance(image, _Several) else 1
    if image.format == "MPO" and count > 1:
        return Pages((0,), None, 0, (f"it holds {count} pictures (views or previews) and the first was read",))
    if image.format == "TIFF":
        sizes = []
        for number in range(count):
            image.seek(number)
            sizes.append(image.size)
        numbers = tuple(number for number, size in enumerate(sizes) if size == sizes[0])
        others = f"{count - len(numbers)} of its {count} pages, of other sizes, were left out"
        return Pages(numbers, None, 0, (others,) if len(numbers) < count else ())
    first = 1 if image.info.get("default_image") and count > 1 else 0  # an APNG's stand-in, no part of the animation
    times, now = [], 0
    for number in range(first, count if count > 1 else 0):
        image.seek(number)
        image.load()
        times.append(now)
        now += round(image.info.get("duration", 0))
    return Pages(tuple(range(first, count)), tuple(times) if now else None, now, ())


def pictures_in(path: Path, numbers: Sequence[int]) -> Iterator[tuple[np.ndarray, list[str]]]:
    """Pages by number as arrays `(height, width, 3)`, uint8 in 0..255 or float32 in [-1, 1], and what to tell of them.

    Raises:
        ValueError: if one cannot be decoded.
    """
    with _opened(path) as image:
        check_pixels(path, image.height, image.width)
        for number in numbers:
            image.seek(number)
            image.load()
            yield _shown(image)


def exif_matrix(path: Path) -> tuple[int, int, int, int]:
    """The matrix x' = a x + c y, y' = b x + d y (y downwards) by which the EXIF block of a picture asks to be shown."""
    try:
        with Image.open(path) as image:
            return _ORIENTATIONS.get(image.getexif().get(ExifTags.Base.Orientation, 1), _ORIENTATIONS[1])
    except Exception:  # as in _shown
        return _ORIENTATIONS[1]


def _shown(image: Image.Image) -> tuple[np.ndarray, list[str]]:
    told = []
    try:
        image = ImageOps.exif_transpose(image)
    except Exception as error:  # a malformed block fails in many ways, and the picture is whole
        told.append(f"its EXIF block cannot be read ({error}) and was passed over")
    if image.mode in ("I", "F"):
        raise ValueError(f"its values are 32-bit (Pillow's mode {image.mode}), which have no white: save 8 or 16 bits")
    if image.mode.startswith("I;16"):
        grey = np.asarray(image).astype(np.float32) / 32767.5 - 1
        return np.repeat(grey[..., None], 3, 2), told
    if image.has_transparency_data and np.asarray(image.convert("RGBA"))[..., 3].min() < 255:
        told.append("its transparency was dropped")
    return np.asarray(_srgb(image, told)), told


def _srgb(image: Image.Image, told: list[str]) -> Image.Image:
    """In sRGB, by the ICC profile if there is one for colours."""
    profile = image.info.get("icc_profile")
    if profile and image.mode in ("RGB", "RGBA", "CMYK"):
        try:
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
            name = ImageCms.getProfileDescription(source).strip()
            if "srgb" not in name.lower():
                flat = image if image.mode == "CMYK" else image.convert("RGB")
                shown = ImageCms.profileToProfile(flat, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
                return shown or flat.convert("RGB")
        except (ImageCms.PyCMSError, OSError) as error:
            told.append(f"its colour profile cannot be used ({error}) and was passed over")
    return image.convert("RGB")
