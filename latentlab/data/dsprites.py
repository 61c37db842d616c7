"""dSprites (Matthey et al. 2017): white shapes on black, 64 x 64, one picture for each combination of five factors.

The 737,280 pictures are drawn here one by one when asked for, on the data set's grid of factors and in its order; a
user who has the original file reads that instead. The two hold the same factors and differ in outlines.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from tqdm.auto import tqdm

from latentlab.checks import Seed, clear_errors
from latentlab.data.moving.render import pixel_coverage
from latentlab.factors import Factor, FactorTable
from latentlab.shapes import Video

SIDE = 64
SHAPES = ("square", "ellipse", "heart")
FACTORS = (
    Factor("shape", "categorical", 0, 2, labels=SHAPES),
    Factor("scale", "ordinal", 0.5, 1.0, "share of the largest"),
    Factor("orientation", "circular", 0, 360, "degrees"),
    Factor("x", "ordinal", 0, 1, "share of the way to the right"),
    Factor("y", "ordinal", 0, 1, "share of the way down"),
)
# As in the original, the last of the 40 orientations is the first again.
GRID = (
    np.arange(3.0),
    np.linspace(0.5, 1.0, 6),
    np.linspace(0.0, 360.0, 40),
    np.linspace(0.0, 1.0, 32),
    np.linspace(0.0, 1.0, 32),
)
SIZES = tuple(len(values) for values in GRID)
COUNT = int(np.prod(SIZES))
READ_AT_ONCE = 4096


class DSprites:
    """The data set, picture by picture; item `index` has the factors that the original has at that place.

    Args:
        path: the original `dsprites_ndarray_*.npz`; it is read once, as bits (360 MiB). None draws.
        progress: show a bar while reading.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not the file of dSprites.

    >>> sprites = DSprites()
    >>> len(sprites), sprites.clip(0).shape
    (737280, torch.Size([1, 3, 1, 64, 64]))
    """

    num_frames, size = 1, (SIDE, SIDE)

    @clear_errors
    def __init__(self, path: str | Path | None = None, *, progress: bool = True) -> None:
        self.packed = None if path is None else read_npz(path, progress=progress)

    def __len__(self) -> int:
        return COUNT

    @clear_errors
    def image(self, index: int) -> UInt8[np.ndarray, "64 64"]:
        """One picture, 0 or 1."""
        self._check(index)
        if self.packed is not None:
            return np.unpackbits(self.packed[index]).reshape(SIDE, SIDE)
        return draw_sprite(*(values[at] for values, at in zip(GRID, np.unravel_index(index, SIZES), strict=True)))

    @clear_errors
    def clip(self, index: int, *, seed: Seed = 0, frames: Sequence[int] | None = None) -> Video:
        """One picture as a clip of one frame, `(1, 3, 1, 64, 64)`; `seed` and `frames` leave nothing to choose."""
        picture = torch.from_numpy(self.image(index)).float() * 2 - 1
        return picture.expand(1, 3, 1, SIDE, SIDE).clone()

    @clear_errors
    def factors(self, indices: Sequence[int] | np.ndarray | None = None) -> FactorTable:
        """The factors of some pictures, or of all."""
        chosen = np.arange(COUNT) if indices is None else np.asarray(indices)
        chosen = chosen.astype(int) if not chosen.size else chosen
        if chosen.ndim != 1 or chosen.dtype.kind not in "iu":
            raise IndexError(f"pictures go by a list of whole numbers, got {chosen.dtype} of shape {chosen.shape}")
        if chosen.size and not 0 <= chosen.min() <= chosen.max() < COUNT:
            raise IndexError(f"pictures are 0 to {COUNT - 1}, got {chosen.min()} to {chosen.max()}")
        places = np.unravel_index(chosen, SIZES)
        return FactorTable(np.stack([values[at] for values, at in zip(GRID, places, strict=True)], 1), FACTORS)

    @clear_errors
    def index(self, **at: int) -> int:
        """The place of a combination, by the number of each factor's value; those not named are 0.

        >>> DSprites().index(shape=2, y=3)
        491523
        """
        names = [factor.name for factor in FACTORS]
        if unknown := set(at) - set(names):
            raise ValueError(f"no factor {', '.join(sorted(unknown))}; there are {', '.join(names)}")
        places = [at.get(name, 0) for name in names]
        for name, place, size in zip(names, places, SIZES, strict=True):
            if not 0 <= place < size:
                raise ValueError(f"{name} has values 0 to {size - 1}, got {place}")
        return int(np.ravel_multi_index(places, SIZES))

    @clear_errors
    def draw(self, count: int, seed: Seed = 0, *, progress: bool = False) -> tuple[Video, FactorTable]:
        """Pictures at random with their factors, `(count, 3, 1, 64, 64)`."""
        if count < 1:
            raise ValueError(f"at least one picture must be drawn, got {count}")
        chosen = np.random.default_rng(seed).integers(COUNT, size=count)
        clips = [self.clip(int(i)) for i in tqdm(chosen, desc="drawing sprites", disable=not progress or None)]
        return torch.cat(clips), self.factors(chosen)

    def _check(self, index: int) -> None:
        if not 0 <= index < COUNT:
            raise IndexError(f"pictures are 0 to {COUNT - 1}, got {index}")


def draw_sprite(shape: float, scale: float, orientation: float, x: float, y: float) -> UInt8[np.ndarray, "64 64"]:
    """One sprite: a pixel is white where the shape covers half of it or more.

    Args:
        shape: index into `SHAPES`.
        scale: 0.5 to 1.
        orientation: degrees.
        x, y: 0 to 1, a pixel a step of the grid; no shape leaves the picture.
    """
    angle = np.deg2rad(orientation)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = 16.5 + 31 * np.array([x, y])
    corners = scale * OUTLINES[SHAPES[int(shape)]] @ turn.T + centre
    return (pixel_coverage(corners[None], SIDE)[0] >= 0.5).astype(np.uint8)


def read_npz(path: str | Path, *, progress: bool = False) -> UInt8[np.ndarray, "737280 512"]:
    """The pictures of the original file as bits, 512 bytes each, read in chunks; nothing in it is unpickled.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not the file of dSprites.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no dSprites at {path}; give dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz")
    packed = np.empty((COUNT, SIDE * SIDE // 8), np.uint8)
    try:
        with zipfile.ZipFile(path) as archive, archive.open("imgs.npy") as file:
            if np.lib.format.read_magic(file) == (1, 0):
                shape, fortran, kind = np.lib.format.read_array_header_1_0(file)
            else:
                shape, fortran, kind = np.lib.format.read_array_header_2_0(file)
            if shape != (COUNT, SIDE, SIDE) or fortran or kind != np.uint8:
                raise ValueError(f"imgs is {kind} {shape}")
            for first in tqdm(range(0, COUNT, READ_AT_ONCE), desc="reading dSprites", disable=not progress or None):
                rows = min(READ_AT_ONCE, COUNT - first)
                pixels = np.frombuffer(file.read(rows * SIDE * SIDE), np.uint8)
                if len(pixels) < rows * SIDE * SIDE:
                    raise ValueError(f"it ends after {first + len(pixels) // SIDE**2} pictures")
                packed[first : first + rows] = np.packbits(pixels.reshape(rows, -1), axis=1)
    except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, EOFError) as error:
        raise ValueError(f"{path} is not the npz of dSprites, {COUNT} pictures of 64 x 64 as imgs: {error}") from error
    return packed


def _ellipse(wide: float, high: float, corners: int = 64) -> np.ndarray:
    t = np.arange(corners) * 2 * np.pi / corners
    return np.stack([wide * np.cos(t), high * np.sin(t)], 1)


def _heart(radius: float, corners: int = 96) -> np.ndarray:
    """The curve x = 16 sin^3 t, y = 13 cos t - 5 cos 2t - 2 cos 3t - cos 4t, point down, scaled to `radius`."""
    t = np.arange(corners) * 2 * np.pi / corners
    up = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    curve = np.stack([16 * np.sin(t) ** 3, -(up + 2.5)], 1)
    return radius * curve / np.linalg.norm(curve, axis=1).max()


# At scale 1, pixels from the centre, y down; within 16 of it, so that every turn fits at every place.
OUTLINES = {
    "square": 10.5 * np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]),
    "ellipse": _ellipse(15.0, 8.0),
    "heart": _heart(15.0),
}
