"""Rows of the model card on scenes: nothing there, two objects, motion that changes. `quality.py --only scenes` asks.

Every caption is of a held-out scene, and says all that is asked of its clip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from torch import Tensor

from latentlab.bench.spread import percent
from latentlab.data.moving.captions import hue_name
from latentlab.data.moving.dataset import HELD_OUT_SEED, MovingShapes
from latentlab.data.moving.factors import SHAPES
from latentlab.data.moving.measure import angle_difference, measure
from latentlab.data.moving.scene import CHANGES, Scene
from latentlab.data.moving.scene_captions import relation, scene_caption

HUE = 30  # degrees: half of what lies between two named hues
FULL = 0  # the wording that says everything
Draw = Callable[[list[str]], Tensor]


def scenes(draw: Draw, count: int) -> dict[str, Any]:
    """Percent of `count` captions of each kind whose clip shows what they say; nulls are of objects drawn by chance."""
    empty = [scene_caption(scene, FULL) for scene in told(count, objects=0)]
    pairs = told(count, objects=2, named=True)
    beside = [scene for scene in told(4 * count, objects=2, named=True) if relation(scene) in ("left of", "right of")]
    changing = told(count, objects=1, changes=1.0, half=True)
    nothing = measure(draw(empty), objects=2)["objects"] == 0
    placed = list(zip(beside[:count], both(draw, beside[:count]), strict=True))
    read = measure(draw([scene_caption(scene, FULL) for scene in changing]), objects=2)
    kinds, half = read["change"] == [CHANGES.index(s.objects[0].change) for s in changing], read["change_at"] <= 7
    early = np.array([scene.objects[0].change_at <= 6 for scene in changing])
    chance = 2 * (100 / len(SHAPES) * 1 / 6) ** 2 / 100
    return {
        "captions of a kind": count,
        "empty scenes drawn empty": percent(nothing),
        "two objects: both shapes and both hues on the right one": percent(
            [any(fits(scene, order) for order in rows) for scene, rows in zip(pairs, both(draw, pairs), strict=True)],
            null=chance,
        ),
        "two objects: left and right": percent([in_order(scene, rows) for scene, rows in placed], null=50),
        "motion that changes: which change": percent(kinds, null=25),
        "motion that changes: in the told half": percent((half == early) & (read["change"] > 0), null=50),
    }


def told(count: int, *, named: bool = False, half: bool = False, **options: Any) -> list[Scene]:
    """Held-out scenes whose caption names both hues, or the half of the clip in which the motion changes."""

    def wanted() -> Iterator[Scene]:
        data = MovingShapes(1_000_000, HELD_OUT_SEED, **options)
        for scene in map(data.scene, range(len(data))):
            hues = all(hue_name(shape.hue, tolerance=20) for shape in scene.objects)
            clear = all(s.change in ("stops", "turns") and not 6 < s.change_at < 9 for s in scene.objects)
            if (hues or not named) and (clear or not half):
                yield scene

    return [scene for scene, _ in zip(wanted(), range(count), strict=False)]


def both(draw: Draw, asked: list[Scene]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Shape, hue and place along x of the two objects in each clip, in both orders; NaN where there are not two."""
    read = measure(draw([scene_caption(scene, FULL) for scene in asked]), objects=2)
    rows = np.stack([np.stack([read[f"{n}{end}"] for n in ("shape", "hue", "start_x")], 1) for end in ("", ".2")], 1)
    return [(row, row[::-1]) for row in rows]


def fits(scene: Scene, rows: np.ndarray) -> bool:
    """Whether two objects are those of the scene, in this order."""
    return all(
        row[0] == shape.shape and abs(angle_difference(row[1], shape.hue)) <= HUE
        for shape, row in zip(scene.objects, rows, strict=True)
    )


def in_order(scene: Scene, orders: tuple[np.ndarray, np.ndarray]) -> bool:
    """Whether the objects, told apart by their hues, stand left and right as the caption says."""
    hues = np.array([shape.hue for shape in scene.objects])
    rows = min(orders, key=lambda order: np.nan_to_num(np.abs(angle_difference(order[:, 1], hues)), nan=360).sum())
    return bool(rows[0, 2] < rows[1, 2] if relation(scene) == "left of" else rows[0, 2] > rows[1, 2])
