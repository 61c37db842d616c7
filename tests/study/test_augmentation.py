"""The study of synthetic slices: its arms, its readers, its nulls."""

import numpy as np
import pytest
import torch
from torch import nn

from latentlab.data import Slices, phantoms
from latentlab.data.phantom import LESION
from latentlab.study.augmentation import ARMS, augmentation_study, nearest, privacy
from latentlab.study.slice_readers import Segmenter, dice_by_tissue, fit_reader, lot, segmentation_loss


@pytest.fixture(scope="module")
def few():
    return phantoms(8, seed=2, size=32)


class Known(nn.Module):
    """Says tissues that it was told."""

    def __init__(self, tissues):
        super().__init__()
        self.tissues = torch.from_numpy(tissues)

    def forward(self, pictures):
        return torch.nn.functional.one_hot(self.tissues[: len(pictures)], LESION + 1).movedim(-1, 1).float()


def test_dice_of_the_truth_is_1_and_of_half_of_a_tissue_two_thirds(few):
    found = dice_by_tissue(Known(few.tissues), few)
    has = np.stack([(few.tissues == k).any((1, 2)) for k in range(1, LESION + 1)], 1)
    assert (found[has] == 1).all()
    assert np.isnan(found[~has]).all()
    half = few.tissues.copy()
    for tissue in half:  # every other pixel of the white matter is taken for air
        rows, columns = np.nonzero(tissue == 4)
        tissue[rows[::2], columns[::2]] = 0
    assert dice_by_tissue(Known(half), few)[:, 3] == pytest.approx(2 / 3, abs=0.01)


def test_a_segmenter_learns_what_it_is_shown(few):
    torch.manual_seed(0)
    network = fit_reader(Segmenter(LESION), segmentation_loss, lot(few), None, augmented=False, steps=40, seed=0)
    assert np.nanmean(dice_by_tissue(network, few)[:, :4]) > 0.5  # of random tissues about 0.2


def test_every_arm_is_scored_and_the_same_seed_gives_the_same(few):
    asked = {"labelled": few, "synthetic": phantoms(4, seed=3, size=32), "fresh": few, "test": few}
    once = list(augmentation_study(**asked, steps=1, seed=1))
    assert [score.arm for score in once] == list(ARMS)
    assert once == list(augmentation_study(**asked, steps=1, seed=1))
    assert all(0 <= score.auroc <= 1 and set(score.dice) <= set(few.names) for score in once)
    arms = {score.arm: score for score in once}
    assert arms["warps and synthetic"] != arms["shuffled masks"]


def test_copies_are_found_and_strangers_are_not(few):
    fresh, seen = phantoms(30, seed=5, size=32), phantoms(30, seed=6, size=32)
    mixed = seen.rows(np.arange(15))
    pixels = np.concatenate([mixed.pictures.pixels, phantoms(15, seed=9, size=32).pictures.pixels])
    half = Slices(
        type(few.pictures)(pixels, np.zeros(30, int), ("a",), "mixed"), np.zeros((30, 32, 32), int), few.names
    )
    found = privacy(half, fresh, [seen])
    assert 0.5 <= found.copies <= 0.6
    assert found.synthetic < found.real


def test_distance_is_of_pictures_in_0_to_1():
    black, white = -torch.ones(1, 1, 4, 4), torch.ones(2, 1, 4, 4)
    assert nearest(black, white).tolist() == [1.0]
