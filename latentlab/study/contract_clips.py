"""Clips on which the edit of a factor can be asked for, what is asked of each, and whether it was done.

Each is judged twice: against the exact re-rendering in which the target alone is changed, and as an account judges it,
which knows the clips alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from itertools import islice
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from latentlab.data.moving.captions import caption
from latentlab.data.moving.dataset import MovingShapes
from latentlab.data.moving.edits import EDITS
from latentlab.data.moving.factors import FACTORS, NAMES, SHAPES
from latentlab.data.moving.measure import angle_difference
from latentlab.data.moving.measure import mask as matte
from latentlab.data.moving.reader import load_reader
from latentlab.data.moving.render import exposed
from latentlab.data.moving.scene import Scene
from latentlab.generator.generator import Generator
from latentlab.shapes import Latents, Video
from latentlab.study.change import WIDE, Change
from latentlab.study.contract import Judged, Wanted, judge, outside_psnr, unedited_overlap

SLOWEST = 0.15  # pixels a frame: a direction that can be seen
APART = 60.0  # degrees of a new hue from the old one, and from the other one in the clip
POOL = 8  # clips looked at for each that is wanted
FactorsOfClip = TypeVar("FactorsOfClip")  # factors of a clip


@dataclass(frozen=True, eq=False)
class ContractClips:
    """Clips of one factor, and what is asked of each.

    Attributes:
        latents: of the clips.
        unedited: the clips decoded.
        rows: their true factors.
        changes: one a clip.
        space: what it makes of clips without an edit.
    """

    latents: Latents
    unedited: Video
    rows: Float[np.ndarray, "clip factor"]
    changes: tuple[Change, ...]
    space: Callable[[Video], Video]

    @property
    def captions(self) -> list[tuple[str, str]]:
        """Of each clip, and of the clip wanted."""
        return [(caption(row), caption(c.after(row))) for row, c in zip(self.rows, self.changes, strict=True)]

    def outside(self, video: Video) -> Float[np.ndarray, " clip"] | None:
        """Decibels that clips keep outside the exact masks of before and after."""
        if not self.changes[0].of_the_object:
            return None
        after = [c.after(row) for row, c in zip(self.rows, self.changes, strict=True)]
        return outside_psnr(self.unedited, video, _exact_masks(self.rows), _exact_masks(np.stack(after)))

    def exactly_judged(self, video: Video) -> tuple[Bool[np.ndarray, " clip"], Judged]:
        """Whether clips keep the contract by the exact re-rendering and, of the shape, by the learned reader too."""
        found = self.judged(video, Wanted.of(self.rows), self.outside(video))
        shapes = np.array([SHAPES.index(word) for word in load_reader().read_shape(video)])
        wanted = [change.after(row)[0] for row, change in zip(self.rows, self.changes, strict=True)]
        return found.kept & (shapes == wanted), found

    def unedited_kept(self) -> Bool[np.ndarray, " clip"]:
        """Whether clips are kept where nothing is asked and nothing done: what the space breaks."""
        exact = Wanted.of(self.rows)
        return judge(self.unedited, exact, floor=exact.overlap(self.unedited)).kept

    def accounted(self, video: Video) -> Bool[np.ndarray, " clip"]:
        """Whether the account says kept, which knows the clips alone."""
        of_object = self.changes[0].of_the_object
        outside = outside_psnr(self.unedited, video, matte(self.unedited), matte(video)) if of_object else None
        return self.judged(video, Wanted.read(self.unedited), outside).kept

    def judged(self, video: Video, known: Wanted, outside: Float[np.ndarray, " clip"] | None) -> Judged:
        """Against the change of what is known of the clips."""
        each = zip(known.rows, known.centre, known.pose, self.changes, strict=True)
        wanted = _joined([Wanted(row[None], at[None], pose[None]).after(change) for row, at, pose, change in each])
        floor = unedited_overlap(known, wanted, self.unedited, video, self.space)
        return judge(video, wanted, outside=outside, floor=floor)


def contract_clips(generator: Generator, factor: str, count: int, clips_seed: int, seed: int) -> ContractClips:
    """The first clips on which the edit of a factor can be asked for.

    Args:
        generator: encodes and decodes them.
        factor: of `EDITS`.
        count: how many.
        clips_seed: of the clips.
        seed: of what is asked.

    >>> import latentlab as ll
    >>> [str(change) for change in contract_clips(ll.load(), "size", 1, 1, 0).changes]
    ['size times 1.25']
    """
    data = MovingShapes(POOL * count + 64, clips_seed)
    rng = np.random.default_rng([seed, EDITS.index(factor)])
    rows, changes, video = first_asked(data, count, data.sampler, lambda row: wish(factor, row, rng))
    latents = generator.encode(video)
    decoded = generator.decode(latents).cpu()
    return ContractClips(latents, decoded, np.stack(rows), changes, generator_space(generator))


def first_asked(
    data: MovingShapes,
    count: int,
    row_of: Callable[[int], FactorsOfClip],
    ask: Callable[[FactorsOfClip], Change | None],
) -> tuple[tuple[FactorsOfClip, ...], tuple[Change, ...], Video]:
    """The first clips of which something can be asked: their factors, what is asked, and themselves.

    Args:
        data: the clips.
        count: how many.
        row_of: factors of a clip by its number.
        ask: what is asked of a clip with these factors; None where it cannot be.
    """
    asked = ((index, row, change) for index in range(len(data)) if (change := ask(row := row_of(index))) is not None)
    indices, rows, changes = zip(*islice(asked, count), strict=True)
    return rows, changes, torch.cat([data.clip(index) for index in indices])


def generator_space(generator: Generator) -> Callable[[Video], Video]:
    """What a generator gives back of clips that nobody edits."""
    return lambda video: generator.decode(generator.encode(video)).cpu()


def wish(factor: str, row: np.ndarray, rng: np.random.Generator, *, several: bool = False) -> Change | None:
    """What is asked of a clip; None where it cannot be.

    Args:
        factor: of `EDITS`.
        row: factors of the object and its clip.
        rng: draws what there is a choice of.
        several: whether it is one of two objects, which may be anywhere in the frame.

    >>> row = MovingShapes(1, 0, fixed={"light": 0.7}).sampler(0)
    >>> str(wish("light", row, np.random.default_rng(0)))
    'light by +0.2'
    """
    f = dict(zip(NAMES, row, strict=True))
    if factor in ("direction", "speed") and f["speed"] < SLOWEST:
        return None
    match factor:
        case "hue" | "background_hue":
            both = np.array([f["hue"], f["background_hue"]])
            angles = [a for a in range(0, 360, 15) if abs(angle_difference(a, both)).min() >= APART]
            change = Change.of(factor, float(rng.choice(angles)))
        case "light":
            change = Change.of(factor, 0.2, "by")
        case "size":
            change = Change.of(factor, "*1.25", "by")
        case "place":
            change = Change.of(factor, ((5, 0), (-5, 0), (0, 5), (0, -5))[rng.integers(4)], "by")
        case "direction":
            change = Change.of(factor, 90.0, "by")
        case "speed":
            change = Change.of(factor, 0.2, "by")
        case "rotation":
            change = Change.of(factor, 3.0, "by")
        case _:
            change = Change.of(factor, str(rng.choice([s for i, s in enumerate(SHAPES) if i != f["shape"]])))
    try:
        change.check(row, several=several)
    except ValueError:
        return None
    return change if _within(change.after(row), several) else None


def _within(row: np.ndarray, several: bool) -> bool:
    """Whether all factors are in the world's ranges, to the last digit."""
    ranges = [WIDE.get(s.name, (s.low, s.high)) if several else (s.low, s.high) for s in FACTORS]
    return all(
        spec.kind == "circular" or low <= x <= high for spec, (low, high), x in zip(FACTORS, ranges, row, strict=True)
    )


def _joined(parts: Sequence[Wanted]) -> Wanted:
    """One of many clips."""
    return Wanted(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Wanted)))


def _exact_masks(rows: Float[np.ndarray, "clip factor"]) -> Float[Tensor, "clip 1 frame height width"]:
    """Where the object is in exact renderings."""
    scenes = [Scene.of(dict(zip(NAMES, row, strict=True))) for row in rows]
    masks = [exposed(replace(scene, blur=0.0), np.arange(16))[0][0] for scene in scenes]
    return torch.from_numpy(np.stack(masks)).float()[:, None]
