"""Clips of two objects on which the edit of a factor of one can be asked for, and whether it was done.

As in `latentlab.study.contract_clips`, each is judged against the exact re-rendering, and as its account judges it. No
learned reader of such clips ships, so that there is no second opinion of shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from latentlab.checks import clear_errors
from latentlab.data.moving.dataset import MovingShapes
from latentlab.data.moving.edits import EDITS
from latentlab.data.moving.factors import NAMES, NUM_FRAMES
from latentlab.data.moving.measure import angle_difference
from latentlab.data.moving.measure_scenes import see_scene
from latentlab.data.moving.render import exposed
from latentlab.data.moving.scene import Scene
from latentlab.data.moving.scenes import OWN
from latentlab.factors import FactorTable
from latentlab.generator.generator import Generator
from latentlab.shapes import Latents, Video
from latentlab.study.account_scenes import account_scene
from latentlab.study.change import SECOND, Change
from latentlab.study.contract import Judged, outside_psnr
from latentlab.study.contract_clips import APART, POOL, first_asked, generator_space, wish
from latentlab.study.contract_scenes import COMMON, WantedScene, judge_scene

EDGE = 10.0  # pixels from the frame's edge that a moved object keeps
CLEAR = 16.0  # pixels between two centres; nobody is told which of two would be in front where they did not meet before

SceneRow = dict[str, float]


@dataclass(frozen=True, eq=False)
class SceneClips:
    """Clips of two objects of one factor, and what is asked of each.

    Attributes:
        latents: of the clips.
        unedited: the clips decoded.
        rows: their true factors by name, the first object being the one further left.
        changes: one a clip.
        space: what it makes of clips without an edit.
    """

    latents: Latents
    unedited: Video
    rows: tuple[SceneRow, ...]
    changes: tuple[Change, ...]
    space: Callable[[Video], Video]

    def exactly_judged(self, video: Video) -> tuple[Bool[np.ndarray, " clip"], Judged]:
        """Whether clips keep the contract by the exact re-rendering."""
        found = judged_together([self._judged(i, video[i : i + 1], self.changes[i]) for i in range(len(video))])
        return found.kept, found

    def unedited_kept(self) -> Bool[np.ndarray, " clip"]:
        """Whether clips are kept where nothing is asked and nothing done: what the space breaks."""
        return judged_together([self._judged(i, self.unedited[i : i + 1], None) for i in range(len(self.rows))]).kept

    def accounted(self, video: Video) -> Bool[np.ndarray, " clip"]:
        """Whether the account says kept, which knows the clips alone."""
        return np.array([self._accounted(i, video[i : i + 1]) for i in range(len(video))])

    def _accounted(self, i: int, after: Video) -> bool:
        before = self.unedited[i : i + 1]
        seen = see_scene(before[0])
        if len(seen.things) != 2:
            return False
        return account_scene(before, after, [self.changes[i]], seen=seen, space=self.space).kept

    def _judged(self, i: int, after: Video, change: Change | None) -> Judged:
        before, row = self.unedited[i : i + 1], self.rows[i]
        known = wanted = WantedScene.of(_table([row]))
        now = [see_scene(after[0])]
        outside, floor = None, known.overlap([see_scene(before[0])])
        if change is not None:
            wanted = known.after(change)
            if change.name in ("shape", "rotation"):
                floor = wanted.overlap_in(self.space, now)
            if change.of_the_object:
                outside = outside_psnr(before, after, _exact_mask(row), _exact_mask(row_after(row, change)))
        return judge_scene(after, wanted, outside=outside, floor=floor, seen=now)


@clear_errors
def contract_scene_clips(generator: Generator, factor: str, count: int, clips_seed: int, seed: int) -> SceneClips:
    """The first clips of two objects on which the edit of a factor can be asked for, of either object by chance.

    Args:
        generator: encodes and decodes them.
        factor: of `EDITS`.
        count: how many.
        clips_seed: of the clips.
        seed: of what is asked.
    """
    data = MovingShapes(POOL * count + 64, clips_seed, objects=2)
    names = [spec.name for spec in data.sampler.specs]
    rng = np.random.default_rng([seed, EDITS.index(factor), 2])

    def row_of(index: int) -> SceneRow:
        return left_to_right(dict(zip(names, map(float, data.sampler(index)), strict=True)))

    rows, changes, video = first_asked(data, count, row_of, lambda row: scene_wish(factor, row, rng))
    latents = generator.encode(video)
    return SceneClips(latents, generator.decode(latents).cpu(), rows, changes, generator_space(generator))


@clear_errors
def scene_wish(factor: str, row: SceneRow, rng: np.random.Generator) -> Change | None:
    """What is asked of one of two objects, or of the whole clip; None where it cannot be.

    >>> data = MovingShapes(1, 0, objects=2, fixed={"light": 0.7})
    >>> row = dict(zip((spec.name for spec in data.sampler.specs), data.sampler(0)))
    >>> str(scene_wish("light", row, np.random.default_rng(0)))
    'light by +0.2'
    """
    object = 0 if factor in COMMON else int(rng.integers(2))
    change = wish(factor, object_row(row, object), rng, several=True)
    if change is None:
        return None
    change = replace(change, object=object)
    after = row_after(row, change)
    if factor in ("hue", "background_hue"):
        hues = np.array([after["hue"], after["hue.2"], after["background_hue"]])
        apart = np.abs(angle_difference(hues, np.roll(hues, 1)))
        return change if apart.min() >= APART else None
    before, places = _paths(row), _paths(after)
    inside = (places[object] >= EDGE).all() and (places[object] <= 64 - EDGE).all()
    gap, was = (np.linalg.norm(one[0] - one[1], axis=1).min() for one in (places, before))
    return change if inside and gap >= min(CLEAR, was) else None


@clear_errors
def left_to_right(row: SceneRow) -> SceneRow:
    """A row whose first object is the one further left, in the mean over frames."""
    first, second = (place[:, 0].mean() for place in _paths(row))
    if first <= second:
        return row
    other = {f"{name}{a}": row[f"{name}{b}"] for name in OWN for a, b in (("", SECOND), (SECOND, ""))}
    return {**row, **other, "front": 1 - row["front"]}


@clear_errors
def object_row(row: SceneRow, object: int) -> Float[np.ndarray, " factor"]:
    """The factors of one object, in the order of `FACTORS`."""
    names = [f"{name}{SECOND * object}" if name in OWN else name for name in NAMES]
    if missing := [name for name in names if name not in row]:
        raise KeyError(f"a row of two objects has {', '.join(missing)}, and this one has {', '.join(row)}")
    return np.array([row[name] for name in names])


@clear_errors
def row_after(row: SceneRow, change: Change) -> SceneRow:
    """A row after a change of one object."""
    after = change.after(object_row(row, change.object))
    names = [f"{name}{SECOND * change.object}" if name in OWN else name for name in NAMES]
    return {**row, **dict(zip(names, map(float, after), strict=True))}


@clear_errors
def judged_together(parts: Sequence[Judged]) -> Judged:
    """One of many clips."""
    if not len(parts):
        raise ValueError("nothing was judged")
    off = {name: np.concatenate([part.off[name] for part in parts]) for name in parts[0].off}
    read = FactorTable(np.concatenate([part.read.values for part in parts]), parts[0].read.specs)
    arrays = (np.concatenate([getattr(part, name) for part in parts]) for name in ("outside", "overlap", "floor"))
    return Judged(read, off, *arrays)


def _table(rows: Sequence[SceneRow]) -> FactorTable:
    specs = MovingShapes(1, 0, objects=2).sampler.specs
    return FactorTable(np.array([[row[spec.name] for spec in specs] for row in rows]), specs)


def _paths(row: SceneRow) -> list[Float[np.ndarray, "frame 2"]]:
    return [thing.centre(np.arange(NUM_FRAMES)) for thing in Scene.of(row).objects]


def _exact_mask(row: SceneRow) -> Float[Tensor, "1 1 frame height width"]:
    """Where the objects are in the exact rendering."""
    seen = exposed(replace(Scene.of(row), blur=0.0), np.arange(NUM_FRAMES))[1]
    return torch.from_numpy(sum(seen)).float()[None, None]
