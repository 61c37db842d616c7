"""Reads motions from the places that an object takes: steady ones, and those that stop, start, turn or bounce."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from latentlab.data.moving.scene import CHANGES

FRAMES = range(4, 12)  # at which a motion may change
FLOOR = 0.03  # pixels, below which residuals say nothing: centroids of pixels are not better
BOUNCE = 150.0  # degrees, a turn beyond it goes back


@dataclass(frozen=True)
class Motion:
    """A motion as it was read.

    Attributes:
        start: place at frame 0, x + iy in pixels from the left and, below zero, from the top.
        velocity: of the first motion there is, pixels a frame, y up.
        change: index into `CHANGES`.
        change_at: the frame, NaN of a steady motion.
        turn: degrees, NaN of what neither turns nor bounces.
        clock: how long the object had moved in each frame.
    """

    start: complex
    velocity: complex
    change: int
    change_at: float
    turn: float
    clock: np.ndarray


def read_path(centre: Float[np.ndarray, "frame 2"], seen: Bool[np.ndarray, " frame"]) -> Motion:
    """The likeliest path through an object's places, by Schwarz's criterion.

    Args:
        centre: pixels from the left and the top.
        seen: the frames that count.

    >>> x = np.r_[np.arange(6), np.full(10, 5.0)] + 20
    >>> path = read_path(np.stack([x, np.full(16, 32.0)], 1), np.full(16, True))
    >>> CHANGES[path.change], path.change_at, round(float(abs(path.velocity)), 6)
    ('stops', 5.0, 1.0)
    """
    place, time = centre[:, 0] - 1j * centre[:, 1], np.arange(len(centre), dtype=float)
    rows = np.asarray(seen) & np.isfinite(place)
    best = (np.inf, 0, np.nan, np.zeros(3, complex))
    for change, at in [(0, np.nan), *((c, float(k)) for c in (1, 2, 3) for k in FRAMES)]:
        basis = np.stack([np.ones_like(time), *_clocks(change, at, time)], 1)[rows]
        weights = np.linalg.lstsq(basis.astype(complex), place[rows], rcond=None)[0]
        rest = np.abs(place[rows] - basis @ weights) ** 2
        parameters = 2 * basis.shape[1] + (change > 0)
        score = 2 * rows.sum() * np.log(rest.mean() + FLOOR**2) + parameters * np.log(2 * max(rows.sum(), 2))
        if score < best[0]:
            best = (score, change, at, weights)
    _, change, at, weights = best
    turn = np.nan
    if CHANGES[change] == "turns":
        turn = float(np.rad2deg(np.angle(weights[2] / weights[1])))
        change, turn = (CHANGES.index("bounces"), 180.0) if abs(turn) > BOUNCE else (change, turn)
    clock = sum(_clocks(change, at, time))
    return Motion(weights[0], weights[1], change, at, turn, np.asarray(clock))


def _clocks(change: int, at: float, time: np.ndarray) -> list[np.ndarray]:
    """How long each of the motions has lasted."""
    match CHANGES[change]:
        case "none":
            return [time]
        case "stops":
            return [np.minimum(time, at)]
        case "starts":
            return [np.maximum(time - at, 0)]
        case _:
            return [np.minimum(time, at), np.maximum(time - at, 0)]
