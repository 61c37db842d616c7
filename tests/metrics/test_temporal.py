"""Flicker, on clips whose jitter is known."""

import pytest
import torch

from latentlab.metrics.temporal import flicker


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def scene(frames: int = 16, side: int = 32) -> torch.Tensor:
    return normal(1, 3, 1, side, side, seed=9).expand(1, 3, frames, side, side) * 0.3


@pytest.mark.parametrize("jitter", [0.5, 4.0, 12.0])
def test_independent_jitter_of_a_levels_reads_a(jitter):
    measured = flicker(scene() + jitter / 127.5 * normal(1, 3, 16, 32, 32))
    assert measured.overall.item() == pytest.approx(jitter, rel=0.05)
    assert measured.series.mean().item() == pytest.approx(jitter, rel=0.05)


@pytest.mark.parametrize("jitter", [0.5, 4.0])
def test_brightness_jitter_of_a_levels_reads_a(jitter):
    frames = 12_000
    clip = scene(frames, side=4) + jitter / 127.5 * normal(1, 1, frames, 1, 1)
    measured = flicker(clip)
    assert measured.brightness.item() == pytest.approx(jitter, rel=0.05)
    assert measured.overall.item() == pytest.approx(jitter, rel=0.05)


def test_independent_jitter_is_hardly_brightness():
    assert flicker(scene() + 4 / 127.5 * normal(1, 3, 16, 32, 32)).brightness.item() < 0.5


def test_linear_fades_do_not_flicker():
    fade = torch.linspace(-0.5, 0.5, 16).view(1, 1, 16, 1, 1)
    measured = flicker(scene() + fade * torch.tensor([1.0, -0.5, 0.2]).view(1, 3, 1, 1, 1))
    assert measured.overall.item() < 1e-3
    assert measured.brightness.item() < 1e-3
    assert measured.difference.item() > 1


def test_a_sprite_over_a_still_background_does_not_flicker():
    clip = scene().clone()
    for t in range(16):
        clip[0, :, t, 8:16, t : t + 8] = 1.0
    measured = flicker(clip)
    assert measured.overall.item() == 0
    assert measured.brightness.item() == 0
    assert measured.series.abs().max() == 0
    assert measured.difference.item() > 0.5


def test_jitter_is_found_behind_a_sprite():
    clip = scene() + 4 / 127.5 * normal(1, 3, 16, 32, 32)
    for t in range(16):
        clip[0, :, t, 8:12, t : t + 4] = 1.0
    assert flicker(clip).overall.item() == pytest.approx(4, rel=0.1)


def test_the_series_finds_the_frame_that_jumps():
    clip = scene().clone()
    clip[:, :, 7] += 0.2
    series = flicker(clip).series[0]
    assert series.shape == (14,)
    assert series.argmax().item() == 6  # inner frames count from the second
    assert series[[0, 1, 2, 9, 13]].max() == 0


def test_the_plain_difference_is_in_eight_bit_levels():
    clip = (torch.arange(4.0) * 2 / 127.5).view(1, 1, 4, 1, 1).expand(1, 3, 4, 8, 8)
    assert flicker(clip).difference.item() == pytest.approx(2)


def test_clips_of_a_batch_are_measured_one_by_one():
    clips = torch.cat([scene() + a / 127.5 * normal(1, 3, 16, 32, 32, seed=a) for a in (1, 5)])
    both = flicker(clips)
    for i in range(2):
        one = flicker(clips[i : i + 1])
        for name in ("overall", "brightness", "difference", "series"):
            torch.testing.assert_close(getattr(both, name)[i : i + 1], getattr(one, name))


@pytest.mark.parametrize("shape", [(1, 3, 2, 8, 8), (3, 16, 8, 8)])
def test_fewer_than_three_frames_or_other_axes_are_an_error(shape):
    with pytest.raises(ValueError, match="3 or more frames, height, width\\), got"):
        flicker(torch.zeros(shape))
