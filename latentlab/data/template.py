"""Slices of the MNI152 template, a T1 scan that is the mean of 152 heads, each bent into a patient of its own.

The template and its maps of grey and white matter come inside nilearn's wheel (the extra `medical`), so nothing is
downloaded. It shows brains alone: its slices hold no scalp and no skull.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from jaxtyping import Float
from scipy.ndimage import map_coordinates

from latentlab.checks import Count, Seed, clear_errors
from latentlab.data.phantom import (
    FINE,
    FLUID,
    GREY,
    LESION,
    WHITE,
    Slices,
    add_lesion,
    coarse,
    scanned,
    slices_of,
    smooth,
)

SHOWN = (70, 112)  # slices of the volume that patients are drawn from, in mm from its foot: those with ventricles
SIDE = 208  # mm that a slice shows, each way
BENT = 5.0  # mm, standard deviation of the displacement, smooth over a tenth of the side


@clear_errors
def template_slices(count: Count, seed: Seed = 0, *, size: Count = 64) -> Slices:
    """Slices of the template under random smooth warps, intensities, fields, noise, and lesions in every other one.

    Args:
        count: how many.
        seed: of the patients; patient i of a seed is the same however many are drawn.
        size: height and width in pixels, at least 32.

    Raises:
        ValueError: no slice, or one too small to hold a cortex.
        ImportError: nilearn is not installed.
    """
    if count < 1 or size < 32:
        raise ValueError(f"at least one slice of at least 32 pixels a side, got {count} of {size}")
    maps = _volumes()
    drawn = [_patient(np.random.default_rng([seed, i]), maps, size) for i in range(count)]
    return slices_of(np.stack([d[0] for d in drawn]), np.stack([d[1] for d in drawn]), "slices of the MNI152 template")


@cache
def _volumes() -> Float[np.ndarray, "4 x y z"]:
    """T1 signal and the shares of fluid, grey and white matter, at 1 mm."""
    try:
        from nilearn import datasets
    except ImportError as error:
        raise ImportError("slices of the template need nilearn: pip install 'latentlab[medical]'") from error
    loaded = (
        datasets.load_mni152_template(resolution=1),
        datasets.load_mni152_gm_template(resolution=1),
        datasets.load_mni152_wm_template(resolution=1),
    )
    t1, grey, white = (np.asarray(image.dataobj, dtype=np.float32) for image in loaded)
    fluid = np.where(t1 > 0, (1 - grey - white).clip(0, 1), 0)
    return np.stack([t1, fluid, grey * (t1 > 0), white * (t1 > 0)])


def _patient(rng: np.random.Generator, maps: Float[np.ndarray, "4 x y z"], size: int) -> tuple[np.ndarray, np.ndarray]:
    """One picture in [0, 1], and its tissues."""
    fine, z = size * FINE, rng.uniform(*SHOWN)
    across, along = np.meshgrid(*[np.linspace(-SIDE / 2, SIDE / 2, fine)] * 2)
    turn, grown, flip = rng.normal(0, np.radians(6)), rng.uniform(0.92, 1.1), rng.choice([-1, 1])
    x = flip * (np.cos(turn) * across + np.sin(turn) * along) / grown + BENT * smooth(rng, fine, 0.1)
    y = (np.cos(turn) * along - np.sin(turn) * across) / grown + BENT * smooth(rng, fine, 0.1)
    middle = np.array(maps.shape[1:3]) / 2
    at = np.stack([middle[0] + x, middle[1] - y, np.full_like(x, z)])
    t1, *shares = (map_coordinates(volume, at, order=1) for volume in maps)
    known = np.stack([1 - sum(shares), *shares])
    tissue = np.array([0, FLUID, GREY, WHITE])[known.argmax(0)]
    add_lesion(rng, tissue, unit=fine)
    curve, darker = rng.uniform(0.8, 1.3), rng.uniform(0.4, 0.75)
    signal = t1.clip(0, 1) ** curve * np.where(tissue == LESION, darker, 1)
    parts = np.stack([coarse((tissue == k).astype(float)) for k in range(LESION + 1)])
    return scanned(rng, coarse(signal)), parts.argmax(0)
