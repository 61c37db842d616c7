"""Exact rendering: every pixel is the integral of the scene over its area, and over the exposure time.

A shape is a polygon (the circle one of 48 corners, within 0.02 pixels of round). Its coverage of a pixel is computed in
closed form by Green's theorem, edge by edge: no supersampling, so areas come out to rounding error, and centroids of
the pixels to 0.02 pixels (a pixel remembers how much of it is covered, not where). Only where edges of two shapes meet
within a pixel is it divided, into 8 x 8; and there edges of a shape and of the background's squares count as
independent of each other.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np

from latentlab.data.moving.factors import NAMES, NUM_FRAMES, SHAPES, SIDE
from latentlab.data.moving.scene import Object, Scene

SATURATION, VALUE = 0.85, 1.0  # of the shape
BACKGROUND_SATURATION, BACKGROUND_VALUE = 0.45, 0.6
CHECK, CHECK_CONTRAST = 8, 0.15  # side of a square of the pattern, in pixels; how much brighter and darker they are
FINE = 8  # parts of a pixel's side where two edges meet in it


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
class Layer:
    """One object of a clip.

    Attributes:
        whole: `(frame, height, width)`, share of the pixel that the shape covers, averaged over the exposure.
        seen: the same of what no other object hides.
        flow: `(frame - 1, 2, height, width)`, where a pixel of frame t moves to in frame t + 1, in pixels (right,
            down), for all pixels that the unblurred shape covers by half or more, hidden or not; zero elsewhere.
        back: the same from frame t + 1 to frame t.
        depth: 0 is nearest.
    """

    whole: np.ndarray
    seen: np.ndarray
    flow: np.ndarray
    back: np.ndarray
    depth: int


@dataclass(frozen=True)
class Rendered:
    """One clip with its ground truth.

    Attributes:
        rgb: `(frame, height, width, 3)`, 0 to 1.
        mask: `(frame, height, width)`, share of the pixel that objects cover, averaged over the exposure.
        flow: `(frame - 1, 2, height, width)`, where what is seen in a pixel of frame t moves to in frame t + 1, in
            pixels (right, down); on the background zero, or what the camera does.
        back: `(frame - 1, 2, height, width)`, the same from frame t + 1 to frame t.
        layers: the objects one by one.
    """

    rgb: np.ndarray
    mask: np.ndarray
    flow: np.ndarray
    back: np.ndarray
    layers: tuple[Layer, ...] = ()


def render(scene: Scene | np.ndarray, frames: np.ndarray | list[int] | None = None) -> Rendered:
    """Renders one clip.

    Args:
        scene: or one row of a table of one moving shape, `(factor,)` in the order of `FACTORS`.
        frames: which frames to draw (default: all 16); `flow` is then that of each to its successor in time, and `back`
            that from there.

    Returns:
        The clip with its masks and flows.
    """
    if not isinstance(scene, Scene):
        scene = Scene.of(dict(zip(NAMES, np.asarray(scene, dtype=float), strict=True)))
    times = np.arange(NUM_FRAMES) if frames is None else np.asarray(frames)
    rgb, whole, seen = draw_scene(scene, times)
    first = times if frames is not None else times[:-1]
    flows = [[_flow(scene, shape, t, step) for shape in scene.objects] for t, step in ((first, 1), (first + 1, -1))]
    layers = tuple(
        Layer(whole[i], seen[i], flows[0][i][0], flows[1][i][0], depth=i ^ scene.front if len(scene.objects) > 1 else 0)
        for i in range(len(scene.objects))
    )
    mask = sum(seen, np.zeros((len(times), SIDE, SIDE)))
    return Rendered(rgb, mask, _surface(scene, flows[0], first, 1), _surface(scene, flows[1], first + 1, -1), layers)


def draw_scene(scene: Scene, times: np.ndarray) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]:
    """The pixels alone, `(frame, height, width, 3)`, with whole and visible mask of each object."""
    whole, seen, pattern = exposed(scene, times)
    back = background_colour(scene.background_hue)
    rgb = np.broadcast_to(back, (len(times), SIDE, SIDE, 3))
    for shape, visible in zip(scene.objects, seen, strict=True):
        rgb = rgb + visible[..., None] * (object_colour(shape.hue) - back)
    if scene.checked:
        rgb = rgb + CHECK_CONTRAST * pattern[..., None] * back
    return scene.light * rgb, whole, seen


def object_colour(hue: float) -> np.ndarray:
    """RGB of an object at full light."""
    return np.array(colorsys.hsv_to_rgb(hue / 360 % 1, SATURATION, VALUE))


def background_colour(hue: float) -> np.ndarray:
    """RGB of a background at full light."""
    return np.array(colorsys.hsv_to_rgb(hue / 360 % 1, BACKGROUND_SATURATION, BACKGROUND_VALUE))


def exposed(scene: Scene, times: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    """Whole and visible mask of each object, and the pattern (-1 to 1) where none is, averaged over the exposure."""
    wholes, seens, patterns = [], [], []
    shifts = _exposure(scene)
    for shift in shifts:
        placed = [place(scene, shape, times + shift) for shape in scene.objects]
        whole = [pixel_coverage(corners) for corners in placed]
        seen = list(whole)
        if len(whole) == 2:
            seen[1 - scene.front] = whole[1 - scene.front] - _overlap(placed, whole)
        wholes.append(whole)
        seens.append(seen)
        if scene.checked:
            patterns.append(_checks(scene, times + shift) * (1 - sum(seen)))
    count = range(len(scene.objects))
    return (
        [np.mean([whole[i] for whole in wholes], axis=0) for i in count],
        [np.mean([seen[i] for seen in seens], axis=0) for i in count],
        np.mean(patterns, axis=0) if patterns else np.zeros(()),
    )


def _exposure(scene: Scene) -> np.ndarray:
    """Midpoints of the exposure interval: four at least, and nothing moves more than a quarter pixel between two."""
    reach = [np.abs(POLYGONS[SHAPES[o.shape]] * o.size).max() for o in scene.objects]
    pace = [o.speed + abs(np.deg2rad(o.rotation)) * r for o, r in zip(scene.objects, reach, strict=True)]
    camera = scene.camera.speed + abs(scene.camera.zoom) / 100 * SIDE / 2
    smear = scene.blur * (max(pace, default=0.0) + camera)
    count = max(4, int(np.ceil(4 * smear))) if smear > 0 else 1
    return scene.blur * ((np.arange(count) + 0.5) / count - 0.5)


def place(scene: Scene, shape: Object, times: np.ndarray) -> np.ndarray:
    """Corners `(frame, corner, 2)` in pixels of the frame, y down."""
    corners = POLYGONS[SHAPES[shape.shape]] * shape.size
    return scene.camera.see(turned_corners(corners, shape.centre(times), shape.angle(times)), times)


def turned_corners(corners: np.ndarray, centre: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Corners `(frame, corner, 2)`, y down, of a shape that is turned counterclockwise by radians about its centre."""
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    x, y = corners.T
    return np.stack([x * cos - y * sin, -(x * sin + y * cos)], -1) + centre[:, None]


def _overlap(placed: list[np.ndarray], whole: list[np.ndarray]) -> np.ndarray:
    """Share of each pixel that both polygons cover: the product, but where both have an edge in the pixel."""
    both = whole[0] * whole[1]
    edges = [(mask > 1e-9) & (mask < 1 - 1e-9) for mask in whole]
    frame, row, column = np.nonzero(edges[0] & edges[1])
    for t in np.unique(frame):
        y, x = row[frame == t], column[frame == t]
        corner, side = np.array([x.min(), y.min()]), int(max(np.ptp(x), np.ptp(y))) + 1
        fine = [pixel_coverage(((corners[t] - corner) * FINE)[None], side * FINE)[0] for corners in placed]
        exact = (fine[0] * fine[1]).reshape(side, FINE, side, FINE).mean((1, 3))
        both[t, y, x] = exact[y - corner[1], x - corner[0]]
    return both


def _checks(scene: Scene, times: np.ndarray) -> np.ndarray:
    """The background's squares, 1 and -1, averaged over each pixel: a product of two square waves."""
    edge = np.arange(SIDE + 1.0)
    edges = scene.camera.unsee(np.stack([edge, edge], -1), times) / CHECK  # (frame, edge, 2), in squares
    # Antiderivative of the wave that is 1 in [0, 1) and -1 in [1, 2).
    total = 1 - np.abs(1 - edges % 2)
    across, down = (np.diff(total[..., axis]) / np.diff(edges[..., axis]) for axis in (0, 1))
    return down[:, :, None] * across[:, None, :]


def pixel_coverage(corners: np.ndarray, side: int = SIDE) -> np.ndarray:
    """Exact share of each pixel inside a polygon.

    By Green's theorem the area of polygon and pixel (row r, column c) is the sum over edges of the height that
    the edge has within the row, times the mean over that piece of how much of the pixel lies to its right.

    Args:
        corners: `(frame, corner, 2)`, pixels (x right, y down).
        side: height and width of the frame.

    Returns:
        `(frame, side, side)` in [0, 1].

    >>> square = np.array([[[1.0, 1.0], [2.5, 1.0], [2.5, 2.0], [1.0, 2.0]]])
    >>> pixel_coverage(square, side=4)[0, 1]
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


def _flow(scene: Scene, shape: Object, times: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Motion over `step` frames of the pixels that the unblurred shape covers by half or more, and which they are."""
    inside = pixel_coverage(place(scene, shape, times)) >= 0.5
    here, there = shape.centre(times), shape.centre(times + step)
    # y is down, so a counterclockwise turn is negative here
    angle = -(shape.clock(times + step) - shape.clock(times)) * np.deg2rad(shape.rotation)
    turn = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], -1).reshape(-1, 1, 2, 2)
    pixel = np.stack(np.meshgrid(np.arange(SIDE) + 0.5, np.arange(SIDE) + 0.5), -1)
    arm = scene.camera.unsee(pixel, times) - here[:, None, None]
    moved = scene.camera.see(arm @ turn.swapaxes(-1, -2) + there[:, None, None], times + step)
    return np.where(inside[..., None], moved - pixel, 0.0).transpose(0, 3, 1, 2), inside


def _surface(scene: Scene, flows: list[tuple[np.ndarray, np.ndarray]], times: np.ndarray, step: int) -> np.ndarray:
    """The motion of what is seen: the nearest object that covers the pixel by half or more, else the background."""
    pixel = np.stack(np.meshgrid(np.arange(SIDE) + 0.5, np.arange(SIDE) + 0.5), -1)
    moved = scene.camera.see(scene.camera.unsee(pixel, times), times + step)
    surface = np.broadcast_to(moved - pixel, (len(times), SIDE, SIDE, 2)).transpose(0, 3, 1, 2)
    order = (1 - scene.front, scene.front) if len(flows) == 2 else range(len(flows))  # farthest first
    for i in order:
        surface = np.where(flows[i][1][:, None], flows[i][0], surface)
    return np.array(surface)
