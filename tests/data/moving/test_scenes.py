"""Worlds of none, one and two objects: what is drawn, that it is where it is said to be, and that old clips stay."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from latentlab.data.moving.dataset import MovingShapes, moving_shapes
from latentlab.data.moving.factors import NAMES, SIDE
from latentlab.data.moving.render import place, render
from latentlab.data.moving.scene import CHANGES, Camera, Object, Scene
from latentlab.data.moving.scenes import SceneSampler
from latentlab.video import to_uint8

STAR = Object(3, hue=0, size=6, x=24, y=30, direction=0, speed=0.5, rotation=0)
SQUARE = Object(1, hue=120, size=6, x=30, y=33, direction=0, speed=0, rotation=0)
ALL = {"objects": (0, 1, 2), "changes": 0.5, "camera": 0.3}


@pytest.fixture(scope="module")
def world() -> MovingShapes:
    return MovingShapes(300, seed=4, **ALL)


def test_old_calls_give_the_old_clips():
    old = np.load(Path(__file__).with_name("clips_of_0_1_0.npz"))
    video, factors = moving_shapes(2, seed=5)
    assert np.abs(to_uint8(video).astype(int) - old["frames"]).max() <= 1
    np.testing.assert_allclose(factors.values, old["factors"], rtol=1e-12)
    assert factors.names == NAMES


def test_an_item_depends_on_seed_and_index_alone(world):
    forwards = [world.sampler(i) for i in range(8)]
    again = SceneSampler(4, **ALL)
    np.testing.assert_array_equal(forwards, [again(i) for i in reversed(range(8))][::-1])
    assert not np.array_equal(forwards, [SceneSampler(5, **ALL)(i) for i in range(8)], equal_nan=True)


def test_one_object_is_drawn_as_it_always_was():
    mixed, alone = (MovingShapes(60, seed=1, objects=n).factors() for n in ((0, 1, 2), 1))
    single = mixed["objects"] == 1
    assert 10 < single.sum() < 30
    np.testing.assert_array_equal(mixed.select(NAMES).values[single], alone.values[single])


def test_the_table_knows_what_is_there(world):
    table = world.factors()
    count = table["objects"]
    assert all(60 < (count == n).sum() < 140 for n in (0, 1, 2))
    np.testing.assert_array_equal(np.isfinite(table["shape"]), count > 0)
    np.testing.assert_array_equal(np.isfinite(table["hue.2"]), count == 2)
    np.testing.assert_array_equal(np.isfinite(table["front"]), count == 2)
    np.testing.assert_array_equal(np.isfinite(table["change_at"]), table["change"] > 0)
    np.testing.assert_array_equal(np.isfinite(table["camera_speed"]), table["pattern"] == 1)
    changes, pattern = table["change"][count > 0] > 0, table["pattern"] == 1
    assert changes.mean() == pytest.approx(0.5, abs=0.12)
    assert pattern.mean() == pytest.approx(0.3, abs=0.1)
    for spec in table.specs:
        values = table[spec.name][np.isfinite(table[spec.name])]
        assert spec.low <= values.min() <= values.max() <= spec.high


def test_hues_of_two_objects_are_told_apart(world):
    table = world.factors()
    apart = np.abs((table["hue.2"] - table["hue"] + 180) % 360 - 180)
    assert np.nanmin(apart) >= 60


def test_paths_stay_inside_the_frame(world):
    times = np.linspace(-1, 16, 35)
    for i in range(len(world)):
        scene = world.scene(i)
        for shape in scene.objects:
            corners = place(scene, shape, times)
            assert corners.min() >= 0
            assert corners.max() <= SIDE


def test_objects_keep_apart_or_meet():
    sampler = SceneSampler(2, objects=(2,))
    frames = np.arange(16)
    near = []
    for i in range(200):
        one, other = sampler.scene(i).objects
        near.append(np.linalg.norm(one.centre(frames) - other.centre(frames), axis=1).min())
    near = np.array(near)
    assert near.min() > 5.5  # neither ever hides the other
    assert np.mean(near < 10) == pytest.approx(0.3, abs=0.1)
    assert np.median(near) > 21


def test_what_is_asked_for_is_given():
    fixed = {"objects": 2, "hue.2": 240, "change": 2, "change_at": 5}
    table = MovingShapes(6, objects=(0, 2), changes=0.5, fixed=fixed, sweep={"size.2": [5.0, 6.0]}).factors()
    for name, value in fixed.items():
        assert set(table[name]) == {float(value)}
    np.testing.assert_array_equal(table["size.2"], [5, 6] * 3)
    rest = [name for name in table.names if name != "size.2"]
    np.testing.assert_array_equal(table[::2].select(rest).values, table[1::2].select(rest).values)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objects": 3}, r"got \(3,\)"),
        ({"objects": ()}, r"got \(\)"),
        ({"objects": 2, "changes": 1.5}, "changes must be a share of 0 to 1, got 1.5"),
        ({"objects": 2, "fixed": {"zoom": 1}}, "no factor 'zoom'"),
        ({"objects": 0, "fixed": {"hue": 1}}, "no factor 'hue'"),
        ({"objects": 2, "fixed": {"front": 0.5}}, "whole number, the index into first, second"),
        ({"objects": 2, "correlated": {("start_x", "hue"): 0.5}}, "start_x"),
    ],
)
def test_bad_requests_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MovingShapes(3, **options)


@pytest.mark.parametrize("front", [0, 1])
def test_the_overlap_of_two_squares_is_a_product_of_lengths(front):
    one = replace(SQUARE, x=30.3, y=30.6)
    clip = render(Scene((one, SQUARE), 200, 1.0, front=front))
    side = np.sqrt(np.pi) * 6
    hidden = (side - abs(one.x - SQUARE.x)) * (side - abs(one.y - SQUARE.y))
    near, far = clip.layers[front], clip.layers[1 - front]
    assert (near.depth, far.depth) == (0, 1)
    np.testing.assert_allclose(near.seen, near.whole)
    np.testing.assert_allclose(far.whole.sum((1, 2)), side**2)
    # Only the two pixels in which edges cross are not exact.
    np.testing.assert_allclose(far.whole.sum((1, 2)) - far.seen.sum((1, 2)), hidden, atol=0.02)
    np.testing.assert_allclose(clip.mask, clip.layers[0].seen + clip.layers[1].seen)


def test_what_is_in_front_is_what_is_seen():
    for front, channel in ((0, 0), (1, 1)):  # the star is red, the square green
        clip = render(Scene((STAR, SQUARE), 240, 1.0, front=front))
        both = (clip.layers[0].whole > 0.999) & (clip.layers[1].whole > 0.999)
        assert both[5].sum() > 10
        assert (clip.rgb[both].argmax(-1) == channel).all()


def test_visible_masks_share_the_frame_out(world):
    for i in np.nonzero(world.factors()["objects"] == 2)[0][:12]:
        scene = world.scene(i)
        clip = render(scene)
        total = sum(layer.seen for layer in clip.layers)
        assert total.max() <= 1 + 1e-9
        assert min(layer.seen.min() for layer in clip.layers) >= -1e-9
        for shape, layer in zip(scene.objects, clip.layers, strict=True):
            area = np.pi * shape.size**2 * scene.camera.scale(np.arange(16)) ** 2
            np.testing.assert_allclose(layer.whole.sum((1, 2)), area, rtol=1e-2 if scene.blur else 1e-9)


def test_an_empty_scene_is_its_background():
    video = moving_shapes(3, objects=0)[0]
    assert (video == video[..., :1, :1]).all()
    item = MovingShapes(3, objects=0)[1]
    assert not item.mask.any()
    assert not item.flow.any()
    assert item.layers == ()


@pytest.mark.parametrize("change", CHANGES[1:])
def test_a_motion_changes_at_its_frame(change):
    shape = replace(STAR, rotation=4, change=change, change_at=6, turn=90)
    step = np.diff(shape.centre(np.arange(16.0)), axis=0)
    turned = np.diff(np.rad2deg(shape.angle(np.arange(16.0))))
    moving, still, up, back = [0.5, 0], [0, 0], [0, -0.5], [-0.5, 0]
    before, after = {"stops": (moving, still), "starts": (still, moving), "turns": (moving, up)}.get(
        change, (moving, back)
    )
    np.testing.assert_allclose(step[:6], [before] * 6, atol=1e-12)
    np.testing.assert_allclose(step[6:], [after] * 9, atol=1e-12)
    rests = {"stops": slice(6, None), "starts": slice(0, 6)}.get(change, slice(0, 0))
    assert (turned[rests] == 0).all()
    mask = render(Scene((shape,), 0, 1)).mask
    centroid = mask.sum(1) @ (np.arange(SIDE) + 0.5) / mask.sum((1, 2))
    np.testing.assert_allclose(centroid, shape.centre(np.arange(16.0))[:, 0], atol=0.03)


def test_a_camera_that_pans_by_a_pixel_shifts_the_picture_by_a_pixel():
    clip = render(Scene((SQUARE,), 200, 0.8, checked=True, camera=Camera(direction=180, speed=1)))
    np.testing.assert_allclose(clip.rgb[1:, :, 1:], clip.rgb[:-1, :, :-1], atol=1e-12)
    np.testing.assert_allclose(clip.flow, np.broadcast_to([[[1.0]], [[0.0]]], clip.flow.shape), atol=1e-12)


def test_a_zoom_enlarges_about_the_middle():
    camera = Camera(zoom=1.0)
    clip = render(Scene((), 200, 1.0, checked=True, camera=camera))
    grown = np.exp(0.01) - 1
    pixel = np.arange(SIDE) + 0.5 - SIDE / 2
    np.testing.assert_allclose(clip.flow[:, 0], np.broadcast_to(grown * pixel, (15, SIDE, SIDE)), atol=1e-12)
    np.testing.assert_allclose(clip.flow[:, 1], np.broadcast_to(grown * pixel[:, None], (15, SIDE, SIDE)), atol=1e-12)


def test_squares_of_the_background_fill_half_of_it():
    still = render(Scene((), 200, 1.0, checked=True)).rgb[0]
    levels = np.unique(still[..., 0].round(9), return_counts=True)[1]
    assert list(levels) == [SIDE**2 / 2] * 2


def test_a_frame_moved_by_its_flow_is_the_next_one_where_both_are_seen(world):
    compared = 0
    for i in np.nonzero((world.factors()["objects"] == 2) & (world.factors()["pattern"] == 0))[0][:6]:
        clip = render(replace(world.scene(i), blur=0.0))
        y, x = np.mgrid[:SIDE, :SIDE]
        for t in (2, 9):
            for layer in clip.layers:
                to_x, to_y = x + clip.flow[t][0], y + clip.flow[t][1]
                inside = (to_x >= 0) & (to_x < SIDE - 1) & (to_y >= 0) & (to_y < SIDE - 1)
                whole = (layer.seen[t] > 1 - 1e-9) & inside & (bilinear(layer.seen[t + 1], to_x, to_y) > 1 - 1e-9)
                moved = np.stack([bilinear(clip.rgb[t + 1, ..., c], to_x, to_y) for c in range(3)], -1)
                np.testing.assert_allclose(moved[whole], clip.rgb[t][whole], atol=1e-7)
                compared += whole.sum()
    assert compared > 500


def bilinear(image: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    left, top = np.clip(np.floor(x).astype(int), 0, SIDE - 2), np.clip(np.floor(y).astype(int), 0, SIDE - 2)
    a, b = x - left, y - top
    rows = [(1 - a) * image[top + d, left] + a * image[top + d, left + 1] for d in (0, 1)]
    return (1 - b) * rows[0] + b * rows[1]


def test_frames_asked_for_are_those_of_the_whole_clip(world):
    for i in range(4):
        whole, some = render(world.scene(i)), render(world.scene(i), [3, 9])
        np.testing.assert_array_equal(some.rgb, whole.rgb[[3, 9]])
        np.testing.assert_array_equal(some.flow, whole.flow[[3, 9]])


def test_a_mask_without_its_clip_is_that_of_the_item(world):
    for i in range(3):
        item = world[i]
        np.testing.assert_array_equal(world.mask(i), item.mask)
        np.testing.assert_array_equal(world.mask(i, frames=[4, 9]), item.mask[:, :, [4, 9]])
