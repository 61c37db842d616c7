"""None, one and two objects read back from exact and from noisy renders."""

import numpy as np
import pytest
import torch

from latentlab.data.moving.dataset import HELD_OUT_SEED, moving_shapes
from latentlab.data.moving.measure import measure
from latentlab.data.moving.measure_scenes import SPECS, measure_scenes, paired
from latentlab.data.moving.paths import read_path
from latentlab.data.moving.scene import CHANGES, Object

COUNT = 16


@pytest.fixture(scope="module")
def clips():
    return moving_shapes(COUNT, HELD_OUT_SEED, objects=(0, 1, 2, 2), changes=0.5)


@pytest.fixture(scope="module")
def read(clips):
    return paired(measure_scenes(clips[0]), clips[1])


def test_objects_are_counted(clips, read):
    np.testing.assert_array_equal(read["objects"], clips[1]["objects"])


@pytest.mark.parametrize("end", ["", ".2"])
def test_both_objects_are_read(clips, read, end):
    true = clips[1]
    for column in (f"shape{end}", f"change{end}", "front"):
        known = np.isfinite(read[column])
        np.testing.assert_array_equal(read[column][known], true[column][known])
    there = np.isfinite(true[f"shape{end}"])
    np.testing.assert_array_equal(np.isfinite(read[f"shape{end}"]), there)
    for name, bar in (("hue", 2), ("size", 0.1), ("start_x", 0.3), ("start_y", 0.3), ("speed", 0.05)):
        off = (read[f"{name}{end}"] - true[f"{name}{end}"])[there]
        assert np.abs((off + 180) % 360 - 180 if name == "hue" else off).max() < bar


def test_noise_of_four_levels_changes_no_count_and_no_shape_that_nothing_hides(clips, read):
    noise = torch.randn(clips[0].shape, generator=torch.Generator().manual_seed(0)) * (4 / 127.5)
    noisy = paired(measure_scenes(clips[0] + noise), clips[1])
    np.testing.assert_array_equal(noisy["objects"], clips[1]["objects"])
    apart = np.isnan(read["front"])
    for name in ("shape", "shape.2"):
        np.testing.assert_array_equal(noisy[name][apart], clips[1][name][apart])


def test_of_one_object_it_says_what_measure_says():
    video, _ = moving_shapes(4, seed=3)
    scenes, one = measure_scenes(video), measure(video)
    for name in ("shape", "hue", "size", "start_x", "start_y", "speed", "rotation", "background_hue", "light"):
        np.testing.assert_allclose(scenes[name], one[name], atol=0.02, rtol=1e-3)


def test_an_empty_clip_has_a_background_and_light_alone():
    video, factors = moving_shapes(2, seed=1, objects=0)
    read = measure_scenes(video)
    for name in ("background_hue", "light"):
        np.testing.assert_allclose(read[name], factors[name], atol=1e-3)
    rest = read.select([s.name for s in SPECS if s.name not in ("objects", "background_hue", "light")])
    assert np.isnan(rest.values).all()


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("at", [4, 8, 11])
def test_a_path_is_read_with_its_change(change, at):
    shape = Object(0, 0, 6, 30, 32, direction=200, speed=0.45, rotation=0, change=change, change_at=at, turn=70)
    path = read_path(shape.centre(np.arange(16.0)), np.full(16, True))
    assert CHANGES[path.change] == change
    assert abs(path.velocity) == pytest.approx(0.45)
    assert np.rad2deg(np.angle(path.velocity)) % 360 == pytest.approx(200)
    if change != "none":
        assert path.change_at == at
    if change == "turns":
        assert path.turn == pytest.approx(70)


def test_measure_is_the_door_to_both(clips, read):
    again = measure(clips[0][:2], objects=2)
    np.testing.assert_array_equal(again["objects"], clips[1]["objects"][:2])
    assert again.specs == SPECS
    with pytest.raises(ValueError, match="got 3"):
        measure(clips[0][:1], objects=3)


@pytest.mark.parametrize("noise", [0.0, 8 / 127.5])
def test_clips_before_a_patterned_ground_are_not_read(noise):
    video, _ = moving_shapes(4, seed=5, objects=(0, 1, 2), camera=1.0)
    video = video + noise * torch.randn(video.shape, generator=torch.Generator().manual_seed(0))
    assert np.isnan(measure_scenes(video).values).all()


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="add a batch axis"):
        measure_scenes(torch.zeros(3, 16, 64, 64))
