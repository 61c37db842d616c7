"""Single frames: their factors are what the frame shows."""

import numpy as np
import torch

from latentlab.data.moving.dataset import moving_shapes
from latentlab.data.moving.frames import FRAME_FACTORS, factors_at, moving_frames
from latentlab.data.moving.measure import measure, track


def test_places_are_those_of_the_track():
    video, factors = moving_shapes(4, seed=5, fixed={"rotation": 0, "blur": 0})
    centres = track(video)
    for time in (0, 7, 15):
        found = factors_at(factors, np.full(4, time))
        np.testing.assert_allclose(np.stack([found["x"], found["y"]], 1), centres[:, time], atol=0.05)


def test_frames_show_their_factors():
    video, factors = moving_frames(6, seed=1)
    read = measure(video)
    np.testing.assert_allclose(read["light"], factors["light"], atol=1e-3)
    np.testing.assert_allclose(read["start_x"], factors["x"], atol=0.05)
    assert factors.names == tuple(spec.name for spec in FRAME_FACTORS)
    for spec in FRAME_FACTORS:
        assert ((spec.low <= factors[spec.name]) & (factors[spec.name] <= spec.high)).all()


def test_a_frame_depends_on_its_place_and_the_seed_alone():
    video, factors = moving_frames(3, seed=2)
    longer, more = moving_frames(5, seed=2)
    assert torch.equal(longer[:3], video)
    np.testing.assert_array_equal(more.values[:3], factors.values)
    assert not torch.equal(moving_frames(3, seed=3)[0], video)
