"""The contract of an edit of one of two objects: its target reached, all else of it kept, and all of the other one.

As in `latentlab.study.contract`, with each object held against what is wanted of it. Of what one hides of the other
nothing is asked: silhouettes are compared where they can be seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float

from latentlab.checks import Count, clear_errors
from latentlab.data.moving.edits import EDITS
from latentlab.data.moving.factors import FACTORS, NAMES, NUM_FRAMES, SHAPES
from latentlab.data.moving.measure_scenes import SPECS, SeenScene, see_scene
from latentlab.data.moving.scenes import OWN
from latentlab.data.moving.silhouette import painted, silhouette, soft_iou
from latentlab.factors import FactorTable
from latentlab.shapes import OVERSHOOT, Video, check_video
from latentlab.study.change import SECOND, Change
from latentlab.study.contract import Judged, Wanted, how_far

ENDS = ("", SECOND)
COMMON = ("background_hue", "light")  # of the clip, told once
READ = (
    *FACTORS[:-1],
    *(spec for spec in SPECS if spec.name.removesuffix(SECOND) in OWN and spec.name.endswith(SECOND)),
)
FAR = 10.0  # tolerances; what is farther off is another object


@dataclass(frozen=True)
class WantedScene:
    """What clips of two objects should show.

    Attributes:
        objects: from left to right, as `measure` orders them before the edit.
        front: 0 or 1, which of them is before the other; NaN where nobody can say.
    """

    objects: tuple[Wanted, Wanted]
    front: Float[np.ndarray, " clip"]

    @staticmethod
    @clear_errors
    def of(table: FactorTable, frames: Count = NUM_FRAMES) -> WantedScene:
        """What clips of known factors show; as in tables, the first object may be either."""
        rows = [_rows(table, end) for end in ENDS]
        found = WantedScene((Wanted.of(rows[0], frames), Wanted.of(rows[1], frames)), table["front"].copy())
        order = found.objects[0].centre[..., 0].mean(1) > found.objects[1].centre[..., 0].mean(1)
        return found._exchanged(order)

    @staticmethod
    @clear_errors
    def read(seen: Sequence[SeenScene]) -> WantedScene:
        """What clips show now; of a clip that does not show two objects nothing is known."""
        one, other = (_wanted(seen, k) for k in (0, 1))
        return WantedScene((one, other), np.array([scene.row.get("front", np.nan) for scene in seen]))

    @clear_errors
    def after(self, change: Change, *, strength: float = 1.0) -> WantedScene:
        """The same clips with one change, of one object or of the whole clip."""
        objects = list(self.objects)
        for k in (0, 1):
            if k == change.object or change.name in COMMON:
                objects[k] = objects[k].after(change, strength=strength)
        return WantedScene((objects[0], objects[1]), self.front)

    @clear_errors
    def meant(self, change: Change, at: tuple[float, float] | None) -> Change:
        """The change of a single clip, of the object nearest to a place in its first frame, if one is told."""
        if at is None or change.name in COMMON:
            return change
        off = [np.linalg.norm(one.centre[0, 0] - np.array(at)) for one in self.objects]
        return replace(change, object=int(np.nanargmin(off)))

    @clear_errors
    def silhouettes(self, seen: Sequence[SeenScene]) -> Float[np.ndarray, "clip object frame height width"]:
        """The objects wanted, where those of clips are, as large and turning as fast, as far as they can be seen."""
        drawn = [[self._silhouette(i, k, scene) for k in (0, 1)] for i, scene in enumerate(seen)]
        whole = np.array(drawn)
        for i, scene in enumerate(seen):
            front = self.front[i] if np.isfinite(self.front[i]) else scene.row.get("front", np.nan)
            if np.isfinite(front):
                whole[i, 1 - int(front)] *= 1 - whole[i, int(front)]
        return whole

    @clear_errors
    def overlap(self, seen: Sequence[SeenScene]) -> Float[np.ndarray, "clip object frame"]:
        """How well each object covers the one wanted in each frame, 0 to 1, where that can be seen."""
        seen = _in_order(seen, self)
        return _overlap(seen, self.silhouettes(seen))

    @clear_errors
    def overlap_in(
        self, space: Callable[[Video], Video], seen: Sequence[SeenScene]
    ) -> Float[np.ndarray, "clip object frame"]:
        """The same of the silhouettes themselves, once they are painted and a space has given them back."""
        drawn = self.silhouettes(_in_order(seen, self))
        clips = []
        for i, (one, other) in enumerate(drawn):
            told = [[w.rows[i, NAMES.index(n)] for n in ("hue", "background_hue", "light")] for w in self.objects]
            ground = painted(np.zeros_like(one), *told[0])
            clips.append(painted(one, *told[0]) + painted(other, *told[1]) - ground)
        back = space(torch.from_numpy(np.stack(clips)).float())
        return _overlap(_in_order([see_scene(clip) for clip in back], self), drawn)

    def _silhouette(self, clip: int, k: int, scene: SeenScene) -> Float[np.ndarray, "frame height width"]:
        wanted = self.objects[k]
        row = dict(zip(NAMES, wanted.rows[clip], strict=True))
        frames = wanted.centre.shape[1]
        if len(scene.things) < 2 or not np.isfinite(row["shape"]):
            return np.zeros((frames, 64, 64))
        thing, angles = scene.things[k], scene.angles[k]
        same = thing.shape == row["shape"] and np.isfinite(angles).all()
        turned = angles - angles[0] if same else np.nan_to_num(row["rotation"]) * np.arange(frames)
        first = wanted.pose[clip] if np.isfinite(wanted.pose[clip]) else angles[0] if same else 0.0
        centre = np.where(np.isfinite(thing.centre), thing.centre, wanted.centre[clip])
        return silhouette(SHAPES[int(row["shape"])], thing.size, centre, first + turned, np.nan_to_num(row["blur"]))

    def _exchanged(self, where: np.ndarray) -> WantedScene:
        """First and second exchanged in some clips."""
        one, other = self.objects

        def mixed(a: Wanted, b: Wanted) -> Wanted:
            pick = {name: where.reshape(-1, *[1] * (getattr(a, name).ndim - 1)) for name in ("rows", "centre", "pose")}
            return Wanted(**{name: np.where(w, getattr(b, name), getattr(a, name)) for name, w in pick.items()})

        return WantedScene((mixed(one, other), mixed(other, one)), np.where(where, 1 - self.front, self.front))


@clear_errors
def judge_scene(
    video: Video,
    wanted: WantedScene,
    *,
    outside: Float[np.ndarray, " clip"] | None = None,
    floor: Float[np.ndarray, "clip object frame"] | None = None,
    seen: Sequence[SeenScene] | None = None,
) -> Judged:
    """Reads clips of two objects and holds them against what is wanted.

    Args:
        video: edited clips.
        wanted: what they should show.
        outside: decibels that they keep outside the objects; None is not judged.
        floor: the overlap that they have without an edit, see `WantedScene.overlap`; None is 1, as of exact clips.
        seen: what they show, if that is known already.

    >>> from latentlab.data import moving_shapes
    >>> both = {"hue": 0.0, "hue.2": 120.0, "background_hue": 240.0}
    >>> before, factors = moving_shapes(1, seed=0, objects=2, fixed=both)
    >>> after, _ = moving_shapes(1, seed=0, objects=2, fixed=both | {"hue": 60.0})
    >>> known = WantedScene.of(factors)
    >>> left = int(known.objects[0].rows[0, NAMES.index("hue")] != 0)
    >>> judge_scene(after, known.after(Change.of(("hue", "hue.2")[left], 60))).kept
    array([ True])
    """
    check_video(OVERSHOOT, video=video)
    seen = _in_order([see_scene(clip) for clip in video] if seen is None else seen, wanted)
    found = WantedScene.read(seen)
    off = {}
    for end, want, is_ in zip(ENDS, wanted.objects, found.objects, strict=True):
        apart = how_far(want, is_.rows, is_.centre)
        off |= {f"{name}{end}": apart[name] for name in EDITS if not end or name not in COMMON}
    both = np.isfinite(found.front) & np.isfinite(wanted.front)
    off["front"] = np.where(both, np.where(found.front == wanted.front, 0.0, np.inf), np.nan)
    overlap = wanted.overlap(seen)
    unknown, whole = np.full(len(video), np.nan), np.ones_like(overlap)
    read = scene_table(found)
    return Judged(read, off, unknown if outside is None else outside, overlap, whole if floor is None else floor)


@clear_errors
def scene_table(found: WantedScene) -> FactorTable:
    """The factors of two objects, a row a clip."""
    first = np.where(np.isin(NAMES[:-1], [*OWN, *COMMON]), found.objects[0].rows[:, :-1], np.nan)
    second = found.objects[1].rows[:, [NAMES.index(name) for name in OWN]]
    return FactorTable(np.concatenate([first, second], 1), READ)


@clear_errors
def two_objects(video: Video) -> list[SeenScene | None]:
    """What each clip shows, if it shows two objects; else None."""
    check_video(OVERSHOOT, video=video)
    seen = [see_scene(clip) for clip in video]
    return [scene if len(scene.things) == 2 else None for scene in seen]


def _overlap(seen: Sequence[SeenScene], drawn: np.ndarray) -> Float[np.ndarray, "clip object frame"]:
    """Of mattes and silhouettes; where less than a pixel of a silhouette can be seen, nothing is asked."""
    found = np.zeros(drawn.shape[:3])
    for i, scene in enumerate(seen):
        if len(scene.things) == 2:
            mattes = torch.from_numpy(scene.mattes.clip(0, 1))[:, None]
            found[i] = np.nan_to_num(soft_iou(mattes, torch.from_numpy(drawn[i])[:, None]))
    return found


def _in_order(seen: Sequence[SeenScene], wanted: WantedScene) -> list[SeenScene]:
    """Scenes with their objects exchanged where they then are nearer to those wanted: an edit may change the order."""
    if len(seen) != len(wanted.front):
        raise ValueError(f"{len(seen)} clips, and {len(wanted.front)} are wanted")
    there, back = WantedScene.read(seen), WantedScene.read([_exchanged(scene) for scene in seen])
    return [
        _exchanged(scene) if other < one else scene
        for scene, one, other in zip(seen, _distance(there, wanted), _distance(back, wanted), strict=True)
    ]


def _distance(found: WantedScene, wanted: WantedScene) -> np.ndarray:
    pairs = zip(wanted.objects, found.objects, strict=True)
    apart = [np.stack(list(how_far(want, is_.rows, is_.centre).values())) for want, is_ in pairs]
    return np.minimum(np.nan_to_num(np.stack(apart), posinf=FAR), FAR).sum((0, 1))


def _exchanged(scene: SeenScene) -> SeenScene:
    if len(scene.things) < 2:
        return scene
    row = {name: scene.row[name] for name in scene.row if name.removesuffix(SECOND) not in OWN}
    for name in OWN:
        row |= {name: scene.row[f"{name}{SECOND}"], f"{name}{SECOND}": scene.row[name]}
    row |= {"front": 1 - row["front"]} if "front" in row else {}
    return replace(
        scene, row=row, things=scene.things[::-1], mattes=scene.mattes[::-1].copy(), angles=scene.angles[::-1]
    )


def _rows(table: FactorTable, end: str) -> Float[np.ndarray, "clip factor"]:
    """The factors of one object, in the order of `FACTORS`."""
    names = [f"{name}{end}" if name in OWN else name for name in NAMES]
    return np.stack([table[name] if name in table.names else np.full(len(table), np.nan) for name in names], 1)


def _wanted(seen: Sequence[SeenScene], k: int) -> Wanted:
    frames = max((scene.mattes.shape[1] for scene in seen), default=NUM_FRAMES)
    rows, centre = np.full((len(seen), len(NAMES)), np.nan), np.full((len(seen), frames, 2), np.nan)
    pose = np.full(len(seen), np.nan)
    for i, scene in enumerate(seen):
        if len(scene.things) == 2:
            names = [f"{name}{ENDS[k]}" if name in OWN else name for name in NAMES]
            rows[i] = [scene.row.get(name, np.nan) for name in names]
            thing = scene.things[k]
            centre[i], pose[i] = np.where(thing.seen[:, None], thing.centre, np.nan), scene.angles[k][0]
    return Wanted(rows, centre, pose)
