"""The contract of an edit: its target within a tolerance, and all else within theirs.

One judge for all methods: what is read of the edited clip is held against factors and places that are wanted, which are
those of the exact re-rendering in a benchmark (`benchmarks/contract.py`), and those of the clip itself with the target
changed in an account (`latentlab.study.account`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from latentlab.data.moving.edits import EDITS, PLACE, centre
from latentlab.data.moving.factors import FACTORS, NAMES, NUM_FRAMES
from latentlab.data.moving.measure import angle_difference, mask, measure, track
from latentlab.factors import FactorTable
from latentlab.shapes import Video
from latentlab.study.change import Change

# Degrees, share of the light, share of the size, pixels at every frame, degrees, pixels a frame, -, degrees a frame.
TOLERANCE = {
    "hue": 15.0, "background_hue": 10.0, "light": 0.05, "size": 0.1, "place": 1.5, "direction": 20.0, "speed": 0.08,
    "shape": 0.5, "rotation": 1.0,
}  # fmt: skip
WITHIN = 1 + 1e-4  # tolerances, and what rounding adds
OUTSIDE = 35.0  # decibels that pixels keep outside the object before and after, where the edit is the object's
TURNS = 0.1  # pixels a frame, below which a direction of motion is not judged
GROWN = 2  # pixels around the object that count as it: its edge is soft


@dataclass(frozen=True)
class Wanted:
    """What clips should show.

    Attributes:
        rows: their factors, NaN for what is not judged, such as the rotation of a circle.
        centre: of the object in every frame, pixels from the left and the top.
    """

    rows: Float[np.ndarray, "clip factor"]
    centre: Float[np.ndarray, "clip frame 2"]

    @staticmethod
    def of(rows: Float[np.ndarray, "clip factor"], frames: int = NUM_FRAMES) -> Wanted:
        """What clips of known factors show."""
        known = torch.from_numpy(np.nan_to_num(np.asarray(rows, dtype=float)))
        places = [centre(known, torch.full((len(known),), float(t), dtype=known.dtype)) for t in range(frames)]
        return Wanted(rows, torch.stack(places, 1).numpy())

    @staticmethod
    def read(video: Video) -> Wanted:
        """What clips show now."""
        return Wanted(measure(video).values, track(video))

    def after(self, change: Change, *, strength: float = 1.0) -> Wanted:
        """The same clips with one change."""
        rows = np.stack([change.after(row, strength=strength) for row in self.rows])
        frames = self.centre.shape[1]
        moved = Wanted.of(rows, frames).centre - Wanted.of(self.rows, frames).centre
        if change.name not in ("place", "direction", "speed"):
            moved = np.zeros_like(moved)
        if change.name == "shape":  # a circle that becomes another shape may turn as it likes
            rows[self.rows[:, NAMES.index("shape")] == 0, NAMES.index("rotation")] = np.nan
        return Wanted(rows, self.centre + moved)


@dataclass(frozen=True)
class Judged:
    """How clips keep a contract.

    Attributes:
        read: the factors of the clips.
        off: by the names of `TOLERANCE`, how far each is from what is wanted, in tolerances; NaN where nothing is
            wanted, infinite where it can no longer be read.
        outside: decibels that pixels keep where neither the old nor the new object is; NaN where none are to stay.
    """

    read: FactorTable
    off: dict[str, Float[np.ndarray, " clip"]]
    outside: Float[np.ndarray, " clip"]

    @property
    def kept(self) -> Bool[np.ndarray, " clip"]:
        """Whether all is within its tolerance."""
        all_off = np.stack(list(self.off.values()))
        return ~(all_off > WITHIN).any(0) & ~(self.outside < OUTSIDE) & np.isfinite(all_off).any(0)

    def broken(self, clip: int = 0) -> list[str]:
        """What is not kept in one clip, the worst first."""
        wrong = {name: float(off[clip]) for name, off in self.off.items() if off[clip] > WITHIN}
        names = sorted(wrong, key=lambda name: -wrong[name])
        return [*names, *(["outside"] if self.outside[clip] < OUTSIDE else [])]


def judge(video: Video, wanted: Wanted, *, outside: Float[np.ndarray, " clip"] | None = None) -> Judged:
    """Reads clips and holds them against what is wanted.

    Args:
        video: edited clips.
        wanted: what they should show.
        outside: decibels that they keep outside the object, see `outside_psnr`; None is not judged.

    >>> from latentlab.data import moving_shapes
    >>> red, factors = moving_shapes(1, seed=0, fixed={"hue": 0.0, "background_hue": 120.0})
    >>> blue, _ = moving_shapes(1, seed=0, fixed={"hue": 240.0, "background_hue": 120.0})
    >>> asked = Wanted.of(factors.values).after(Change.of("hue", "blue"))
    >>> judge(red, asked).broken(), judge(blue, asked).kept
    (['hue'], array([ True]))
    """
    read = measure(video)
    off: dict[str, np.ndarray] = {}
    for name in EDITS:
        if name == "place":
            far = np.linalg.norm(track(video) - wanted.centre, axis=2)
            difference = np.where(np.isfinite(far).any(1), np.nanmax(np.nan_to_num(far), 1), np.nan)
            target = wanted.centre[:, 0, 0]
        else:
            target, now = wanted.rows[:, NAMES.index(name)], read[name]
            circular = FACTORS[NAMES.index(name)].kind == "circular"
            difference = np.abs(angle_difference(now, target) if circular else now - target)
            difference = difference / target if name == "size" else difference
        if name == "direction":
            target = np.where(wanted.rows[:, NAMES.index("speed")] < TURNS, np.nan, target)
        if name == "rotation":
            target = np.where(wanted.rows[:, NAMES.index("shape")] == 0, np.nan, target)
        in_tolerances = np.where(np.isfinite(difference), difference / TOLERANCE[name], np.inf)
        off[name] = np.where(np.isfinite(target), in_tolerances, np.nan)
    return Judged(read, off, np.full(len(video), np.nan) if outside is None else outside)


def judge_rest(before: Video, after: Video, targets: Collection[str]) -> Judged:
    """How clips keep all but some factors, which were moved by a strength, so that nobody says to where.

    Args:
        before, after: the clips without and with the edit.
        targets: names of the factors that were moved.

    >>> from latentlab.data import moving_shapes
    >>> same = {"shape": 3, "hue": 0.0, "background_hue": 120.0, "speed": 0.5, "blur": 0.0}
    >>> dark, bright = (moving_shapes(1, seed=0, fixed={**same, "light": light})[0] for light in (0.6, 0.9))
    >>> judge_rest(dark, bright, ["light"]).kept, judge_rest(dark, bright, ["size"]).broken()
    (array([ True]), ['light', 'outside'])
    """
    wanted = Wanted.read(before)
    rows, centre = wanted.rows.copy(), wanted.centre
    rows[:, [NAMES.index(name) for name in targets]] = np.nan
    if {*targets} & {*PLACE, "direction", "speed"}:
        centre = np.full_like(centre, np.nan)
    of_all = {*targets} & {"background_hue", "light"}  # which change pixels everywhere
    outside = None if of_all else outside_psnr(before, after, mask(before), mask(after))
    return judge(after, Wanted(rows, centre), outside=outside)


def outside_psnr(before: Video, after: Video, *objects: Float[Tensor, "clip 1 frame height width"]) -> np.ndarray:
    """Decibels that clips keep where no object is, nor was; infinite where nothing else changed.

    Args:
        before, after: the clips without and with the edit.
        objects: share of each pixel that objects cover, before and after.

    >>> before, covered = torch.zeros(1, 3, 1, 16, 16), torch.zeros(1, 1, 1, 16, 16)
    >>> after, covered = before.clone(), covered.clone()
    >>> after[..., :4], covered[..., :4] = 1.0, 1.0
    >>> outside_psnr(before, after, covered)
    array([inf])
    """
    near = torch.stack([mask.to(before) > 0.01 for mask in objects]).any(0).float()
    side = 2 * GROWN + 1
    far = 1 - F.max_pool3d(near, (1, side, side), 1, (0, GROWN, GROWN))
    error = ((after - before).square().mean(1, keepdim=True) * far).flatten(1).sum(1) / far.flatten(1).sum(1).clamp(
        min=1
    )
    return (10 * torch.log10(4 / error)).cpu().double().numpy()
