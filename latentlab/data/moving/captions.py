"""Captions of moving shapes, in several wordings.

A word is used only where it is clearly true: hues within 20 degrees of a named one, sizes and speeds away from the
middle. In between, the caption stays silent, as a person would.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from latentlab.data.moving.factors import NAMES, SHAPES

HUES = ("red", "yellow", "green", "cyan", "blue", "magenta")  # 60 degrees apart, red is 0
DIRECTIONS = ("right", "up-right", "up", "up-left", "left", "down-left", "down", "down-right")  # 45 degrees apart

# Each wording may leave out what it does not want to say; empty slots vanish with their double spaces.
WORDINGS = (
    "a {light} {size} {hue} {shape} {moves} {spins} on a {background} background",
    "a {size} {hue} {shape} on a {background} background {moves} {spins} in {light} light",
    "on a {background} background , a {light} {size} {hue} {shape} {moves} {spins}",
    "a {size} {hue} {shape} {moves}",
    "a {hue} {shape} on a {background} background",
)
WORD_OF = {
    "background_hue": "background",
    "rotation": "spin",
}  # which of `Words` tells a factor, where it has another name
FULL_WORDINGS = 3  # the first ones say everything


@dataclass(frozen=True)
class Words:
    """What may be said of a clip; an empty string where nothing is clearly true."""

    shape: str
    hue: str
    background: str
    size: str
    light: str
    direction: str
    speed: str
    spin: str


def true_words(factors: np.ndarray) -> Words:
    """The words that are true of a clip, from its factors `(factor,)`."""
    f = dict(zip(NAMES, factors, strict=True))
    moves = f["speed"] > 0.15
    return Words(
        shape=SHAPES[int(f["shape"])],
        hue=hue_name(f["hue"], tolerance=20),
        background=hue_name(f["background_hue"], tolerance=20),
        size=_either(f["size"], "small", 6.0, "large", 7.7),
        light=_either(f["light"], "dim", 0.65, "bright", 0.85),
        direction=direction_name(f["direction"]) if moves else "still" if f["speed"] < 0.02 else "",
        speed=_either(f["speed"], "slowly", 0.35, "quickly", 0.55) if moves else "",
        spin="" if f["shape"] == 0 else _either(f["rotation"], "clockwise", -2.0, "counterclockwise", 2.0),
    )


def hue_name(degrees: float, tolerance: float = 30) -> str:
    """Nearest of the six hue names, or "" if it is further away than `tolerance` degrees.

    >>> hue_name(350), hue_name(130), hue_name(30, tolerance=20)
    ('red', 'green', '')
    """
    nearest = round(degrees / 60)
    return HUES[nearest % 6] if abs(degrees - 60 * nearest) <= tolerance else ""


def direction_name(degrees: float) -> str:
    """Nearest of the eight directions.

    >>> direction_name(95), direction_name(350)
    ('up', 'right')
    """
    return DIRECTIONS[round(degrees / 45) % 8]


def caption(factors: np.ndarray, wording: int = 0, *, silent: Collection[str] = ()) -> str:
    """Caption of a clip in one of the `WORDINGS`, which says nothing of the factors in `silent`.

    >>> row = np.array([3, 0, 5, 32, 32, 90, 0.6, 0, 240, 1.0, 0])
    >>> caption(row)
    'a bright small red star moving up quickly on a blue background'
    >>> caption(row, silent=["size", "background_hue"])
    'a bright red star moving up quickly'
    """
    w = replace(true_words(factors), **{WORD_OF.get(name, name): "" for name in silent})
    spins = f"spinning {w.spin}" if w.spin else ""
    slots = {"light": w.light, "size": w.size, "hue": w.hue, "shape": w.shape, "background": w.background}
    return fill(WORDINGS[wording], moves=motion(w.direction, w.speed), spins=spins, **slots)


def motion(direction: str, speed: str) -> str:
    """Direction and speed of a motion in words."""
    return {"": "", "still": "resting"}.get(direction, f"moving {direction} {speed}")


def fill(text: str, **slots: str) -> str:
    """A wording with its slots filled; what stands around an empty one goes with it."""
    if not slots["light"]:
        text = text.replace("in {light} light", "")
    if not slots["background"]:
        text = text.replace("on a {background} background ,", "").replace("on a {background} background", "")
    return " ".join(text.format(**slots).split())


def captions(factors: np.ndarray) -> list[str]:
    """The caption in every wording."""
    return [caption(factors, wording) for wording in range(len(WORDINGS))]


def vocabulary() -> list[str]:
    """Every word that a caption can hold, sorted."""
    fixed = " ".join(WORDINGS).replace("{", " ").replace("}", " ").split()
    slots = {"light", "size", "hue", "shape", "moves", "spins", "background"}
    spoken = ["resting", "moving", "spinning", "clockwise", "counterclockwise"]
    spoken += ["slowly", "quickly", "small", "large", "dim", "bright"]
    fixed_words = {word for word in fixed if word not in slots} | {"light", "background"}
    return sorted(fixed_words | set(spoken) | set(HUES) | set(DIRECTIONS) | set(SHAPES))


def _either(value: float, low_word: str, low: float, high_word: str, high: float) -> str:
    return low_word if value < low else high_word if value > high else ""
