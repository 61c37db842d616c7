import itertools

import numpy as np
import pytest

from latentlab.data.moving.factors import FACTORS, NAMES, SHAPES, SIDE, FactorSampler
from latentlab.data.moving.render import POLYGONS, pixel_coverage, place, polygon_area, render
from latentlab.data.moving.scene import Scene

LIMITS = {f.name: (f.low, f.high) for f in FACTORS}
PLAIN = {
    "shape": 0, "hue": 20, "size": 7, "start_x": 31.3, "start_y": 32.8, "direction": 30, "speed": 0.5,
    "rotation": 0, "background_hue": 200, "light": 0.8, "blur": 0,
}  # fmt: skip


def row(**changes: float) -> np.ndarray:
    return np.array([{**PLAIN, **changes}[name] for name in NAMES], dtype=float)


def scene(factors: np.ndarray) -> Scene:
    return Scene.of(dict(zip(NAMES, factors, strict=True)))


def corners_of(factors: np.ndarray, times: np.ndarray) -> np.ndarray:
    return place(scene(factors), scene(factors).objects[0], times)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.25, 0.5), (0.999, 0.001), (-3.3, 2.7)])
def test_coverage_of_a_shifted_rectangle_is_a_product_of_overlaps(shift):
    x0, y0, x1, y1 = 5.2 + shift[0], 4.1 + shift[1], 9.9 + shift[0], 6.4 + shift[1]
    cells = np.arange(16)
    across, down = (np.clip(np.minimum(b, cells + 1) - np.maximum(a, cells), 0, 1) for a, b in ((x0, x1), (y0, y1)))
    corners = np.array([[[x0, y0], [x1, y0], [x1, y1], [x0, y1]]])
    np.testing.assert_allclose(pixel_coverage(corners, side=16)[0], np.outer(down, across), atol=1e-12)


def test_coverage_does_not_depend_on_the_sense_of_rotation():
    corners = POLYGONS["star"][None] * 7 + 16
    np.testing.assert_allclose(pixel_coverage(corners, 32), pixel_coverage(corners[:, ::-1], 32), atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_polygons_are_centred_and_as_large_as_their_size_says(shape):
    corners = POLYGONS[shape]
    x, y = corners.T
    cross = x * np.roll(y, -1) - y * np.roll(x, -1)
    centroid = ((corners + np.roll(corners, -1, 0)) * cross[:, None]).sum(0) / (6 * polygon_area(corners))
    np.testing.assert_allclose(centroid, 0, atol=1e-12)
    assert abs(polygon_area(corners)) == pytest.approx(np.pi)


@pytest.mark.parametrize("shape", range(len(SHAPES)))
def test_area_is_exact_and_centroid_close_at_any_pose(shape):
    factors = row(shape=shape, size=6.3, rotation=7.1, blur=1.7)
    mask = render(factors).mask
    np.testing.assert_allclose(mask.sum((1, 2)), np.pi * 6.3**2, rtol=1e-9)
    pixel = np.arange(SIDE) + 0.5
    centroid = np.stack([mask.sum(1) @ pixel, mask.sum(2) @ pixel], 1) / (np.pi * 6.3**2)
    assert np.abs(centroid - scene(factors).objects[0].centre(np.arange(16))).max() < 0.03


def test_circle_is_round_to_a_fiftieth_of_a_pixel():
    corners = POLYGONS["circle"] * LIMITS["size"][1]
    middles = (corners + np.roll(corners, 1, 0)) / 2
    radii = np.linalg.norm(np.concatenate([corners, middles]), axis=1)
    assert np.abs(radii - LIMITS["size"][1]).max() < 0.02


def test_colours_are_linear_in_the_mask():
    clip = render(row(shape=3))
    assert clip.mask.min() == 0
    assert clip.mask.max() == 1
    back, front = clip.rgb[clip.mask == 0][0], clip.rgb[clip.mask == 1][0]
    np.testing.assert_allclose(clip.rgb, back + clip.mask[..., None] * (front - back), atol=1e-12)
    assert front.max() == pytest.approx(0.8)
    assert back.max() == pytest.approx(0.8 * 0.6)


def test_light_scales_every_pixel():
    np.testing.assert_allclose(render(row(light=1.0)).rgb, 2 * render(row(light=0.5)).rgb, atol=1e-12)


def test_blur_is_the_average_over_the_exposure():
    factors = row(shape=1, speed=0.75, direction=0, blur=2)
    shifts = 0.75 * 2 * ((np.arange(64) + 0.5) / 64 - 0.5)
    average = np.mean([render(row(shape=1, speed=0.75, direction=0, start_x=31.3 + s)).mask for s in shifts], 0)
    sharp = render(row(shape=1, speed=0.75, direction=0)).mask
    assert np.abs(render(factors).mask - average).max() < 0.1
    assert np.abs(sharp - average).max() > 0.15


@pytest.mark.parametrize("shape", range(len(SHAPES)))
def test_flow_carries_the_corners_of_a_frame_onto_those_of_the_next(shape):
    factors = row(shape=shape, rotation=-5.5, direction=130)
    clip = render(factors)
    corners = corners_of(factors, np.arange(16))
    for t in range(15):
        y, x = np.nonzero(clip.flow[t].any(0))
        here = np.stack([x + 0.5, y + 0.5, np.ones(len(x))], 1)
        motion = np.linalg.lstsq(here, clip.flow[t][:, y, x].T, rcond=None)[0]  # rigid, so affine in the pixel
        moved = corners[t] + np.c_[corners[t], np.ones(len(corners[t]))] @ motion
        np.testing.assert_allclose(moved, corners[t + 1], atol=1e-9)


def test_flow_is_zero_on_the_background():
    clip = render(row())
    assert clip.flow.shape == (15, 2, SIDE, SIDE)
    assert not clip.flow[:, :, clip.mask[:-1].max(0) == 0].any()


def test_frames_asked_for_are_those_of_the_whole_clip():
    factors = row(shape=4, rotation=3, blur=1.2)
    whole, some = render(factors), render(factors, [3, 9])
    np.testing.assert_array_equal(some.rgb, whole.rgb[[3, 9]])
    np.testing.assert_array_equal(some.flow, whole.flow[[3, 9]])


def test_shapes_stay_inside_whatever_the_factors():
    extremes = (
        row(shape=s, size=LIMITS["size"][1], speed=LIMITS["speed"][1], blur=2, start_x=x, start_y=y, direction=d,
            rotation=r)
        for s, x, y, d, r in itertools.product(
            range(5), LIMITS["start_x"], LIMITS["start_y"], range(0, 360, 45), LIMITS["rotation"]
        )
    )  # fmt: skip
    random = (FactorSampler(seed=9)(i) for i in range(500))
    times = np.linspace(-1, 16, 69)  # the longest exposure reaches a frame beyond either end
    for factors in itertools.chain(extremes, random):
        corners = corners_of(factors, times)
        assert corners.min() >= 0
        assert corners.max() <= SIDE
