"""Reads the exposure of a moving shape from its matte, by synthesis.

A matte smeared by an exposure of `b` frames is, to second order, `sharp + b**2 * smear`. The sharp shape is drawn where
the clip shows it, `smear` is what one frame of exposure adds, and least squares tells `b**2` apart from what looks like
it: a slightly wrong place or contrast, and blur that is the same in every direction.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from latentlab.data.moving.render import pixel_coverage

STRIDE = 2  # every other frame will do
ROUNDS = 3  # of sharpening the round blur's estimate
MARGIN = 3  # pixels around the shape's path
_SQUARE = 2.0  # b**2 at which the smear is drawn, in the middle of its range so that saturation is shared out
# Three moments of the exposure with the variance of a whole one, b**2 / 12.
_MOMENTS = np.sqrt(_SQUARE / 12) * np.array([-1, 0, 1]) * np.sqrt(1.5)


def squared_exposure(
    matte: Float[np.ndarray, "frame height width"],
    corners: Float[np.ndarray, "corner 2"],
    start: complex,
    velocity: complex,
    angle: float,
    rotation: float,
) -> tuple[float, float]:
    """Estimates the squared exposure of one clip.

    Args:
        matte: share of each pixel that the object covers.
        corners: of the sharp shape, y up, in pixels from its centroid.
        start: centroid in the first frame, x + iy in pixels from the top left corner, y up (so below zero).
        velocity: pixels a frame, y up.
        angle: of the shape in the first frame, radians.
        rotation: radians a frame.

    Returns:
        The squared exposure in frames and its standard error; noise can take it below zero.
    """
    frames = np.arange(0, len(matte), STRIDE)
    times = frames[:, None] + np.append(0, _MOMENTS)
    placed = corners @ np.array([1, 1j]) * np.exp(1j * (angle + rotation * times))[..., None]
    placed = placed + (start + velocity * times)[..., None]
    xy = np.stack([placed.real, -placed.imag], -1)
    corner = np.floor(xy.min((0, 1, 2))).astype(int) - MARGIN
    side = int(np.ceil((xy.max((0, 1, 2)) - corner).max())) + MARGIN
    drawn = pixel_coverage((xy - corner).reshape(-1, len(corners), 2), side).reshape(*times.shape, side, side)
    sharp, smear = drawn[:, 0], (drawn[:, 1:].mean(1) - drawn[:, 0]) / _SQUARE
    return _fit(_crop(matte[frames], corner, side), sharp, smear)


def _fit(seen: np.ndarray, sharp: np.ndarray, smear: np.ndarray) -> tuple[float, float]:
    """Share of `smear` in what is seen, and its standard error."""
    share, error = 0.0, np.inf
    for _ in range(ROUNDS):
        down, right = np.gradient(sharp, axis=(1, 2))
        basis = np.stack([smear, sharp, right, down, _laplace(sharp)], -1).reshape(-1, 5)
        inverse = np.linalg.inv(basis.T @ basis + 1e-9 * np.eye(5))
        weights = inverse @ (basis.T @ (seen - sharp).ravel())
        rest = (seen - sharp).ravel() - basis @ weights
        edge = max(1, np.count_nonzero((sharp > 0.01) & (sharp < 0.99)))  # the pixels that decide
        share, error = weights[0], np.sqrt(inverse[0, 0] * (rest**2).sum() / edge)
        spread = np.clip(weights[4], -0.05, 0.4)
        sharp, smear = sharp + spread * _laplace(sharp), smear + spread * _laplace(smear)
    return float(share), float(error)


def _laplace(image: np.ndarray) -> np.ndarray:
    out = -4 * image
    out[:, 1:] += image[:, :-1]
    out[:, :-1] += image[:, 1:]
    out[:, :, 1:] += image[:, :, :-1]
    out[:, :, :-1] += image[:, :, 1:]
    return out


def _crop(image: np.ndarray, corner: np.ndarray, side: int) -> np.ndarray:
    """A square of `(frame, height, width)` whose top left pixel is `corner` (x, y), zero outside the frame."""
    out = np.zeros((len(image), side, side))
    height, width = image.shape[1:]
    x, y = corner
    top, bottom, left, right = max(y, 0), min(y + side, height), max(x, 0), min(x + side, width)
    if top < bottom and left < right:
        out[:, top - y : bottom - y, left - x : right - x] = image[:, top:bottom, left:right]
    return out
