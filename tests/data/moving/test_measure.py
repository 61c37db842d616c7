import numpy as np
import pytest
import torch
import torch.nn.functional as F

from latentlab.data.moving.dataset import HELD_OUT_SEED, MovingShapes, moving_shapes
from latentlab.data.moving.factors import FACTORS, NAMES, SHAPES
from latentlab.data.moving.measure import angle_difference, mask, measure, track
from latentlab.data.moving.moments import polygon_moment
from latentlab.data.moving.render import POLYGONS

COUNT = 40
# 95th-percentile errors allowed on exact renders, and with noise of 4 in 255.
BARS = {
    "hue": (0.01, 1.0), "size": (0.001, 0.08), "start_x": (0.01, 0.04), "start_y": (0.01, 0.04),
    "direction": (0.5, 3.0), "speed": (0.001, 0.005), "rotation": (0.03, 0.15), "background_hue": (0.01, 1.5),
    "light": (1e-4, 0.005),
}  # fmt: skip


@pytest.fixture(scope="module")
def clips():
    return moving_shapes(COUNT, HELD_OUT_SEED)


@pytest.fixture(scope="module")
def read_noisy(clips):
    noise = torch.randn(clips[0].shape, generator=torch.Generator().manual_seed(0)) * (4 / 127.5)
    return measure(clips[0] + noise)


@pytest.fixture(scope="module")
def read_soft(clips):
    return measure(box_blur(clips[0]))


@pytest.fixture(scope="module")
def read(clips):
    return measure(clips[0])


def errors(read, true, name: str) -> np.ndarray:
    circular = true.spec(name).kind == "circular"
    error = np.abs(angle_difference(read[name], true[name]) if circular else read[name] - true[name])
    return error[np.isfinite(error)]


def box_blur(video: torch.Tensor) -> torch.Tensor:
    frames = F.pad(video.transpose(1, 2).flatten(0, 1), (1, 1, 1, 1), mode="replicate")
    return F.avg_pool2d(frames, 3, 1).unflatten(0, (len(video), -1)).transpose(1, 2)


@pytest.mark.parametrize("name", BARS)
def test_reads_exact_and_noisy_clips(name, clips, read, read_noisy):
    assert np.quantile(errors(read, clips[1], name), 0.95) < BARS[name][0]
    assert np.quantile(errors(read_noisy, clips[1], name), 0.95) < BARS[name][1]


def test_reads_every_shape(clips, read, read_noisy, read_soft):
    for table in (read, read_noisy, read_soft):
        np.testing.assert_array_equal(table["shape"], clips[1]["shape"])


def test_soft_clips_keep_their_size_and_motion(clips, read_soft):
    for name in ("hue", "size", "start_x", "speed", "rotation"):
        assert np.quantile(errors(read_soft, clips[1], name), 0.95) < 0.05


def test_flicker_moves_the_light_alone(clips, read):
    gain = 1 + 0.05 * torch.randn(COUNT, 1, 16, 1, 1, generator=torch.Generator().manual_seed(1))
    flickering = measure((clips[0] + 1) * gain - 1)
    for name in set(NAMES) - {"light", "blur", "direction"}:
        np.testing.assert_allclose(flickering[name], read[name], atol=2e-3)
    np.testing.assert_allclose(flickering["light"], clips[1]["light"] * gain.mean((1, 2, 3, 4)).numpy(), rtol=1e-4)


def test_exposure_of_fast_clips():
    video, factors = moving_shapes(24, 4, fixed={"speed": 0.7}, sweep={"blur": [0.0, 1.2, 1.6]})
    blur = measure(video)["blur"]
    assert np.isfinite(blur).all()
    assert np.abs(blur - factors["blur"]).max() < 0.4
    assert np.median(np.abs(blur - factors["blur"])) < 0.15


def test_blur_is_not_read_without_motion():
    assert np.isnan(measure(moving_shapes(3, 0, fixed={"speed": 0, "rotation": 0, "blur": 2})[0])["blur"]).all()


def test_small_object_of_the_background_s_hue():
    same = {"size": 4.5, "hue": 120, "background_hue": 120, "light": 0.5}
    video, factors = moving_shapes(20, 1, fixed=same, sweep={"shape": list(range(5))})
    noise = torch.randn(video.shape, generator=torch.Generator().manual_seed(2)) * (4 / 127.5)
    table = measure(video + noise)
    np.testing.assert_array_equal(table["shape"], factors["shape"])
    assert np.abs(table["size"] - 4.5).max() < 0.15
    assert np.abs(angle_difference(table["hue"], 120)).max() < 3


def test_mirrored_clips_read_mirrored(clips, read):
    mirrored = measure(clips[0].flip(-1))
    known = np.isfinite(read["direction"])
    turned = angle_difference(mirrored["direction"], 180 - read["direction"])[known]
    np.testing.assert_allclose(turned, 0, atol=1e-3)
    np.testing.assert_allclose(mirrored["start_x"], 64 - read["start_x"], atol=1e-5)
    np.testing.assert_allclose(mirrored["rotation"], -read["rotation"], atol=1e-4)
    for name in ("shape", "size", "hue", "speed", "start_y"):
        np.testing.assert_allclose(mirrored[name], read[name], atol=1e-4)


def test_reversed_clips_move_backwards(clips, read):
    backwards = measure(clips[0].flip(2))
    known = np.isfinite(read["direction"])
    np.testing.assert_allclose(angle_difference(backwards["direction"], read["direction"] + 180)[known], 0, atol=1e-2)
    np.testing.assert_allclose(backwards["rotation"], -read["rotation"], atol=1e-3)


def test_scaled_light_scales_the_light_alone(clips, read):
    dim = measure((clips[0] + 1) * 0.9 - 1)
    np.testing.assert_allclose(dim["light"], 0.9 * read["light"], rtol=1e-5)
    for name in ("shape", "hue", "size", "start_x", "speed", "background_hue"):
        np.testing.assert_allclose(dim[name], read[name], atol=1e-3)


def test_clips_are_read_one_by_one(clips, read):
    np.testing.assert_allclose(measure(clips[0][14:17]).values, read.values[14:17], atol=1e-5)


def test_what_a_clip_does_not_show_is_nan():
    nothing = measure(torch.zeros(2, 3, 16, 64, 64))
    assert np.isnan(nothing.values).all()
    assert nothing.names == NAMES
    still = measure(moving_shapes(2, 0, fixed={"speed": 0})[0])
    assert np.isnan(still["direction"]).all()
    assert np.allclose(still["speed"], 0, atol=0.02)
    assert np.isnan(measure(moving_shapes(2, 0, fixed={"shape": 0})[0])["rotation"]).all()


def test_noise_is_no_object():
    noise = 0.03 * torch.randn(3, 3, 16, 64, 64, generator=torch.Generator().manual_seed(0))
    assert np.isnan(measure(noise - 0.4).values).all()


def test_one_frame_has_a_place_but_no_motion(clips):
    video, factors = clips
    table = measure(video[:, :, :1])
    for name in ("speed", "direction", "rotation", "blur"):
        assert np.isnan(table[name]).all()
    assert np.abs(table["start_x"] - factors["start_x"]).max() < 0.1
    assert np.mean(table["shape"] == factors["shape"]) > 0.97


def test_frames_without_the_object_are_passed_over(clips):
    video, factors = clips[0][:8].clone(), clips[1][:8]
    video[:, :, 5:7] = video[:, :, 5:7, :1, :1]
    table = measure(video)
    assert np.abs(table["start_x"] - factors["start_x"]).max() < 0.05
    assert np.isnan(track(video)[:, 5:7]).all()
    assert np.isfinite(track(video)[:, 7:]).all()


def test_mask_and_track_follow_the_object():
    item = MovingShapes(5, seed=3)[4]
    assert (mask(item.video) - item.mask).abs().max() < 0.02
    pixel = torch.arange(64) + 0.5
    area = item.mask.sum((-2, -1))
    x, y = (item.mask.sum(-2) @ pixel) / area, (item.mask.sum(-1) @ pixel) / area
    np.testing.assert_allclose(track(item.video), torch.stack([x, y], -1)[:, 0].numpy(), atol=1e-3)


def test_polygon_moments_agree_with_the_square_s_closed_form():
    assert polygon_moment(POLYGONS["square"], 0) == pytest.approx(1)
    # Mean of x**4 - 6 x**2 y**2 + y**4 over a square of half-side a is (2/5 - 6/9) a**4.
    assert polygon_moment(POLYGONS["square"], 4) == pytest.approx(-4 / 15 * (np.pi / 4) ** 2)
    assert all(abs(polygon_moment(POLYGONS[s], 1)) < 1e-12 for s in SHAPES)


@pytest.mark.parametrize(("a", "b", "expected"), [(10, 350, 20), (350, 10, -20), (180, 0, -180), (725, 0, 5)])
def test_angle_difference_wraps(a, b, expected):
    assert angle_difference(a, b) == expected


@pytest.mark.parametrize(
    ("video", "message"),
    [
        (torch.zeros(3, 16, 64, 64), r"got \(3, 16, 64, 64\); add a batch axis"),
        (torch.zeros(1, 16, 3, 64, 64), "channels second"),
        (torch.zeros(1, 3, 0, 64, 64), "frame"),
        (torch.zeros(1, 3, 16, 32, 64), "64, 64"),
        (torch.full((1, 3, 2, 64, 64), 255.0), "255 to 255; `latentlab.video.from_uint8`"),
        (torch.zeros(1, 3, 2, 64, 64, dtype=torch.uint8), "got torch.uint8 of shape"),
        (torch.full((1, 3, 2, 64, 64), torch.nan), "finite"),
    ],
)
@pytest.mark.parametrize("function", [measure, mask, track])
def test_bad_input_is_refused(function, video, message):
    with pytest.raises(ValueError, match=message):
        function(video)


def test_columns_are_those_of_the_world(read):
    assert read.specs == FACTORS
