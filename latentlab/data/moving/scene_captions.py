"""Captions of scenes: none, one or two objects, changes of motion, a camera.

As in `captions`, a word is used only where it is clearly true. What is left of, above or in front of another is said
where four pixels lie between the two all the time, or where one hides a tenth of the other for a quarter of the clip.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from latentlab.data.moving.captions import (
    FULL_WORDINGS,
    WORDINGS,
    direction_name,
    fill,
    hue_name,
    motion,
    vocabulary,
)
from latentlab.data.moving.factors import NUM_FRAMES, SHAPES
from latentlab.data.moving.render import exposed, place
from latentlab.data.moving.scene import Object, Scene

EMPTY_WORDINGS = (
    "on a {background} background in {light} light",
    "nothing on a {background} background in {light} light",
    "nothing in {light} light on a {background} background",
    "on a {background} background",
    "nothing on a {background} background",
)
PAIR_WORDINGS = (
    "{one} {comma} {relation} {other} on a {background} background in {light} light",
    "{other} {comma2} {reverse} {one} on a {background} background in {light} light",
    "on a {background} background , {one} {comma} {relation} {other} in {light} light",
    "a {hue} {shape} {relation} a {hue2} {shape2}",
    "a {hue2} {shape2} {reverse} a {hue} {shape} on a {background} background",
)
GAP = 4.0  # pixels between two objects of which the order is told
HIDDEN, HIDDEN_FRAMES = 0.1, NUM_FRAMES // 4  # share of an object and number of frames, where what is in front is told
REVERSE = {
    "left of": "right of", "right of": "left of", "above": "below", "below": "above",
    "in front of": "behind", "behind": "in front of", "and": "and",
}  # fmt: skip
SIZES, PAIR_SIZES = (6.0, 7.7), (5.2, 6.2)  # small below, large above; among objects that share the frame


def scene_caption(scene: Scene, wording: int = 0) -> str:
    """Caption of a scene in one of the wordings for as many objects.

    >>> star = Object(3, hue=0, size=5, x=20, y=32, direction=90, speed=0.6, rotation=0, change="stops", change_at=5)
    >>> circle = Object(0, hue=240, size=6.5, x=48, y=32, direction=0, speed=0, rotation=0)
    >>> scene_caption(Scene((star, circle), background_hue=120, light=0.75))
    'a small red star moving up quickly then stops early , left of a large blue circle resting on a green background'
    >>> scene_caption(Scene((), background_hue=240, light=0.75))
    'on a blue background'
    """
    background = " ".join(filter(None, [hue_name(scene.background_hue, tolerance=20), "checked" * scene.checked]))
    light = "dim" if scene.light < 0.65 else "bright" if scene.light > 0.85 else ""
    slots = {"background": background, "light": light}
    if not scene.objects:
        text = fill(EMPTY_WORDINGS[wording], **slots) or "nothing"
    elif len(scene.objects) == 1:
        sizes = PAIR_SIZES if scene.checked else SIZES
        text = fill(WORDINGS[wording], **slots, **_words(scene.objects[0], sizes))
    else:
        text = fill(PAIR_WORDINGS[wording], **slots, **_pair(scene))
    return f"{text} {_camera(scene)}".strip() if wording < FULL_WORDINGS else text


def scene_captions(scene: Scene) -> list[str]:
    """The caption in every wording."""
    return [scene_caption(scene, wording) for wording in range(len(WORDINGS))]


def scene_vocabulary() -> list[str]:
    """Every word that a caption of a scene can hold, sorted."""
    said = "nothing then stops starts turns bounces early late left right of above below in front behind and"
    said += " checked as the camera pans zooms in out"
    return sorted({*vocabulary(), *said.split()})


@lru_cache(maxsize=16)  # every wording asks
def relation(scene: Scene) -> str:
    """Where the first of two objects is to the second, "and" if that is not clear.

    >>> star, circle = (Object(i, 0, 5, x, 32, 0, 0, 0) for i, x in ((3, 20), (0, 48)))
    >>> relation(Scene((star, circle), 0, 1))
    'left of'
    """
    corners = [place(scene, shape, np.arange(NUM_FRAMES)) for shape in scene.objects]
    (low, high), (low2, high2) = ((c.min(1), c.max(1)) for c in corners)
    before, after = (low2 - high).min(0), (low - high2).min(0)  # along x and y, at the closest
    gaps = {"left of": before[0], "above": before[1], "right of": after[0], "below": after[1]}
    word, gap = max(gaps.items(), key=lambda pair: pair[1])
    if gap >= GAP:
        return word
    if gap < 0:
        whole, seen, _ = exposed(replace(scene, blur=0.0), np.arange(NUM_FRAMES))
        behind = 1 - scene.front
        share = 1 - seen[behind].sum((1, 2)) / whole[behind].sum((1, 2))
        if (share >= HIDDEN).sum() >= HIDDEN_FRAMES:
            return "behind" if scene.front else "in front of"
    return "and"


def _words(shape: Object, sizes: tuple[float, float]) -> dict[str, str]:
    """What fills the slots of one object's wordings."""
    size = "small" if shape.size < sizes[0] else "large" if shape.size > sizes[1] else ""
    spins = (
        "" if shape.shape == 0 or abs(shape.rotation) <= 2 else f"spinning {'counter' * (shape.rotation > 0)}clockwise"
    )
    name = {"size": size, "hue": hue_name(shape.hue, tolerance=20), "shape": SHAPES[shape.shape]}
    if shape.change == "none" or shape.speed <= 0.15:
        return name | {"moves": _steady(shape), "spins": spins}
    return name | {"moves": _changing(shape, spins), "spins": ""}


def _steady(shape: Object) -> str:
    """A motion in words."""
    if shape.speed <= 0.15:
        return motion("still" if shape.speed < 0.02 else "", "")
    speed = "slowly" if shape.speed < 0.35 else "quickly" if shape.speed > 0.55 else ""
    return motion(direction_name(shape.direction), speed)


def _changing(shape: Object, spins: str) -> str:
    """A motion and its change, in words."""
    moves = f"{_steady(shape)} {spins}"
    half = "early" if shape.change_at <= 6 else "late" if shape.change_at >= 9 else ""
    if shape.change == "starts":
        return f"resting then starts {half} {moves}"
    if shape.change == "turns":
        return f"{moves} then turns {direction_name((shape.direction + shape.turn) % 360)} {half}"
    return f"{moves} then {shape.change} {half}"


def _pair(scene: Scene) -> dict[str, str]:
    """What fills the slots of two objects' wordings."""
    words, word = [_words(shape, PAIR_SIZES) for shape in scene.objects], relation(scene)
    one, other = (f"a {w['size']} {w['hue']} {w['shape']} {w['moves']} {w['spins']}" for w in words)
    # "moving left , left of" is read as it is meant
    comma, comma2 = ("," if word != "and" and (w["moves"] or w["spins"]) else "" for w in words)
    second = {f"{name}2": value for name, value in words[1].items()}
    told = {"one": one, "other": other, "comma": comma, "comma2": comma2}
    return words[0] | second | told | {"relation": word, "reverse": REVERSE[word]}


def _camera(scene: Scene) -> str:
    if scene.camera.speed:
        return f"as the camera pans {direction_name(scene.camera.direction % 360)}"
    if scene.camera.zoom:
        return f"as the camera zooms {'in' if scene.camera.zoom > 0 else 'out'}"
    return ""
