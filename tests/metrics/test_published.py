"""Scores of others: each beside its published definition, written out here in plain NumPy, frame by frame."""

import math
from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from latentlab.metrics.flow import dis, still, warp
from latentlab.metrics.published import (
    evalcrafter_warping_error,
    frame_consistency,
    lai_visible,
    motion_smoothness,
    temporal_flickering,
    tlp,
    tof,
    warping_error,
)
from latentlab.video import from_uint8, to_uint8


def textured(frames: int, height: int, width: int, *, speed: float = 1.5, seed: int = 0) -> torch.Tensor:
    """A pan over a smooth random picture with a square that moves the other way, in whole 8-bit levels."""
    wide = width + int(speed * frames) + 8
    rough = torch.randn(1, 3, height // 6 + 2, wide // 6 + 2, generator=torch.Generator().manual_seed(seed))
    picture = (0.3 * F.interpolate(rough, (height, wide), mode="bicubic")).clamp(-1, 1)
    shift = torch.zeros(frames, 2, height, wide)
    shift[:, 0] = speed * torch.arange(frames)[:, None, None]
    clip = warp(picture.expand(frames, -1, -1, -1), shift)[..., :width]
    for t in range(frames):
        clip[t, :, 10:22, 4 + t : 18 + t] = 0.8
    video = clip.transpose(0, 1)[None].clamp(-1, 1)
    return from_uint8(to_uint8(video))


def pictures(video: torch.Tensor) -> list[np.ndarray]:
    """8-bit RGB frames of one clip."""
    return list(to_uint8(video)[0])


class TestTemporalFlickering:
    def test_it_is_vbench_on_the_same_frames(self):
        video = textured(7, 40, 56)
        frames = [picture[..., ::-1].astype(np.float32) for picture in pictures(video)]  # they read BGR
        differences = [np.mean(np.abs(a - b)) for a, b in pairwise(frames)]
        theirs = (255 - np.mean(differences)) / 255
        assert temporal_flickering(video).item() == pytest.approx(theirs, abs=1e-6)
        assert temporal_flickering(to_uint8(video)).item() == pytest.approx(theirs, abs=1e-6)

    def test_each_clip_has_its_own_number(self):
        clips = torch.cat([textured(5, 40, 40, seed=s) for s in (1, 2)])
        torch.testing.assert_close(temporal_flickering(clips)[1:], temporal_flickering(clips[1:]))

    def test_black_and_white_frames_score_0(self):
        clip = torch.tensor([-1.0, 1.0, -1.0]).view(1, 1, 3, 1, 1).expand(1, 3, 3, 4, 4)
        assert temporal_flickering(clip).item() == 0

    def test_one_frame_or_floats_in_an_array_are_an_error(self):
        with pytest.raises(ValueError, match="needs 2 frames or more"):
            temporal_flickering(torch.zeros(1, 3, 1, 4, 4))
        with pytest.raises(ValueError, match=r"must be uint8 .* got float64 of shape"):
            temporal_flickering(np.zeros((1, 2, 4, 4, 3)))


def resample(image: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """`image` read bilinearly where `flow` points, the edge repeated; `(height, width, channel)`."""
    height, width = image.shape[:2]
    x = (np.arange(width) + flow[..., 0]).clip(0, width - 1)
    y = (np.arange(height)[:, None] + flow[..., 1]).clip(0, height - 1)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    u, v = (x - left)[..., None], (y - top)[..., None]
    upper = (1 - u) * image[top, left] + u * image[top, right]
    return (1 - v) * upper + v * ((1 - u) * image[bottom, left] + u * image[bottom, right])


def seen_by_lai(there: np.ndarray, back: np.ndarray) -> np.ndarray:
    returned = resample(back, there)
    size = (there**2).sum(2)
    occluded = ((there + returned) ** 2).sum(2) > 0.01 * (size + (returned**2).sum(2)) + 0.5
    gradient = np.zeros(there.shape[:2])
    gradient[:, :-1] += ((there[:, :-1] - there[:, 1:]) ** 2).sum(2)
    gradient[:-1] += ((there[:-1] - there[1:]) ** 2).sum(2)
    return ~(occluded | (gradient > 0.01 * size + 0.002))


def flows(a: torch.Tensor, b: torch.Tensor) -> np.ndarray:
    return dis(a[None], b[None])[0].permute(1, 2, 0).double().numpy()


def lai_error(video: torch.Tensor, source: torch.Tensor) -> float:
    """Their evaluation, pair by pair: three-channel mask, squared error over its sum, mean over pairs."""
    frames = ((video[0].permute(1, 2, 3, 0).double() + 1) / 2).numpy()
    guide, errors = source[0].transpose(0, 1), []
    for t in range(len(frames) - 1):
        there, back = flows(guide[t], guide[t + 1]), flows(guide[t + 1], guide[t])
        mask = np.repeat(seen_by_lai(there, back)[..., None], 3, 2)
        difference = (resample(frames[t + 1], there) - frames[t]) * mask
        errors.append((difference**2).sum() / (mask.sum() or difference.size))
    return float(np.mean(errors))


class TestWarpingError:
    def test_it_is_the_definition_of_lai(self):
        video = textured(5, 48, 64)
        assert warping_error(video).item() == pytest.approx(lai_error(video, video), rel=1e-4)

    def test_the_flow_of_the_source_is_followed(self):
        source = textured(5, 48, 64)
        edited = (0.5 * source + 0.2 * torch.randn(source.shape, generator=torch.Generator().manual_seed(0))).clamp(
            -1, 1
        )
        ours = warping_error(edited, source=source).item()
        assert ours == pytest.approx(lai_error(edited, source), rel=1e-4)
        assert abs(ours - warping_error(edited).item()) > 0.01 * ours

    def test_brightness_steps_by_hand(self):
        """0.1 of [-1, 1] is 0.05 of [0, 1]."""
        clip = (0.1 * torch.arange(4.0)).view(1, 1, 4, 1, 1).expand(1, 3, 4, 8, 8)
        assert warping_error(clip, flow=still).item() == pytest.approx(0.0025)

    def test_where_nothing_is_visible_the_error_is_0(self):
        def wild(a, b):
            return 20 * torch.randn(len(a), 2, *a.shape[2:], generator=torch.Generator().manual_seed(0))

        assert warping_error(textured(3, 40, 40), flow=wild).isfinite()

    def test_the_mask_is_that_of_lai(self):
        video = textured(2, 48, 64)[0].transpose(0, 1)
        there, back = dis(video[:1], video[1:]), dis(video[1:], video[:1])
        ours = lai_visible(there, back)[0].numpy()
        theirs = seen_by_lai(flows(video[0], video[1]), flows(video[1], video[0]))
        assert (ours == theirs).mean() > 0.999  # a pixel may lie on the threshold
        assert 0.3 < ours.mean() < 1

    def test_evalcrafter_is_at_half_size_and_sums_the_colours(self):
        video = textured(4, 80, 96)
        half = F.interpolate(video[0].transpose(0, 1), scale_factor=0.5, mode="bilinear", align_corners=False)
        half = half.transpose(0, 1)[None]
        frames, errors = ((half[0].permute(1, 2, 3, 0).double() + 1) / 2).numpy(), []
        for t in range(3):
            there, back = (
                flows(half[0, :, t], half[0, :, t + 1]),
                flows(half[0, :, t + 1], half[0, :, t]),
            )
            mask = seen_by_lai(there, back)
            difference = (resample(frames[t + 1], there) - frames[t]) * mask[..., None]
            errors.append((difference**2).sum() / mask.sum())
        assert evalcrafter_warping_error(video).item() == pytest.approx(float(np.mean(errors)), rel=1e-4)

    def test_one_frame_is_an_error(self):
        with pytest.raises(ValueError, match="2 frames or more, got 1"):
            warping_error(torch.zeros(1, 3, 1, 16, 16))


def teco_crop(image: np.ndarray) -> np.ndarray:
    """The largest multiple of 32 that leaves 16 pixels."""
    sides = []
    for side in image.shape[:2]:
        kept = side // 32 * 32
        while kept > side - 16:
            kept -= 32
        sides.append(slice((side - kept) // 2, (side - kept) // 2 + kept))
    return image[sides[0], sides[1]]


class TestTeco:
    def test_tof_is_the_definition(self):
        video, reference = textured(8, 70, 100, speed=1.5), textured(8, 70, 100, speed=3.0, seed=0)
        grey = [[cv2.cvtColor(p, cv2.COLOR_RGB2GRAY) for p in pictures(clip)] for clip in (video, reference)]
        found = []
        for t in range(3, 6):  # frames 2 to 5 of 8 are kept, and the pairs among them
            ways = [
                cv2.calcOpticalFlowFarneback(g[t - 1], g[t], None, 0.5, 3, 15, 3, 5, 1.2, 0)  # type: ignore[call-overload]
                for g in grey
            ]
            difference = teco_crop(ways[0]) - teco_crop(ways[1])
            found.append(np.sqrt((difference**2).sum(-1)).mean())
        assert tof(video, reference).item() == pytest.approx(float(np.mean(found)), rel=1e-5)
        assert tof(video, video).item() == 0

    @pytest.mark.parametrize(("side", "kept"), [(48, 32), (79, 32), (80, 64), (100, 64), (112, 96)])
    def test_the_crop_leaves_sixteen_pixels(self, side, kept):
        from latentlab.metrics.published import _teco_crop

        assert _teco_crop(torch.zeros(1, side, 48)).shape == (1, kept, 32)
        assert teco_crop(np.zeros((side, 48))).shape == (kept, 32)

    def test_tlp_is_the_definition(self):
        def distance(a, b):
            assert a.shape[2] == 1
            return (a - b).abs().mean((1, 2, 3, 4))

        video, reference = textured(7, 60, 90, seed=1), textured(7, 60, 90, speed=3.0, seed=2)
        x, y = ([teco_crop(f.permute(1, 2, 0).numpy()) for f in c[0].transpose(0, 1)] for c in (video, reference))
        change = [abs(np.abs(x[t] - x[t - 1]).mean() - np.abs(y[t] - y[t - 1]).mean()) for t in (3, 4)]
        assert tlp(video, reference, distance).item() == pytest.approx(100 * float(np.mean(change)), rel=1e-4)

    def test_short_or_small_clips_are_an_error(self):
        for shape in [(5, 48, 48), (6, 47, 48)]:
            with pytest.raises(ValueError, match="6 frames of 48 x 48 pixels or more"):
                tof(torch.zeros(1, 3, *shape), torch.zeros(1, 3, *shape))


class TestFrameConsistency:
    def test_both_means_and_the_curve_by_hand(self):
        """Features at angles 0, 60 and 180 degrees."""
        angles = torch.deg2rad(torch.tensor([0.0, 60.0, 180.0]))

        def features(frames):
            a = angles[frames[:, 0, 0, 0].long()]
            return 3 * torch.stack([a.cos(), a.sin()], 1)

        clip = torch.tensor([0.0, 1.0, 0.0]).view(1, 1, 3, 1, 1).expand(1, 3, 3, 2, 2)
        found = frame_consistency(clip, features)
        assert found.adjacent.item() == pytest.approx(0.5, abs=1e-6)
        assert found.all_pairs.item() == pytest.approx((0.5 + 0.5 + 1) / 3, abs=1e-6)
        torch.testing.assert_close(found.curve, torch.tensor([[0.5, 1.0]]))

    def test_it_is_the_mean_over_pairs(self):
        video = textured(6, 40, 40)

        def features(frames):
            return F.adaptive_avg_pool2d(frames, 4).flatten(1)

        unit = [v / np.linalg.norm(v) for v in features(video[0].transpose(0, 1)).double().numpy()]
        cosine = [[float(a @ b) for b in unit] for a in unit]
        found = frame_consistency(video, features)
        adjacent = [cosine[i][i + 1] for i in range(5)]
        assert found.adjacent.item() == pytest.approx(np.mean(adjacent), abs=1e-6)
        everything = [cosine[i][j] for i in range(6) for j in range(i)]
        assert found.all_pairs.item() == pytest.approx(np.mean(everything), abs=1e-6)
        assert found.low.item() == pytest.approx(np.quantile(adjacent, 0.05), abs=1e-6)
        expected = [np.mean([cosine[i][i + k] for i in range(6 - k)]) for k in range(1, 6)]
        np.testing.assert_allclose(found.curve[0], expected, atol=1e-6)

    def test_one_frame_is_an_error(self):
        with pytest.raises(ValueError, match="2 frames or more, got 1"):
            frame_consistency(torch.zeros(1, 3, 1, 4, 4), lambda frames: frames.flatten(1))


class TestMotionSmoothness:
    @pytest.mark.parametrize("frames", [5, 6, 7, 8])
    def test_it_is_vbench_with_their_cut_to_whole_levels(self, frames):
        """255 - mean |frame - uint8(guess)| over 255, in whole numbers, without any rounding."""
        video = textured(frames, 40, 56)
        shown = [picture.astype(int) for picture in pictures(video)]
        guesses = [(a + b) // 2 for a, b in pairwise(shown[::2])]
        errors = [np.abs(truth - guess).mean() for truth, guess in zip(shown[1::2], guesses, strict=False)]
        theirs = (255 - np.mean(errors)) / 255
        assert motion_smoothness(video, lambda a, b: (a + b) / 2).item() == pytest.approx(theirs, abs=1e-6)

    def test_guesses_between_the_levels_are_cut_as_theirs(self):
        video = textured(9, 40, 56)
        shown = [picture.astype(np.float64) / 255 for picture in pictures(video)]
        guesses = [((0.37 * a + 0.63 * b) * 255 + 1e-9).astype(np.uint8) for a, b in pairwise(shown[::2])]
        errors = [np.abs(255 * truth - guess).mean() for truth, guess in zip(shown[1::2], guesses, strict=True)]
        theirs = (255 - np.mean(errors)) / 255
        assert motion_smoothness(video, lambda a, b: 0.37 * a + 0.63 * b).item() == pytest.approx(theirs, abs=1e-6)

    def test_the_right_guess_scores_1(self):
        video = textured(5, 40, 40)
        frames = video[0].transpose(0, 1)
        assert motion_smoothness(video, lambda a, b: frames[1::2]).item() == 1

    def test_short_clips_are_an_error(self):
        with pytest.raises(ValueError, match="3 frames or more, got 2"):
            motion_smoothness(torch.zeros(1, 3, 2, 4, 4), lambda a, b: a)


@pytest.mark.parametrize(
    "score",
    [
        temporal_flickering,
        warping_error,
        evalcrafter_warping_error,
        lambda v: motion_smoothness(v, lambda a, b: a),
        lambda v: frame_consistency(v, lambda frames: frames.flatten(1)),
        lambda v: tof(v, v),
    ],
)
@pytest.mark.parametrize("bad", [math.nan, 255.0])
def test_another_range_is_an_error(score, bad):
    with pytest.raises(ValueError, match=r"must be (finite|in \[-1, 1\])"):
        score(torch.full((1, 3, 6, 48, 48), bad))


def test_arrays_that_are_no_pictures_are_told():
    with pytest.raises(ValueError, match=r"must be uint8 \(batch, frame, height, width, 3\), got float32"):
        temporal_flickering(np.zeros((1, 4, 8, 8, 3), np.float32))
    with pytest.raises(ValueError, match=r"must be uint8 .*got uint8 of shape"):
        temporal_flickering(np.zeros((1, 3, 4, 8, 8), np.uint8))
    with pytest.raises(ValueError, match="2 frames or more, got 1"):
        temporal_flickering(np.zeros((1, 1, 8, 8, 3), np.uint8))


def test_a_frame_too_small_to_halve_is_told():
    with pytest.raises(ValueError, match="frames of 1 x 8 cannot be halved"):
        evalcrafter_warping_error(torch.zeros(1, 3, 4, 1, 8))
