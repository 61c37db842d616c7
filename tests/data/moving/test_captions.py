from itertools import pairwise

import numpy as np
import pytest

from latentlab.data.moving.captions import (
    DIRECTIONS,
    HUES,
    WORDINGS,
    caption,
    captions,
    direction_name,
    hue_name,
    true_words,
    vocabulary,
)
from latentlab.data.moving.factors import NAMES, SHAPES, FactorSampler

ITEMS = [FactorSampler(seed=0)(i) for i in range(400)]
STAR = dict(zip(NAMES, [3, 0, 5, 32, 32, 90, 0.6, 5, 240, 1.0, 0], strict=True))


def row(**changes: float) -> np.ndarray:
    return np.array(list({**STAR, **changes}.values()), dtype=float)


def turn(a: float, b: float) -> float:
    return abs((a - b + 180) % 360 - 180)


@pytest.mark.parametrize("factors", ITEMS[:100])
def test_words_are_true(factors):
    f, w = dict(zip(NAMES, factors, strict=True)), true_words(factors)
    assert SHAPES.index(w.shape) == f["shape"]
    for name, degrees in ((w.hue, f["hue"]), (w.background, f["background_hue"])):
        assert not name or turn(60 * HUES.index(name), degrees) <= 20
    assert not w.direction or w.direction == "still" or turn(45 * DIRECTIONS.index(w.direction), f["direction"]) <= 22.5
    assert w.size in {"", "small" if f["size"] < 6.85 else "large"}
    assert w.light in {"", "dim" if f["light"] < 0.75 else "bright"}
    assert w.speed in {"", "slowly" if f["speed"] < 0.45 else "quickly"}
    assert w.spin in {"", "clockwise" if f["rotation"] < 0 else "counterclockwise"}


def test_every_word_of_a_caption_is_in_the_vocabulary_and_every_entry_is_said():
    said = {word for factors in ITEMS for text in captions(factors) for word in text.split()}
    assert said == set(vocabulary())


@pytest.mark.parametrize("wording", range(len(WORDINGS)))
def test_captions_leave_no_holes(wording):
    for factors in ITEMS:
        text = caption(factors, wording)
        assert text == " ".join(text.split())
        assert "{" not in text
        assert not text.endswith((" a", " on", " in", ",", " moving"))
        assert not {("in", "light"), ("a", "background")} & set(pairwise(text.split()))


@pytest.mark.parametrize(
    ("changes", "silent"),
    [
        ({"hue": 30}, "red"),
        ({"background_hue": 270}, "background"),
        ({"size": 7}, "small"),
        ({"light": 0.75}, "bright"),
        ({"speed": 0.1}, "moving"),
        ({"speed": 0.45}, "quickly"),
        ({"rotation": 1}, "spinning"),
        ({"shape": 0}, "spinning"),
    ],
)
def test_what_is_not_clear_is_not_said(changes, silent):
    assert silent in caption(row())
    assert all(silent not in text.split() for text in captions(row(**changes)))


def test_a_still_clip_rests():
    assert "resting" in caption(row(speed=0)).split()


def test_hue_and_direction_wrap():
    assert hue_name(359) == hue_name(719) == "red"
    assert direction_name(-44) == direction_name(316) == "down-right"
