"""What the explorer says of moved sliders, on clips whose factors are known."""

import pytest
import torch

from latentlab.data import moving_shapes
from latentlab.view.moved import moved_lines

SAME = {"shape": 3, "hue": 10.0, "size": 7.0, "speed": 0.5, "background_hue": 200.0, "blur": 0.0, "light": 0.7}


def clip(**changed) -> torch.Tensor:
    return moving_shapes(1, seed=0, fixed={**SAME, **changed})[0]


def test_two_sliders_are_each_held_to_their_own_factor():
    first, second, *rest = moved_lines(clip(), clip(light=0.9, size=8.5), {"light": 1.5, "size": 1.0})
    assert first.startswith("light: asked +1.5 sd, reached light 0.7 to 0.9")
    assert second.startswith("size: asked +1.0 sd, reached size 7 to 8.5")
    assert rest == ["else: nothing moved", "kept: each target moved, and all else is within its tolerance"]


@pytest.mark.parametrize(
    ("after", "strengths", "said"),
    [
        ({"light": 0.9, "hue": 60.0}, {"light": 1.5}, "hue is out of its tolerance"),
        ({"light": 0.5}, {"light": 1.5}, "light did not move as asked"),
        ({}, {"light": 1.5}, "light did not move as asked"),
        ({"size": 8.5, "background_hue": 240.0}, {"size": 1.0}, "pixels outside the object keep"),
        ({"hue": 100.0}, {"shape=star": 1.0}, "hue is out of its tolerance"),
    ],
)
def test_what_is_not_kept_is_told(after, strengths, said):
    assert said in moved_lines(clip(), clip(**after), strengths)[-1]


def test_the_other_way_is_reached_by_a_negative_strength():
    assert moved_lines(clip(), clip(light=0.5), {"light": -1.5})[-1].startswith("kept")


def test_a_direction_that_names_no_factor_promises_nothing():
    lines = moved_lines(clip(), clip(light=0.9), {"component 1": 1.0})
    assert lines[0] == "component 1: asked +1.0 sd; it names no factor"
    assert lines[1].startswith("else: light 0.7 to 0.9")
    assert len(lines) == 2


def test_nothing_is_said_of_nothing_or_of_clips_that_nobody_reads():
    assert moved_lines(clip(), clip(), {"light": 0.0}) == ()
    assert moved_lines(clip()[..., :32], clip()[..., :32], {"light": 1.0}) == ()
    empty = torch.zeros(1, 3, 16, 64, 64)
    assert moved_lines(empty, empty, {"light": 1.0}) == ()
