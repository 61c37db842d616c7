"""What an edit of one of two objects did: the account of a clip in which the other one is to stay as it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from latentlab.checks import clear_errors
from latentlab.data.moving.dataset import MovingShapes
from latentlab.data.moving.measure_scenes import SeenScene, see_scene
from latentlab.directions.factor_units import FactorUnits
from latentlab.factors import FactorTable
from latentlab.shapes import OVERSHOOT, Video, check_video
from latentlab.study.account import REFERENCE_SEED, Account, FactorReading, flicker_added
from latentlab.study.change import SECOND, Change
from latentlab.study.contract import outside_psnr
from latentlab.study.contract_scenes import READ, WantedScene, judge_scene, scene_table

REFERENCE = 256  # clips


@clear_errors
def account_scene(
    before: Video,
    after: Video,
    asked: Sequence[Change],
    *,
    seen: SeenScene | None = None,
    space: Callable[[Video], Video] | None = None,
) -> Account:
    """What an edit of one clip of two objects did.

    Args:
        before: the clip without the edit, decoded.
        after: with it.
        asked: the changes, of either object or of the whole clip.
        seen: what the clip shows, if that is known already.
        space: what it makes of clips without an edit: how well it holds a new shape, or an old one in new poses.

    Raises:
        ValueError: not one clip, one that does not show two objects, or no change.

    >>> from latentlab.data import moving_shapes
    >>> both = {"hue": 0.0, "hue.2": 120.0, "background_hue": 240.0, "start_x": 20.0, "start_x.2": 44.0}
    >>> before, yellow, two = (
    ...     moving_shapes(1, seed=0, objects=2, fixed=both | changed)[0]
    ...     for changed in ({}, {"hue": 60.0}, {"hue": 60.0, "hue.2": 180.0})
    ... )
    >>> [account_scene(before, video, [Change.of("hue", 60)]).kept for video in (yellow, two)]
    [True, False]
    """
    if len(before) != 1 or len(after) != 1:
        raise ValueError(f"an account is of one clip, got {len(before)} before and {len(after)} after")
    check_video(OVERSHOOT, before=before, after=after)
    if not len(asked):
        raise ValueError("an account needs a change, got none")
    shown = see_scene(before[0]) if seen is None else seen
    if len(shown.things) != 2:
        raise ValueError(f"an account of two objects is of a clip that shows them; it shows {len(shown.things)}")
    now = see_scene(after[0])
    known = wanted = WantedScene.read([shown])
    for change in asked:
        wanted = wanted.after(change)
    redrawn = space is not None and any(change.name in ("shape", "rotation") for change in asked)
    floor = wanted.overlap_in(space, [now]) if redrawn and space else known.overlap([shown])
    of_objects = all(change.of_the_object for change in asked)
    outside = outside_psnr(before, after, scene_mask(shown), scene_mask(now)) if of_objects else None
    judged = judge_scene(after, wanted, outside=outside, floor=floor, seen=[now])
    ruler, tables = _ruler(), (scene_table(known), judged.read)
    moved = ruler.distances(*tables)[0]
    own = [ruler.names.index(f"{name}{SECOND * one.object}") for one in asked for name in one.columns]
    values = [table.values[0] for table in tables]
    readings = [FactorReading(*one) for one in zip(ruler.specs, *values, moved, strict=True)]
    others = [one for i, one in enumerate(readings) if i not in own]
    others.sort(key=lambda one: -np.nan_to_num(one.moved))
    target = float(scene_table(wanted).values[0, own[0]])
    said, added = ", ".join(map(str, asked)), flicker_added(before, after)
    return Account(said, readings[own[0]], tuple(others), tuple(asked), judged, target, added)


@clear_errors
def scene_mask(*seen: SeenScene) -> Float[Tensor, "clip 1 frame height width"]:
    """Share of each pixel that objects cover."""
    return torch.from_numpy(np.stack([scene.mattes.sum(0).clip(0, 1) for scene in seen])).float()[:, None]


@lru_cache(1)
def _ruler() -> FactorUnits:
    table = MovingShapes(REFERENCE, REFERENCE_SEED, objects=2).factors()
    return FactorUnits.of(FactorTable(np.stack([table[spec.name] for spec in READ], 1), READ))
