"""A scene: no, one or two moving shapes, before a background, seen by a camera that may pan and zoom.

A table's row says it in numbers. What an absent object or a steady motion has no value of is NaN there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from latentlab.data.moving.factors import NUM_FRAMES, SHAPES, SIDE

CHANGES = ("none", "stops", "starts", "turns", "bounces")  # of a motion, once in a clip
MIDDLE = (NUM_FRAMES - 1) / 2  # the time at which the camera looks at the frame's own place


@dataclass(frozen=True)
class Object:
    """One moving shape.

    Args:
        shape: index into `SHAPES`.
        hue: degrees.
        size: pixels, radius of the disc of equal area.
        x, y: of the centroid in the first frame, pixels from the left and the top, of the world.
        direction: degrees, 0 is right and 90 is up.
        speed: pixels a frame.
        rotation: degrees a frame, counterclockwise is positive.
        change: one of `CHANGES`. What stops or starts does so altogether, what turns or bounces keeps its rotation.
        change_at: the frame from which on the motion is another one.
        turn: degrees by which the direction changes then, counterclockwise; a bounce goes back, 180.
    """

    shape: int
    hue: float
    size: float
    x: float
    y: float
    direction: float
    speed: float
    rotation: float
    change: str = "none"
    change_at: float = np.nan
    turn: float = np.nan

    def clock(self, times: np.ndarray) -> np.ndarray:
        """How long the object has moved at these times, in frames; at a steady motion the time itself."""
        if self.change == "stops":
            return np.minimum(times, self.change_at)
        if self.change == "starts":
            return np.maximum(times - self.change_at, 0.0)
        return times

    def centre(self, times: np.ndarray) -> Float[np.ndarray, "time 2"]:
        """Centroid at these times, pixels from the left and the top of the world."""
        moved = self.clock(times)
        before = np.minimum(moved, self.change_at) if self.change in ("turns", "bounces") else moved
        place = np.array([self.x, self.y]) + before[:, None] * self._velocity(self.direction)
        if self.change in ("turns", "bounces"):
            turn = 180.0 if self.change == "bounces" else self.turn
            place = place + (moved - before)[:, None] * self._velocity(self.direction + turn)
        return place

    def angle(self, times: np.ndarray) -> np.ndarray:
        """Of the shape, radians, counterclockwise."""
        return np.deg2rad(self.rotation) * self.clock(times)

    def _velocity(self, direction: float) -> np.ndarray:
        angle = np.deg2rad(direction)
        return self.speed * np.array([np.cos(angle), -np.sin(angle)])  # rows grow downwards


@dataclass(frozen=True)
class Camera:
    """What turns places of the world into places of the frame: `x -> side / 2 + scale (x - centre)`.

    Args:
        direction: in which the camera moves, degrees, 0 is right and 90 is up; the picture moves the other way.
        speed: pixels of the world a frame.
        zoom: percent a frame by which the picture grows, at any time.
    """

    direction: float = 0.0
    speed: float = 0.0
    zoom: float = 0.0

    def scale(self, times: np.ndarray) -> np.ndarray:
        """Pixels of the frame over pixels of the world; 1 in the middle of the clip."""
        return np.exp(self.zoom / 100 * (times - MIDDLE))

    def centre(self, times: np.ndarray) -> Float[np.ndarray, "time 2"]:
        """The place of the world in the middle of the frame."""
        angle = np.deg2rad(self.direction)
        velocity = self.speed * np.array([np.cos(angle), -np.sin(angle)])
        return SIDE / 2 + (times - MIDDLE)[:, None] * velocity

    def see(self, places: Float[np.ndarray, "time *point 2"], times: np.ndarray) -> np.ndarray:
        """Places of the world, where they are in the frame."""
        if not (self.speed or self.zoom):
            return places  # to the bit
        centre, scale = self._look(times, places.ndim)
        return SIDE / 2 + scale * (places - centre)

    def unsee(self, pixels: Float[np.ndarray, "*point 2"], times: np.ndarray) -> np.ndarray:
        """Places of the frame, where they are in the world, `(time, *point, 2)`."""
        if not (self.speed or self.zoom):
            return np.broadcast_to(pixels, (len(times), *pixels.shape))
        centre, scale = self._look(times, pixels.ndim + 1)
        return centre + (pixels - SIDE / 2) / scale

    def _look(self, times: np.ndarray, ndim: int) -> tuple[np.ndarray, np.ndarray]:
        between = (1,) * (ndim - 2)
        return self.centre(times).reshape(-1, *between, 2), self.scale(times).reshape(-1, *between, 1)


@dataclass(frozen=True)
class Scene:
    """Everything that a clip shows.

    Args:
        objects: at most two.
        front: which of two objects is before the other, 0 or 1.
        background_hue: degrees.
        light: share of full brightness.
        blur: exposure in frames.
        checked: whether the background is patterned with squares.
        camera: a moving one needs a pattern to be seen.
    """

    objects: tuple[Object, ...]
    background_hue: float
    light: float
    blur: float = 0.0
    front: int = 0
    checked: bool = False
    camera: Camera = Camera()

    @classmethod
    def of(cls, row: Mapping[str, float]) -> Scene:
        """The scene of factors by name, those of a second object with `.2` behind; absent ones are NaN or left out."""
        if missing := {"background_hue", "light"} - row.keys():
            raise KeyError(f"a scene needs {' and '.join(sorted(missing))}, got {', '.join(row)}")
        found = (_object(row, end) for end in ("", ".2"))
        camera = Camera(*(_known(row, name, 0.0) for name in ("camera_direction", "camera_speed", "zoom")))
        return cls(
            tuple(o for o in found if o is not None),
            background_hue=row["background_hue"],
            light=row["light"],
            blur=_known(row, "blur", 0.0),
            front=int(_known(row, "front", 0.0)),
            checked=bool(_known(row, "pattern", 0.0)),
            camera=camera,
        )


def _object(row: Mapping[str, float], end: str) -> Object | None:
    shape = row.get(f"shape{end}", np.nan)
    if not np.isfinite(shape):
        return None
    if not 0 <= shape < len(SHAPES):
        raise ValueError(f"shape{end}={shape} is no index into {', '.join(SHAPES)}")
    names = ("hue", "size", "start_x", "start_y", "direction", "speed", "rotation")
    if missing := [f"{name}{end}" for name in names if f"{name}{end}" not in row]:
        raise KeyError(f"an object needs {', '.join(missing)}, got {', '.join(row)}")
    return Object(
        int(shape),
        *(float(row[f"{name}{end}"]) for name in names),
        change=CHANGES[int(_known(row, f"change{end}", 0.0))],
        change_at=row.get(f"change_at{end}", np.nan),
        turn=row.get(f"turn{end}", np.nan),
    )


def _known(row: Mapping[str, float], name: str, otherwise: float) -> float:
    value = row.get(name, np.nan)
    return float(value) if np.isfinite(value) else otherwise
