"""PSNR: decibels by hand."""

import math

import pytest
import torch

from latentlab.metrics.perceptual import psnr


@pytest.mark.parametrize(("error", "decibels"), [(2.0, 0.0), (0.2, 20.0), (2 / 255, 20 * math.log10(255))])
def test_a_constant_error_has_a_ratio_by_hand(error, decibels):
    reference = torch.rand(2, 3, 4, 8, 8, generator=torch.Generator().manual_seed(0)) - 1
    torch.testing.assert_close(psnr(reference + error, reference), torch.full((2,), decibels), atol=1e-3, rtol=0)


def test_equal_clips_are_infinitely_good_and_each_clip_has_its_own():
    reference = torch.zeros(2, 3, 1, 4, 4)
    other = reference.clone()
    other[1] += 0.2
    first, second = psnr(other, reference).tolist()
    assert first == math.inf
    assert second == pytest.approx(20)


def test_it_is_symmetric():
    a, b = torch.rand(2, 1, 3, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(psnr(a, b), psnr(b, a))


def test_other_shapes_are_an_error_and_not_broadcast():
    with pytest.raises(ValueError, match=r"different shapes: \(1, 3, 2, 4, 4\) and \(1, 3, 1, 4, 4\)"):
        psnr(torch.zeros(1, 3, 2, 4, 4), torch.zeros(1, 3, 1, 4, 4))
