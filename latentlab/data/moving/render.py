"""Exact rendering: every pixel is the integral of the scene over its area, and over the exposure time.

A shape is a polygon (the circle one of 48 corners, within 0.02 pixels of round). Its coverage of a pixel is computed in
closed form by Green's theorem, edge by edge: no supersampling, so areas come out to rounding error, and centroids of
the pixels to 0.02 pixels (a pixel remembers how much of it is covered, not where).
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np

from latentlab.data.moving.factors import NAMES, NUM_FRAMES, SHAPES, SIDE

SATURATION, VALUE = 0.85, 1.0  # of the shape
BACKGROUND_SATURATION, BACKGROUND_VALUE = 0.45, 0.6


def _star(corners: int, inner: float, turn: float = 0.0) -> np.ndarray:
    angle = np.pi / 2 + turn + np.arange(2 * corners) * np.pi / corners
    radius = np.where(np.arange(2 * corners) % 2 == 0, 1.0, inner)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)


def _regular(corners: int, turn: float = 0.0) -> np.ndarray:
    angle = np.pi / 2 + turn + np.arange(corners) * 2 * np.pi / corners
    return np.stack([np.cos(angle), np.sin(angle)], 1)


def _cross(arm: float = 0.36) -> np.ndarray:
    a = arm
    return np.array(
        [[a, 1], [-a, 1], [-a, a], [-1, a], [-1, -a], [-a, -a], [-a, -1], [a, -1], [a, -a], [1, -a], [1, a], [a, a]],
        dtype=float,
    )


def polygon_area(corners: np.ndarray) -> float:
    """Signed area of a polygon `(corner, 2)` by the shoelace formula."""
    x, y = corners.T
    return float(0.5 * (x * np.roll(y, -1) - y * np.roll(x, -1)).sum())


def _unit(corners: np.ndarray) -> np.ndarray:
    """Scaled to the area of the unit disc, so that `size` means area whatever the shape."""
    return corners * np.sqrt(np.pi / abs(polygon_area(corners)))


# Corners with y up, centroid at the origin, upright at angle 0.
POLYGONS = {
    "circle": _unit(_regular(48)),
    "square": _unit(_regular(4, np.pi / 4)),
    "triangle": _unit(_regular(3)),
    "star": _unit(_star(5, 0.5)),
    "cross": _unit(_cross()),
}


@dataclass(frozen=True)
class Rendered:
    """One clip with its ground truth.

    Attributes:
        rgb: `(frame, height, width, 3)`, 0 to 1.
        mask: `(frame, height, width)`, share of the pixel that the shape covers, averaged over the exposure.
        flow: `(frame - 1, 2, height, width)`, where a pixel of frame t moves to in frame t + 1, in pixels
            (right, down); zero on the background.
        back: `(frame - 1, 2, height, width)`, the same from frame t + 1 to frame t.
    """

    rgb: np.ndarray
    mask: np.ndarray
    flow: np.ndarray
    back: np.ndarray


def render(factors: np.ndarray, frames: np.ndarray | list[int] | None = None) -> Rendered:
    """Renders one clip from its factors, `(factor,)` in the order of `FACTORS`.

    Args:
        factors: one row of a moving-shapes table.
        frames: which frames to draw (default: all 16); `flow` is then that of each to its successor in time, and `back`
            that from there.

    Returns:
        The clip with its mask and flow.
    """
    f = dict(zip(NAMES, np.asarray(factors, dtype=float), strict=True))
    times = np.arange(NUM_FRAMES) if frames is None else np.asarray(frames)
    corners = POLYGONS[SHAPES[int(f["shape"])]] * f["size"]
    exposure = _exposure(f, np.abs(corners).max())
    mask = np.mean([coverage(_place(corners, f, times + shift)) for shift in exposure], axis=0)
    shape_rgb = colorsys.hsv_to_rgb(f["hue"] / 360 % 1, SATURATION, VALUE)
    back_rgb = colorsys.hsv_to_rgb(f["background_hue"] / 360 % 1, BACKGROUND_SATURATION, BACKGROUND_VALUE)
    back, shape = np.array(back_rgb), np.array(shape_rgb)
    rgb = f["light"] * (back + mask[..., None] * (shape - back))
    first = times if frames is not None else times[:-1]
    return Rendered(rgb, mask, _flow(corners, f, first, 1), _flow(corners, f, first + 1, -1))


def _centre(f: dict[str, float], times: np.ndarray) -> np.ndarray:
    angle = np.deg2rad(f["direction"])
    velocity = f["speed"] * np.array([np.cos(angle), -np.sin(angle)])  # rows grow downwards
    return np.array([f["start_x"], f["start_y"]]) + times[:, None] * velocity


def _place(corners: np.ndarray, f: dict[str, float], times: np.ndarray) -> np.ndarray:
    """Corners `(frame, corner, 2)` in pixels, y down."""
    angle = np.deg2rad(f["rotation"]) * times
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    x, y = corners.T
    turned = np.stack([x * cos - y * sin, -(x * sin + y * cos)], -1)
    return turned + _centre(f, times)[:, None]


def _exposure(f: dict[str, float], radius: float) -> np.ndarray:
    """Midpoints of the exposure interval: four at least, and nothing moves more than a quarter pixel between two."""
    smear = f["blur"] * (f["speed"] + abs(np.deg2rad(f["rotation"])) * radius)
    count = max(4, int(np.ceil(4 * smear))) if smear > 0 else 1
    return f["blur"] * ((np.arange(count) + 0.5) / count - 0.5)


def coverage(corners: np.ndarray, side: int = SIDE) -> np.ndarray:
    """Exact share of each pixel inside a polygon.

    By Green's theorem the area of polygon and pixel (row r, column c) is the sum over edges of the height that
    the edge has within the row, times the mean over that piece of how much of the pixel lies to its right.

    Args:
        corners: `(frame, corner, 2)`, pixels (x right, y down).
        side: height and width of the frame.

    Returns:
        `(frame, side, side)` in [0, 1].

    >>> square = np.array([[[1.0, 1.0], [2.5, 1.0], [2.5, 2.0], [1.0, 2.0]]])
    >>> coverage(square, side=4)[0, 1]
    array([0. , 1. , 0.5, 0. ])
    """
    start, end = corners, np.roll(corners, -1, axis=1)
    rows = np.arange(side)[:, None]
    y0, y1 = start[:, None, :, 1], end[:, None, :, 1]  # (frame, 1, edge)
    top, bottom = np.clip(y0, rows, rows + 1), np.clip(y1, rows, rows + 1)  # (frame, row, edge)
    frame, row, edge = np.nonzero(bottom - top)
    ya, yb = top[frame, row, edge], bottom[frame, row, edge]
    (xs, ys), (xe, ye) = start[frame, edge].T, end[frame, edge].T
    slope = (xe - xs) / (ye - ys)
    columns = np.arange(1, side + 1)
    ua = columns - (xs + (ya - ys) * slope)[:, None]
    ub = columns - (xs + (yb - ys) * slope)[:, None]
    pieces = (yb - ya)[:, None] * _mean_clamp(ua, ub)
    area = np.zeros((len(corners) * side, side))
    np.add.at(area, frame * side + row, pieces)
    return np.clip(np.abs(area.reshape(len(corners), side, side)), 0, 1)


def _mean_clamp(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Mean of clamp(u, 0, 1) for u between a and b, through its antiderivative."""
    width = b - a
    flat = np.abs(width) < 1e-7
    antiderivative = [0.5 * np.clip(u, 0, 1) ** 2 + np.maximum(u - 1, 0) for u in (a, b)]
    sloped = (antiderivative[1] - antiderivative[0]) / np.where(flat, 1.0, width)
    return np.where(flat, np.clip(0.5 * (a + b), 0, 1), sloped)


def _flow(corners: np.ndarray, f: dict[str, float], times: np.ndarray, step: int) -> np.ndarray:
    """Rigid motion over `step` frames of the pixels that the unblurred shape covers by half or more."""
    inside = coverage(_place(corners, f, times)) >= 0.5
    here, there = _centre(f, times), _centre(f, times + step)
    angle = -step * np.deg2rad(f["rotation"])  # y is down, so a counterclockwise turn is negative here
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    pixel = np.stack(np.meshgrid(np.arange(SIDE) + 0.5, np.arange(SIDE) + 0.5), -1)
    arm = pixel - here[:, None, None]
    moved = arm @ turn.T + there[:, None, None]
    return np.where(inside[..., None], moved - pixel, 0.0).transpose(0, 3, 1, 2)
