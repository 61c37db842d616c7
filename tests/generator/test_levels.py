"""The levels a solver visits."""

import pytest
import torch

from latentlab.generator.levels import analysis_levels, halved, sampling_levels


@pytest.mark.parametrize("shift", [0.2, 1.0, 3.0, 12.0])
@pytest.mark.parametrize("num_steps", [1, 2, 25])
def test_levels_fall_from_one_to_zero(num_steps, shift):
    levels = sampling_levels(num_steps, shift=shift)
    assert levels.shape == (num_steps + 1,)
    assert levels.dtype == torch.float64
    assert (levels[0].item(), levels[-1].item()) == (1.0, 0.0)
    assert (levels.diff() < 0).all()


def test_without_shift_the_steps_are_equal():
    torch.testing.assert_close(sampling_levels(7).diff(), torch.full((7,), -1 / 7, dtype=torch.float64))


def test_shift_moves_the_middle_as_the_paper_says():
    assert sampling_levels(2, shift=3.0)[1].item() == pytest.approx(0.75)


def test_shifts_multiply():
    """Shifting the signal-to-noise odds (1 - s) / s by 2 and by 3 shifts them by 6."""
    s = sampling_levels(9, shift=2.0)
    torch.testing.assert_close(3 * s / (1 + 2 * s), sampling_levels(9, shift=6.0))


def test_no_steps_is_an_error():
    with pytest.raises(ValueError, match="num_steps must be at least 1, got 0"):
        sampling_levels(0)


@pytest.mark.parametrize("shift", [0.0, -1.0, float("nan")])
def test_a_shift_that_is_not_positive_is_an_error(shift):
    with pytest.raises(ValueError, match="shift must be above 0"):
        sampling_levels(4, shift=shift)


@pytest.mark.parametrize("num_steps", [1, 2, 25])
@pytest.mark.parametrize(("high", "low"), [(1.0, 0.0), (0.9986, 0.0), (0.93, 0.0283)])
def test_levels_for_analysis_are_even_in_the_root(num_steps, high, low):
    levels = analysis_levels(num_steps, high=high, low=low)
    assert levels.dtype == torch.float64
    assert (levels[0].item(), levels[-1].item(), len(levels)) == (high, low, num_steps + 1)
    steps = levels.sqrt().diff()
    torch.testing.assert_close(steps, torch.full_like(steps, (low**0.5 - high**0.5) / num_steps))


@pytest.mark.parametrize(("high", "low"), [(0.5, 0.5), (0.2, 0.5), (1.1, 0.0), (1.0, -0.1)])
def test_levels_that_do_not_fall_within_flow_time_are_an_error(high, low):
    with pytest.raises(ValueError, match=rf"levels lie in \[0, 1\].*high={high}, low={low}"):
        analysis_levels(4, high=high, low=low)


@pytest.mark.parametrize("turn", [0, 1])
def test_half_the_steps_are_twice_as_many(turn):
    levels = sampling_levels(5, shift=3.0)
    levels = levels.flip(0) if turn else levels
    finer = halved(levels)
    assert torch.equal(finer[::2], levels)
    torch.testing.assert_close(finer.diff()[::2], finer.diff()[1::2])
