"""Slices of heads: their tissues, their noise, and what classical augmentation does to both."""

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_dilation

from latentlab.data import phantoms
from latentlab.data.phantom import LESION, TISSUES, WHITE
from latentlab.data.template import template_slices
from latentlab.data.warps import recoloured, warped
from latentlab.study.slice_readers import lot


@pytest.fixture(scope="module")
def slices():
    return phantoms(40, seed=7)


def test_a_slice_does_not_depend_on_how_many_are_drawn(slices):
    few = phantoms(3, seed=7)
    assert np.array_equal(few.pictures.pixels, slices.pictures.pixels[:3])
    assert np.array_equal(few.tissues, slices.tissues[:3])
    assert not np.array_equal(phantoms(3, seed=8).tissues, few.tissues)
    assert slices.rows(range(3)).identity == few.identity


def test_every_head_has_each_tissue_and_about_half_have_a_lesion_amid_white_matter(slices):
    for tissue in range(1, WHITE + 1):
        assert (slices.tissues == tissue).any((1, 2)).all(), TISSUES[tissue - 1]
    sick = slices.pictures.labels == 1
    assert 10 <= sick.sum() <= 30
    assert np.array_equal(sick, (slices.tissues == LESION).any((1, 2)))
    for tissue in slices.tissues[sick]:
        around = tissue[binary_dilation(tissue == LESION)]
        assert (around == WHITE).any()
        assert (around > 1).all()  # neither air nor bone


def test_tissues_are_as_bright_as_on_t1(slices):
    pictures = slices.pictures.pixels[..., 0].astype(float)
    fluid, grey, white = (np.median(pictures[slices.tissues == k]) for k in (2, 3, 4))
    assert fluid < grey < white


def test_noise_in_air_has_the_distribution_of_rayleigh(slices):
    corners = slices.pictures.pixels[:, :6, :6, 0].astype(float)
    ratio = corners.mean((1, 2)) / corners.std((1, 2))
    assert np.mean(ratio) == pytest.approx((np.pi / (4 - np.pi)) ** 0.5, rel=0.05)  # mean over deviation


def test_warps_carry_the_tissues_with_the_picture(slices):
    tissues = torch.from_numpy(slices.tissues)
    as_picture = tissues[:, None].float() / LESION * 2 - 1
    moved, carried = warped(as_picture, tissues, np.random.default_rng(0))
    again, _ = warped(as_picture, tissues, np.random.default_rng(0))
    assert torch.equal(moved, again)
    read = ((moved[:, 0] + 1) / 2 * LESION).round()
    assert (read == carried).float().mean() > 0.93  # between tissues the picture blends
    assert (carried == tissues).float().mean() < 0.93


def test_other_scanners_keep_the_anatomy(slices):
    pictures, tissues = lot(slices)
    seen = recoloured(pictures, np.random.default_rng(0))
    assert seen.min() >= -1
    assert seen.max() <= 1
    medians = [seen[:, 0][tissues == k].median() for k in (2, 3, 4)]
    assert medians == sorted(medians)
    assert (seen - pictures).abs().mean() > 0.05


@pytest.mark.parametrize(("count", "size"), [(0, 64), (1, 16)])
def test_what_cannot_be_drawn_is_refused(count, size):
    for draw in (phantoms, template_slices):
        with pytest.raises(ValueError, match=f"got {count} of {size}"):
            draw(count, size=size)


def test_slices_of_the_template_hold_brains():
    pytest.importorskip("nilearn")
    slices = template_slices(6, seed=0, size=32)
    assert not (slices.tissues == 1).any()  # no skull
    assert all((slices.tissues == k).any((1, 2)).all() for k in (2, 3, 4))
    pictures = slices.pictures.pixels[..., 0].astype(float)
    fluid, grey, white = (np.median(pictures[slices.tissues == k]) for k in (2, 3, 4))
    assert fluid < grey < white
