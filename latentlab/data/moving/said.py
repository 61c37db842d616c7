"""Which words of a caption name which object of a scene, and where that object is seen."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np
from jaxtyping import Float

from latentlab.data.moving.captions import HUES, hue_name
from latentlab.data.moving.factors import SHAPES
from latentlab.data.moving.render import exposed
from latentlab.data.moving.scene import Object, Scene


@dataclass(frozen=True)
class SaidObject:
    """An object that a caption names.

    Attributes:
        words: places of its shape and its hue among the words and commas of the caption.
        seen: share of each pixel in which it is seen, without motion blur.
    """

    words: tuple[int, ...]
    seen: Float[np.ndarray, "frame height width"]


def said_objects(scene: Scene, caption: str, times: Sequence[float] | np.ndarray) -> tuple[SaidObject, ...]:
    """The objects of a scene in the order in which its caption names them; none where it leaves open which is which.

    >>> star = Object(3, hue=0, size=5, x=20, y=32, direction=0, speed=0, rotation=0)
    >>> circle = Object(0, hue=240, size=6, x=48, y=32, direction=0, speed=0, rotation=0)
    >>> scene = Scene((star, circle), background_hue=120, light=0.75)
    >>> said = said_objects(scene, "a blue circle right of a red star", [0.0])
    >>> [one.words for one in said], [bool(one.seen[0, 32, 48]) for one in said]
    ([(2, 1), (7, 6)], [True, False])
    >>> said_objects(scene, "a star and a star", [0.0])
    ()
    """
    words = re.findall(r"[\w-]+|,", caption.lower())
    said = [place for place, word in enumerate(words) if word in SHAPES]
    hues = [words[place - 1] if place and words[place - 1] in HUES else "" for place in said]
    if len(said) != len(scene.objects) or not said:
        return ()
    orders = [
        order
        for order in permutations(range(len(said)))
        if all(_fits(scene.objects[i], words[at], hue) for i, at, hue in zip(order, said, hues, strict=True))
    ]
    if len(orders) != 1:
        return ()
    seen = exposed(replace(scene, blur=0.0), np.asarray(times, dtype=float))[1]
    return tuple(
        SaidObject((at, at - 1) if hue else (at,), seen[i]) for i, at, hue in zip(orders[0], said, hues, strict=True)
    )


def _fits(shape: Object, name: str, hue: str) -> bool:
    """Whether an object may be called by this shape and hue; a hue that is not said fits all."""
    return SHAPES[shape.shape] == name and hue in ("", hue_name(shape.hue))
