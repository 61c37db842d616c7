"""Draws scenes of none, one or two objects, whose motion may change and which a moving camera may see.

What one object alone shows is drawn as it always was. Where there are two, or a camera moves, objects are smaller and
spread over the frame: their places are drawn last, such that every path stays inside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from latentlab.data.moving.factors import (
    FACTORS,
    NAMES,
    NUM_FRAMES,
    SIDE,
    FactorSampler,
    asked,
    check_request,
    quantile,
)
from latentlab.data.moving.scene import CHANGES, Scene
from latentlab.factors import Factor, FactorTable

OWN = ("shape", "hue", "size", "start_x", "start_y", "direction", "speed", "rotation")  # an object's factors
SIZES = (4.5, 6.8)  # of objects that are spread over the frame
MARGIN = 11.0  # from their centre to the frame's edge: corners of the largest, and the exposure's
APART = 21.0  # pixels between centres, along x or y, of objects that keep apart; few then come closer than 4 pixels
NEAR, NOT_NEARER = 9.0, 6.0  # pixels between the centres of two that meet, where they are nearest
MEETING = 0.3  # share of the pairs that meet, so that one hides a part of the other
CHANGED_SPEED = 0.45  # pixels a frame, the slowest of a motion that changes
TRIES = 64  # places
# What is drawn beside an old object's factors; new names go behind, so that these keep their values.
_DRAWN: tuple[str, ...] = (
    "objects", "shape.2", "hue.2", "size.2", "direction.2", "speed.2", "rotation.2", "front", "meeting",
    "change", "change_at", "turn", "side", "change.2", "change_at.2", "turn.2", "side.2",
    "pattern", "camera", "camera_direction", "camera_speed", "zoom",
)  # fmt: skip


@dataclass(frozen=True)
class SceneSampler:
    """Draws the factors of item `index`, a pure function of `(seed, index)`.

    Args:
        seed: of the whole set.
        objects: how many there may be in a scene, each entry as often as the others: `(0, 1, 1, 2)` is one empty
            scene in four.
        changes: share of the motions that stop, start, turn or bounce, at one frame from 4 to 11.
        camera: share of the scenes with a patterned background, over which the camera rests (one in four), pans (two
            in four) or zooms.
        fixed, sweep: as of `FactorSampler`. What depends on a factor goes with it: a second hue keeps its distance
            from the first, places are where motions leave room for them.
        correlated: as of `FactorSampler`, between factors of the first object, but not its place where that is spread.

    >>> sampler = SceneSampler(objects=(2,), fixed={"hue.2": 240})
    >>> sampler.table(range(3))["hue.2"]
    array([240., 240., 240.])
    """

    seed: int = 0
    objects: tuple[int, ...] = (1,)
    changes: float = 0.0
    camera: float = 0.0
    fixed: Mapping[str, float] = field(default_factory=dict)
    sweep: Mapping[str, Sequence[float]] = field(default_factory=dict)
    correlated: Mapping[tuple[str, str], float] = field(default_factory=dict)
    _first: FactorSampler = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.objects or not set(self.objects) <= {0, 1, 2}:
            raise ValueError(f"objects must be 0, 1 or 2, or several of these, got {self.objects!r}")
        for name, share in (("changes", self.changes), ("camera", self.camera)):
            if not 0 <= share <= 1:
                raise ValueError(f"{name} must be a share of 0 to 1, got {share!r}")
        check_request(self.specs, self.fixed, self.sweep, self.correlated)
        if self._spread and (placed := {n for pair in self.correlated for n in pair} & {"start_x", "start_y"}):
            raise ValueError(f"{', '.join(sorted(placed))}: places that are spread over the frame cannot be correlated")
        # Frozen, so what is computed once is stored past the front door.
        object.__setattr__(self, "_first", FactorSampler(self.seed, correlated=self.correlated))

    @property
    def specs(self) -> tuple[Factor, ...]:
        """The columns: what every object has and does, then how many there are, and what the camera does."""
        single = 1 in self.objects and self.camera < 1
        first = self._own("", single) if max(self.objects) else ()
        specs = [*first, *FACTORS[len(OWN) :]]
        if max(self.objects) and self.changes:
            specs += _change_factors("")
        if set(self.objects) != {1}:
            specs.append(Factor("objects", "ordinal", min(self.objects), max(self.objects)))
        if max(self.objects) == 2:
            specs += [*self._own(".2", False), *(_change_factors(".2") if self.changes else ())]
            specs.append(Factor("front", "categorical", 0, 1, labels=("first", "second")))
        if self.camera:
            specs += [
                Factor("pattern", "categorical", 0, 1, labels=("plain", "checked")),
                Factor("camera_direction", "circular", 0, 360, "degrees, 0 is right and 90 is up"),
                Factor("camera_speed", "continuous", 0, 0.5, "pixels a frame"),
                Factor("zoom", "continuous", -1.2, 1.2, "percent a frame"),
            ]
        return tuple(specs)

    def __call__(self, index: int) -> np.ndarray:
        """The factors of one item, `(factor,)` in the order of `specs`; NaN for what its scene has not."""
        base, told = asked(index, self.fixed, self.sweep)
        row = self._draw(base, told)
        return np.array([row.get(spec.name, np.nan) for spec in self.specs])

    def scene(self, index: int) -> Scene:
        """One item, for `render`."""
        return Scene.of(dict(zip((s.name for s in self.specs), self(index), strict=True)))

    def table(self, indices: Sequence[int] | range) -> FactorTable:
        """The factors of many items."""
        rows = [self(i) for i in indices]
        return FactorTable(np.array(rows).reshape(len(rows), len(self.specs)), self.specs)

    @property
    def _spread(self) -> bool:
        return 2 in self.objects or self.camera > 0

    def _own(self, end: str, single: bool) -> list[Factor]:
        specs = {f.name: f for f in FACTORS[: len(OWN)]}
        if self._spread or end:
            specs["size"] = replace(specs["size"], high=specs["size"].high if single else SIZES[1])
            edge = MARGIN - (6.0 if self.camera else 0.0)  # the world goes on beyond the frame
            for name in ("start_x", "start_y"):
                specs[name] = replace(specs[name], low=edge, high=SIDE - edge)
        return [replace(spec, name=name + end) for name, spec in specs.items()]

    def _draw(self, base: int, told: dict[str, float]) -> dict[str, float]:
        rng = np.random.default_rng([self.seed, base, 1])
        u = dict(zip(_DRAWN, rng.random(len(_DRAWN)), strict=True))
        tries = rng.random((TRIES, 2, 2))
        row = dict(zip(NAMES, self._first(base), strict=True)) | told
        count = int(told.get("objects", self.objects[int(u["objects"] * len(self.objects))]))
        checked = bool(told.get("pattern", u["pattern"] < self.camera))
        row |= {"objects": count, "pattern": float(checked)} | (_camera(u) if checked else {}) | told
        spread = count == 2 or checked
        if spread and "size" not in told:
            old = FACTORS[NAMES.index("size")]
            row["size"] = SIZES[0] + (row["size"] - old.low) / (old.high - old.low) * (SIZES[1] - SIZES[0])
        if count == 2:
            row |= _second(u, row["hue"]) | told
        for end in ("", ".2")[:count]:
            row |= self._change(row[f"speed{end}"], u, end, told) | told
        if not count:
            return {name: value for name, value in row.items() if name not in OWN}
        return row | _places(row, tries, u["meeting"] < MEETING, count, told) if spread else row

    def _change(self, speed: float, u: Mapping[str, float], end: str, told: dict[str, float]) -> dict[str, float]:
        """Whether and how a motion changes; one that does is fast enough to be seen."""
        drawn = 1 + int(4 * u[f"change{end}"] / self.changes) if u[f"change{end}"] < self.changes else 0
        change = CHANGES[int(told.get(f"change{end}", drawn))]
        if change == "none":
            return {f"change{end}": 0.0}
        turn = {"turns": (60 + 60 * u[f"turn{end}"]) * (1 if u[f"side{end}"] < 0.5 else -1), "bounces": 180.0}
        return {
            f"speed{end}": CHANGED_SPEED + speed / 0.75 * (0.75 - CHANGED_SPEED),
            f"change{end}": float(CHANGES.index(change)),
            f"change_at{end}": 4.0 + int(8 * u[f"change_at{end}"]),
            f"turn{end}": turn.get(change, np.nan),
        }


def _change_factors(end: str) -> tuple[Factor, ...]:
    return (
        Factor(f"change{end}", "categorical", 0, len(CHANGES) - 1, labels=CHANGES),
        Factor(f"change_at{end}", "ordinal", 4, 11, "frames"),
        Factor(f"turn{end}", "continuous", -180, 180, "degrees, counterclockwise is positive"),
    )


def _second(u: Mapping[str, float], hue: float) -> dict[str, float]:
    """The second object, of a hue at least 60 degrees from the first's; either may be in front."""
    plain = ("shape", "direction", "speed", "rotation")
    row = {f"{name}.2": quantile(FACTORS[NAMES.index(name)], u[f"{name}.2"]) for name in plain}
    size = SIZES[0] + u["size.2"] * (SIZES[1] - SIZES[0])
    return row | {"hue.2": (hue + 60 + 240 * u["hue.2"]) % 360, "size.2": size, "front": float(u["front"] < 0.5)}


def _camera(u: Mapping[str, float]) -> dict[str, float]:
    """One camera in four rests, two pan, one zooms."""
    pans, zooms = 0.25 <= u["camera"] < 0.75, u["camera"] >= 0.75
    out = -1 if u["zoom"] < 0.5 else 1
    return {
        "camera_direction": 360 * u["camera_direction"] if pans else np.nan,
        "camera_speed": 0.15 + 0.35 * u["camera_speed"] if pans else 0.0,
        "zoom": out * (0.4 + 0.8 * abs(2 * u["zoom"] - 1)) if zooms else 0.0,
    }


def _places(
    row: Mapping[str, float], tries: np.ndarray, meeting: bool, count: int, told: dict[str, float]
) -> dict[str, float]:
    """Starts from which every path stays inside the frame, of paths that meet or keep apart."""
    times = np.linspace(-1, NUM_FRAMES, 2 * NUM_FRAMES + 3)  # the longest exposure reaches a frame beyond either end
    names = [(f"start_x{end}", f"start_y{end}") for end in ("", ".2")[:count]]
    scene = Scene.of({**row, **{name: 0.0 for pair in names for name in pair}})
    starts, paths = [], []
    for i, (shape, pair) in enumerate(zip(scene.objects, names, strict=True)):
        moved, scale = shape.centre(times), scene.camera.scale(times)[:, None]
        middle, room = scene.camera.centre(times) - moved, SIDE / 2 / scale - MARGIN
        low, high = (middle - room).max(0), (middle + room).min(0)
        start = low + tries[:, i] * (high - low)
        for axis, name in enumerate(pair):
            start[:, axis] = told.get(name, start[:, axis])
        starts.append(start)
        paths.append(start[:, None] + moved)
    chosen = _fitting(paths[0] - paths[1], meeting) if count == 2 else 0
    return {name: float(starts[i][chosen, axis]) for i, pair in enumerate(names) for axis, name in enumerate(pair)}


def _fitting(gap: np.ndarray, meeting: bool) -> int:
    """The first of the tries in which two paths meet or keep apart as wanted, else the one that comes closest to it.

    Args:
        gap: `(try, time, 2)`, between the centres.
        meeting: whether they are to meet.
    """
    if meeting:
        off = np.abs(np.linalg.norm(gap, axis=-1).min(1) - (NEAR + NOT_NEARER) / 2) - (NEAR - NOT_NEARER) / 2
    else:
        off = APART - np.abs(gap).min(1).max(1)  # along the axis that keeps them apart best
    return int((off <= 0).argmax() if (off <= 0).any() else off.argmin())
