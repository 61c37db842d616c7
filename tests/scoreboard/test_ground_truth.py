"""Pairs that differ in one factor alone."""

import numpy as np
import pytest
import torch

from latentlab.data.moving.measure import measure
from latentlab.scoreboard.ground_truth import paired_truth


@pytest.mark.parametrize(
    ("target", "moves"),
    [("light", {"light": 0.25}), ("start_x", {"start_x": 5.5}), ("shape=star", {}), ("size", {"size": 2.35})],
)
def test_nothing_else_differs_within_a_pair(target, moves):
    """With the readings themselves as codes; colours and places do not wrap, shapes may go either way."""
    names = ("light", "start_x", "start_y", "size")

    def encode(video):
        table = measure(video)
        return torch.from_numpy(np.stack([table[name] for name in names], 1))

    found = paired_truth(encode, [target], pairs=4)[target]
    expected = [moves.get(name, 0.0) for name in names]
    np.testing.assert_allclose(found, expected, atol=0.03)


def test_an_angle_comes_from_the_opposite_one():
    def encode(video):
        hue = np.deg2rad(measure(video)["hue"])
        return torch.from_numpy(np.stack([np.cos(hue), np.sin(hue)], 1))

    np.testing.assert_allclose(paired_truth(encode, ["hue@90"], pairs=2)["hue@90"], [0, 2], atol=1e-3)


@pytest.mark.parametrize("target", ["hue", "shape", "shape=heart", "light@90", "colour"])
def test_what_is_no_target(target):
    with pytest.raises(ValueError, match="no target"):
        paired_truth(lambda video: video.flatten(1), [target])
