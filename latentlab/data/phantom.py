"""Slices of heads that never were, as a T1 scan would show them, with the tissue of each pixel known exactly.

What a study of synthetic images needs and no hospital gives away: as many patients as one likes, with a truth beside
each. A slice is drawn from the outside in: scalp, skull, the fluid around the brain, a folded ribbon of grey matter,
white matter, two ventricles, and in every other head a lesion somewhere in the white matter. Then comes what a scanner
does: partial volume, an uneven field, and Rician noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.ndimage import gaussian_filter

from latentlab.checks import Count, Seed, clear_errors
from latentlab.data.pictures import Images
from latentlab.store import digest

TISSUES = ("scalp and skull", "fluid", "grey matter", "white matter", "lesion")  # numbered from 1; 0 is air
FLUID, GREY, WHITE, LESION = 2, 3, 4, 5
FINE = 2  # drawn at so many times the size: a pixel holds several tissues
NOISE = 0.035  # of the brightest tissue, standard deviation of both parts of the complex signal
FIELD = 0.18  # standard deviation of the logarithm of the uneven field

Plane = Float[np.ndarray, "height width"]
TissueMaps = Int[np.ndarray, "slice height width"]


@clear_errors
@dataclass(frozen=True, eq=False)
class Slices:
    """Slices with their tissues; those of a user's own as well.

    Attributes:
        pictures: grey, with the classes "healthy" and "lesion".
        tissues: of each pixel, whole numbers: 0 is air, then those of `names` in order.
        names: of the tissues.

    Raises:
        ValueError: tissues that are not whole numbers from 0 to the number of names, or of another size.
    """

    pictures: Images
    tissues: TissueMaps
    names: tuple[str, ...] = TISSUES

    def __post_init__(self) -> None:
        asked = (len(self.pictures), *self.pictures.size)
        if self.tissues.shape != asked or self.tissues.dtype.kind not in "iu":
            raise ValueError(f"tissues are whole numbers {asked}, got {self.tissues.dtype} {self.tissues.shape}")
        if not 0 <= self.tissues.min() <= self.tissues.max() <= len(self.names):
            raise ValueError(f"tissues are 0 to {len(self.names)}, got {self.tissues.min()} to {self.tissues.max()}")

    def __len__(self) -> int:
        return len(self.tissues)

    @clear_errors
    def rows(self, indices: Sequence[int] | Int[np.ndarray, " row"]) -> Slices:
        """Some of them.

        >>> len(phantoms(3, seed=0).rows([0, 2]))
        2
        """
        own, chosen = self.pictures, self.pictures.checked(indices)
        pictures = Images(own.pixels[chosen], own.labels[chosen], own.names, own.source)
        return Slices(pictures, self.tissues[chosen], self.names)

    @property
    def identity(self) -> str:
        """Tells these slices from others, in words that an error can quote."""
        return f"{self.pictures.identity}, tissues {digest(self.tissues)[:12]}"


@clear_errors
def phantoms(count: Count, seed: Seed = 0, *, size: Count = 64) -> Slices:
    """Draws slices of heads; slice i of a seed is the same however many are drawn.

    Args:
        count: how many.
        seed: of the heads.
        size: height and width in pixels, at least 32.

    Raises:
        ValueError: no slice, or one too small to hold a cortex.

    >>> slices = phantoms(4, seed=1)
    >>> slices.pictures.size, sorted(set(slices.tissues.ravel().tolist()) - {LESION})
    ((64, 64), [0, 1, 2, 3, 4])
    >>> bool(np.array_equal(slices.pictures.labels == 1, (slices.tissues == LESION).any((1, 2))))
    True
    """
    if count < 1 or size < 32:
        raise ValueError(f"at least one slice of at least 32 pixels a side, got {count} of {size}")
    drawn = [_slice(np.random.default_rng([seed, i]), size) for i in range(count)]
    tissues = np.stack([tissue for _, tissue in drawn])
    return slices_of(np.stack([picture for picture, _ in drawn]), tissues, "phantoms of heads")


def slices_of(
    pictures: Float[np.ndarray, "slice height width"],
    tissues: TissueMaps,
    source: str,
    names: tuple[str, ...] = TISSUES,
) -> Slices:
    """Slices of pictures in [0, 1] and their tissues."""
    pixels = np.round(255 * pictures.clip(0, 1)).astype(np.uint8)[..., None]
    sick = (tissues == LESION).any((1, 2)).astype(np.int64)
    return Slices(Images(pixels, sick, ("healthy", "lesion"), source), tissues, names)


def _slice(rng: np.random.Generator, size: int) -> tuple[Plane, Int[np.ndarray, "height width"]]:
    """One picture in [0, 1], and its tissues."""
    fine = size * FINE
    tissue = anatomy(rng, fine)
    add_lesion(rng, tissue, unit=fine)
    shares = np.stack([coarse((tissue == k).astype(float)) for k in range(LESION + 1)])
    return scanned(rng, np.tensordot(tissue_signals(rng), shares, 1)), shares.argmax(0)


def anatomy(rng: np.random.Generator, side: int) -> Int[np.ndarray, "side side"]:
    """Tissues of a healthy head."""
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    turn = rng.normal(0, np.radians(6))
    x, y = x - rng.normal(0, 0.03), y - rng.normal(0, 0.03)
    x, y = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
    x = x + rng.normal(0, 0.03) * y**2  # no head is symmetric
    wide, high = rng.uniform(0.66, 0.8), rng.uniform(0.82, 0.94)
    radius = np.hypot(x / wide, y / high) + 0.02 * smooth(rng, side, 0.1)
    skull, brain = rng.uniform(0.93, 0.95), rng.uniform(0.79, 0.85)
    folds = smooth(rng, side, rng.uniform(0.018, 0.026))
    cortex = rng.uniform(0.11, 0.17)
    fissure = (np.abs(x) < 0.018) & (np.abs(y) > rng.uniform(0.3, 0.45))  # between the hemispheres
    tissue = np.zeros((side, side), dtype=int)
    tissue[radius < 1] = 1
    tissue[radius < skull - 0.03] = FLUID
    tissue[(radius + 0.02 * folds < brain) & ~fissure] = GREY
    tissue[(radius + 0.06 * folds < brain - cortex) & (np.abs(x) > 0.05 + 0.03 * folds)] = WHITE
    tissue[(radius < 0.42) & (tissue == GREY)] = WHITE  # the two halves meet in the middle
    long, lean, apart = rng.uniform(0.16, 0.34), rng.uniform(0.035, 0.1), rng.uniform(0.09, 0.13)
    tilt, above = rng.uniform(0.1, 0.35), rng.normal(-0.03, 0.04)
    for which in (-1, 1):
        across = which * x - apart - lean - tilt * (y - above)
        own = lean * rng.uniform(0.8, 1.2)
        tissue[np.hypot(across / own, (y - above) / long) + 0.1 * folds < 1] = FLUID
    return tissue


def add_lesion(rng: np.random.Generator, tissue: Int[np.ndarray, "height width"], *, unit: int) -> None:
    """In every other head, a lesion somewhere in its white matter, 2.5 to 7 % of `unit` pixels in radius; in place."""
    sick, radius, ratio, turn = rng.random() < 0.5, rng.uniform(0.025, 0.07), rng.uniform(0.6, 1), rng.uniform(0, np.pi)
    edge = smooth(rng, len(tissue), 0.03)
    places = np.argwhere(tissue == WHITE)
    row, column = places[rng.integers(len(places))]
    if sick:
        y, x = np.ogrid[: tissue.shape[0], : tissue.shape[1]]
        along = np.cos(turn) * (x - column) + np.sin(turn) * (y - row)
        across = np.cos(turn) * (y - row) - np.sin(turn) * (x - column)
        inside = np.hypot(along / (radius * unit), across / (ratio * radius * unit)) + 0.15 * edge < 1
        tissue[inside & ((tissue == WHITE) | (tissue == GREY))] = LESION


def tissue_signals(rng: np.random.Generator) -> Float[np.ndarray, " tissue"]:
    """How bright air and each tissue is: on T1, fluid is dark and white matter bright; every scanner differs."""
    scalp, fluid, grey, white = rng.normal([0.42, 0.14, 0.48, 0.74], [0.1, 0.04, 0.04, 0.04])
    darker = rng.uniform(0.12, 0.36)  # a lesion is darker than white matter by so much: like grey matter, or like fluid
    return np.array([0.0, scalp, fluid, grey, white, white - darker]).clip(0)


def scanned(rng: np.random.Generator, signal: Plane) -> Plane:
    """A signal as the scanner sees it, scaled so that one pixel in 200 is over 0.95: a smooth field, and noise.

    The magnitude of a complex signal with Gaussian noise has Rice's distribution (Gudbjartsson & Patz 1995).
    """
    seen = signal * np.exp(FIELD * smooth(rng, len(signal), 0.3))
    noise = rng.normal(0, NOISE, (2, *signal.shape))
    seen = np.hypot(seen + noise[0], noise[1])
    return 0.95 * seen / np.quantile(seen, 0.995)


def smooth(rng: np.random.Generator, side: int, scale: float) -> Plane:
    """A random field of mean 0 and variance 1 that is smooth over `scale` of the side."""
    field = gaussian_filter(rng.normal(size=(side, side)), scale * side, mode="wrap")
    return (field - field.mean()) / field.std()


def coarse(plane: Plane) -> Plane:
    """Means of squares of `FINE` pixels."""
    height, width = plane.shape
    return plane.reshape(height // FINE, FINE, width // FINE, FINE).mean((1, 3))
