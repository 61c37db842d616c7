"""The levels a solver visits."""

import pytest
import torch

from latentlab.generator.levels import sampling_levels


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
