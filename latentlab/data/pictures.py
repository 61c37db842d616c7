"""Pictures with a class: Fashion-MNIST, the digits of scikit-learn, idx files, or a folder of a folder for each class.

An image is a clip of one frame, so everything that takes clips takes these. Nothing is ever downloaded.
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageOps
from torch import Tensor

from latentlab.checks import Seed, clear_errors
from latentlab.factors import Factor, FactorTable
from latentlab.shapes import Video
from latentlab.store import digest
from latentlab.video import IMAGE_SUFFIXES, from_uint8, natural_order

Split = Literal["train", "test"]
FASHION = Path("/usr/share/datasets/fashion-mnist")  # where Debian's package puts it
FASHION_CLASSES = (
    "t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
SOURCES = f"""\
  fashion-mnist   70,000 pictures of 28 x 28: apt-get install dataset-fashion-mnist (30 MB, into {FASHION}), or the
                  four files from github.com/zalandoresearch/fashion-mnist in a folder of yours
  digits          1,797 pictures of 8 x 8, which come with scikit-learn
  FOLDER          train-images-idx3-ubyte, train-labels-idx1-ubyte and t10k-..., as MNIST has them, with or without .gz;
                  or a folder of pictures for each class"""
HELD_OUT = 5  # of the digits and of a user's folder every fifth picture is for testing


class Images:
    """Pictures with a class each, as clips of one frame; `images` opens them.

    Args:
        pixels: `(image, height, width, 1 or 3)`, 8 bits.
        labels: class of each, an index into `names`.
        names: of the classes.
        source: what they are, in words.

    Raises:
        ValueError: labels that are not one for each picture, or not among the names.

    >>> pictures = images("digits")
    >>> len(pictures), pictures.size, pictures.clip(0).shape, pictures.caption(0)
    (1437, (8, 8), torch.Size([1, 3, 1, 8, 8]), '1')
    """

    num_frames = 1

    @clear_errors
    def __init__(
        self, pixels: UInt8[np.ndarray, "n height width channel"], labels: np.ndarray, names: Sequence[str], source: str
    ) -> None:
        if pixels.ndim != 4 or pixels.shape[3] not in (1, 3) or pixels.dtype != np.uint8 or not len(pixels):
            raise ValueError(f"pixels are uint8 (image, height, width, 1 or 3), got {pixels.dtype} {pixels.shape}")
        if labels.shape != (len(pixels),) or labels.dtype.kind not in "iu":
            raise ValueError(f"{len(pixels)} pictures need as many whole numbers, got {labels.dtype} {labels.shape}")
        if not 0 <= labels.min() <= labels.max() < len(names):
            raise ValueError(f"labels are 0 to {len(names) - 1}, got {labels.min()} to {labels.max()}")
        self.pixels, self.labels = pixels, labels.astype(np.int64)
        self.names, self.source = tuple(names), source

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.pixels.shape[1], self.pixels.shape[2]

    @property
    def channels(self) -> int:
        """1 of grey pictures, 3 of colours."""
        return self.pixels.shape[3]

    @property
    def identity(self) -> str:
        """Tells these pictures from others, in words that an error can quote."""
        content = digest(self.pixels, self.labels)[:12]
        return f"{self.source}, {len(self)} pictures of {self.size[0]} x {self.size[1]}, {content}"

    @clear_errors
    def clip(self, index: int, *, seed: Seed = 0, frames: Sequence[int] | None = None) -> Video:
        """One picture, `(1, 3, 1, height, width)`; `seed` and `frames` leave nothing to choose."""
        self.checked([index])
        return self.clips([index])

    @clear_errors
    def clips(self, indices: Sequence[int] | np.ndarray | None = None) -> Video:
        """Some pictures, or all, `(image, 3, 1, height, width)`."""
        chosen = self.checked(np.arange(len(self)) if indices is None else indices)
        pictures = self.pixels[chosen][:, None]
        return from_uint8(np.broadcast_to(pictures, (*pictures.shape[:-1], 3)))

    @clear_errors
    def levels(self, indices: Sequence[int] | np.ndarray, *, seed: Seed = 0) -> Float[Tensor, "image c 1 h w"]:
        """Some pictures with their own channels, in [-1, 1]; `seed` leaves nothing to choose."""
        del seed
        pictures = torch.from_numpy(self.pixels[self.checked(indices)])
        return pictures.movedim(-1, 1)[:, :, None].float() / 127.5 - 1

    @clear_errors
    def caption(self, index: int, *, seed: Seed = 0) -> str:
        """The name of a picture's class."""
        self.checked([index])
        return self.names[self.labels[index]]

    @clear_errors
    def factors(self, indices: Sequence[int] | np.ndarray | None = None) -> FactorTable:
        """The classes of some pictures, or of all, as a table of one factor."""
        chosen = self.checked(np.arange(len(self)) if indices is None else indices)
        spec = Factor("class", "categorical", 0, len(self.names) - 1, labels=self.names)
        return FactorTable(self.labels[chosen, None].astype(float), (spec,))

    @clear_errors
    def draw(self, count: int, seed: Seed = 0) -> tuple[Video, FactorTable]:
        """Pictures at random with their classes, `(count, 3, 1, height, width)`, each once if there are enough.

        >>> clips, factors = images("digits").draw(4, seed=0)
        >>> clips.shape, factors.names
        (torch.Size([4, 3, 1, 8, 8]), ('class',))
        """
        if count < 1:
            raise ValueError(f"at least one picture must be drawn, got {count}")
        chosen = np.random.default_rng(seed).choice(len(self), count, replace=count > len(self))
        return self.clips(chosen), self.factors(chosen)

    def checked(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Indices as an array.

        Raises:
            IndexError: they are no whole numbers, or there are no such pictures.
        """
        chosen = np.asarray(indices)
        chosen = chosen if chosen.size else chosen.astype(int)
        if chosen.ndim != 1 or chosen.dtype.kind not in "iu":
            raise IndexError(f"pictures go by a list of whole numbers, got {chosen.dtype} of shape {chosen.shape}")
        if chosen.size and not 0 <= chosen.min() <= chosen.max() < len(self):
            raise IndexError(f"pictures are 0 to {len(self) - 1}, got {chosen.min()} to {chosen.max()}")
        return chosen


@clear_errors
def images(
    source: str | Path = "fashion-mnist", *, split: Split = "train", size: tuple[int, int] | None = None
) -> Images:
    """Opens pictures with a class each.

    Args:
        source: "fashion-mnist" (Xiao et al. 2017), where Debian's package put it; "digits", those of scikit-learn; or
            a folder, of idx files as MNIST has them, or of a folder of pictures for each class.
        split: "train" or "test". Where a source has no such parts, every fifth picture is for testing.
        size: (height, width) that a folder's pictures are scaled and cropped to; None takes them as they are.

    Raises:
        FileNotFoundError: they are not there; the message says how to get them.
        ValueError: a file is cut short or none of its kind, or pictures differ in size.

    >>> images("digits", split="test").names
    ('0', '1', '2', '3', '4', '5', '6', '7', '8', '9')
    """
    if split not in get_args(Split):
        raise ValueError(f"split is 'train' or 'test', got {split!r}")
    known, folder = str(source), Path(source)
    if size is not None and (len(size) != 2 or min(size) < 1):
        raise ValueError(f"size is (height, width), each at least 1, got {size}")
    if size is not None and known in ("fashion-mnist", "digits"):
        raise ValueError(f"{known} comes in one size; size= is for a folder of pictures")
    if known == "digits":
        return _digits(split)
    if known == "fashion-mnist":
        folder = FASHION
    if not folder.is_dir():
        raise FileNotFoundError(f"no pictures at {folder}. There are:\n{SOURCES}")
    if _idx(folder, "train-images-idx3-ubyte", missing_ok=True):
        if size is not None:
            raise ValueError(f"{folder} holds idx files, whose pictures have one size; size= is for single pictures")
        return _idx_folder(folder, split, FASHION_CLASSES if folder == FASHION or "fashion" in folder.name else None)
    return _class_folders(folder, split, size)


def read_idx(path: str | Path) -> UInt8[np.ndarray, ...]:
    """The array of an idx file of bytes, as of MNIST (LeCun et al. 1998), gzipped or not.

    Two zero bytes, the type (8 is a byte), the number of axes, each axis as 32 bits big-endian, then the values.

    Raises:
        ValueError: no such file, or one cut short.
    """
    try:
        data = gzip.decompress(raw) if (raw := Path(path).read_bytes())[:2] == b"\x1f\x8b" else raw
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} is damaged or cut short: {error}") from error
    if data[:3] != b"\x00\x00\x08" or len(data) < 4 or not 1 <= data[3] <= 4 or len(data) < 4 + 4 * data[3]:
        raise ValueError(f"{path} is no idx file of bytes: it begins with {data[:4].hex(' ') or 'nothing'}")
    shape = tuple(int(n) for n in np.frombuffer(data, ">u4", data[3], 4))
    begin = 4 + 4 * len(shape)
    if len(data) - begin != math.prod(shape):
        raise ValueError(
            f"{path} says {' x '.join(map(str, shape))} bytes, {math.prod(shape)}, and holds {len(data) - begin}"
        )
    return np.frombuffer(data, np.uint8, offset=begin).reshape(shape)


def _idx(folder: Path, name: str, *, missing_ok: bool = False) -> Path | None:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    if missing_ok:
        return None
    raise FileNotFoundError(f"{folder} holds no {name} or {name}.gz. Pictures there are:\n{SOURCES}")


def _idx_folder(folder: Path, split: Split, names: Sequence[str] | None) -> Images:
    part = {"train": "train", "test": "t10k"}[split]
    paths = [_idx(folder, f"{part}-{what}-ubyte") for what in ("images-idx3", "labels-idx1")]
    pixels, labels = (read_idx(path) for path in paths if path is not None)
    if pixels.ndim != 3 or labels.ndim != 1 or len(pixels) != len(labels):
        raise ValueError(f"{paths[0]} and {paths[1]} do not belong together: {pixels.shape} and {labels.shape}")
    names = names or [str(i) for i in range(int(labels.max(initial=0)) + 1)]
    return Images(pixels[..., None], labels, names, f"{folder.name} ({split})")


def _digits(split: Split) -> Images:
    from sklearn.datasets import load_digits

    values, labels = load_digits(return_X_y=True)  # 0 to 16
    pixels = np.round(np.asarray(values).reshape(-1, 8, 8, 1) * (255 / 16)).astype(np.uint8)
    rows = _rows(len(pixels), split)
    return Images(pixels[rows], np.asarray(labels)[rows], [str(i) for i in range(10)], f"digits ({split})")


def _class_folders(folder: Path, split: Split, size: tuple[int, int] | None) -> Images:
    groups = {
        below.name: sorted((p for p in below.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES), key=natural_order)
        for below in sorted(filter(Path.is_dir, folder.iterdir()), key=natural_order)
    }
    groups = {name: paths for name, paths in groups.items() if paths}
    if not groups:
        raise FileNotFoundError(f"{folder} holds neither idx files nor folders of pictures. There are:\n{SOURCES}")
    paths = [path for group in groups.values() for path in group]
    labels = np.repeat(np.arange(len(groups)), [len(group) for group in groups.values()])
    rows = np.concatenate(
        [np.flatnonzero(labels == k)[_rows(int((labels == k).sum()), split)] for k in range(len(groups))]
    )
    if not len(rows):
        raise ValueError(
            f"{folder} has too few pictures for a {split} part: one of {HELD_OUT} of each class is for tests"
        )
    pictures = [_picture(paths[row], size) for row in rows]
    if len(sizes := {picture.shape[:2] for picture in pictures}) > 1:
        some = ", ".join(f"{h} x {w}" for h, w in sorted(sizes)[:3])
        raise ValueError(f"the pictures of {folder} differ in size ({some}); give size=(height, width)")
    pixels = np.stack(pictures)
    grey = bool((pixels == pixels[..., :1]).all())
    return Images(pixels[..., :1] if grey else pixels, labels[rows], list(groups), f"{folder.name} ({split})")


def _picture(path: Path, size: tuple[int, int] | None) -> UInt8[np.ndarray, "height width 3"]:
    try:
        with Image.open(path) as file:
            picture = ImageOps.exif_transpose(file).convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} cannot be read as a picture: {error}") from error
    return np.asarray(picture if size is None else ImageOps.fit(picture, (size[1], size[0]), Image.Resampling.BICUBIC))


def _rows(count: int, split: Split) -> np.ndarray:
    held = np.arange(count) % HELD_OUT == 0
    return np.flatnonzero(held if split == "test" else ~held)
