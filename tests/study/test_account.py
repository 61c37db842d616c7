"""What edits did, and that masked ones are local."""

import re

import numpy as np
import pytest
import torch

import latentlab as ll
from latentlab.data.moving.dataset import moving_shapes
from latentlab.directions import Direction, blend, leak
from latentlab.spaces import Around
from latentlab.study.account import account
from latentlab.study.change import Change
from latentlab.study.edit_space import edit_space
from latentlab.study.recipe import Recipe
from latentlab.study.steps import Step, draw

BASE = {"shape": 3, "hue": 10.0, "size": 8.0, "speed": 0.5, "background_hue": 200.0, "light": 0.9, "blur": 0.0}


def clip(**changes) -> torch.Tensor:
    return moving_shapes(1, seed=0, fixed={**BASE, **changes})[0]


def test_an_account_says_what_moved_in_its_unit_and_in_standard_deviations():
    said = account(clip(), clip(size=6.0), "size")
    assert said.reading.before == pytest.approx(8)
    assert said.reading.after == pytest.approx(6)
    assert said.reading.moved < -0.5
    assert said.failed == "the target moved the other way"
    assert not any(one.moved > 0.1 for one in said.others)
    assert account(clip(), clip(size=6.0), "size", towards=-1).failed == ""  # as a negative strength should
    assert account(clip(size=6.0), clip(), "size").failed == ""
    assert account(clip(size=6.0), clip(), "size").lines()[1] == "else: nothing moved"


@pytest.mark.parametrize(
    ("changes", "target", "why"),
    [
        ({"size": 6.0}, "hue@240", r"the target did not move: [-+]0\.00 sd"),
        ({"hue": 30.0}, "hue@240", "the target moved the other way|did not move"),
        ({"hue": 240.0}, "hue@240", ""),
        ({"shape": 0}, "shape=star", "the target moved the other way"),
        ({"light": 0.85, "hue": 190.0}, "hue@190", ""),
    ],
)
def test_an_edit_that_did_not_do_what_it_says_has_failed(changes, target, why):
    failed = account(clip(), clip(**changes), target).failed
    assert bool(failed) == bool(why)
    assert re.search(why, failed)


def test_a_star_bent_to_a_blob_is_told_in_words_and_numbers():
    blob = 0.6 * clip(hue=240.0) + 0.4 * clip(hue=240.0, shape=0)
    good, bad = (account(clip(), after, Change.of("hue", 240)) for after in (clip(hue=240.0), blob))
    assert good.kept
    assert not bad.kept
    assert bad.failed.startswith("the shape is bent or turned: a quarter of the clip overlaps the one wanted by 0.1")
    assert "its shape overlaps the one wanted by 0.87, without an edit by 1.00" in bad.lines()
    assert (bad.numbers()["overlap"], bad.numbers()["overlap_unedited"]) == pytest.approx((0.87, 1.0), abs=0.01)
    assert "bent" in account(clip(), blob, "hue@240").failed  # of a strength


def test_what_cannot_be_read_is_told():
    blank = torch.zeros(1, 3, 16, 64, 64)
    assert "cannot be read in the clip" in account(blank, clip(), "hue@240").failed
    lost = account(clip(), blank, "light")
    assert "can no longer be read" in lost.failed
    assert any(line.startswith("no longer readable: ") for line in lost.lines())
    assert lost.numbers()["after"] is None
    with pytest.raises(KeyError, match="no target 'colour'"):
        account(clip(), clip(), "colour")
    with pytest.raises(ValueError, match="an account is of one clip, got 2"):
        account(torch.cat([clip(), clip()]), clip(), "light")


@pytest.fixture(scope="module")
def generator():
    return ll.load()


@pytest.fixture(scope="module")
def brighter(generator):
    """A direction that brightens: from the latents of dim clips to those of bright ones."""
    dim, bright = (generator.encode(clip(light=light)).flatten() for light in (0.6, 0.9))
    move = (bright - dim).numpy()
    return Direction("light", move / np.linalg.norm(move), float(np.linalg.norm(move)))


def left(frames: int = 16, side: int = 64) -> torch.Tensor:
    mask = torch.zeros(1, 1, frames, side, side)
    mask[..., : side // 2] = 1
    return mask


@pytest.mark.parametrize("strength", [1.0, pytest.param(-1.0, marks=pytest.mark.slow)])
def test_a_masked_edit_of_the_shipped_model_is_local(generator, brighter, strength):
    source = clip(light=0.75)
    edited = Recipe("latent", (Step(brighter, strength, mask=left()),)).apply(generator, source)
    change = (edited.video - edited.unedited).abs()
    assert change[..., 34:].max() == 0  # two pixels of feather
    assert change[..., :30].mean() > 0.05
    assert 0.5 < edited.leak < 1.1  # what group norms would have spread
    assert edited.recipe.replay(generator, source).recipe.frames == edited.recipe.frames
    here = edit_space(generator, "latent").around(source)
    assert torch.equal(draw([Step(brighter, strength, mask=left())], here).video.cpu(), edited.video)


def test_steps_without_a_mask_act_everywhere_beside_one_with_a_mask():
    codes, push = torch.zeros(1, 3 * 64), Direction("push", np.full(192, 192**-0.5), 192**0.5)
    shape = (3, 1, 8, 8)

    def decode(z: torch.Tensor) -> torch.Tensor:
        return (z + z.mean()).reshape(1, *shape)

    here = Around(codes, decode, shape)
    drawn = draw([Step(push, 0.25), Step(push, 0.5, mask=left(1, 8))], here)
    assert drawn.video[..., -1].unique().tolist() == pytest.approx([0.5])
    assert drawn.video[..., 0].unique().tolist() == pytest.approx([1.25])
    assert drawn.leak == pytest.approx(0.25 / 0.75)
    assert np.isnan(draw([Step(push, 0.25)], here).leak)


def test_a_blend_is_before_outside_after_inside_and_fades_between():
    before, after = torch.zeros(1, 3, 2, 64, 64), torch.ones(1, 3, 2, 64, 64)
    blended = blend(before, after, left(2))
    assert (blended[..., :30] == 1).all()
    assert (blended[..., 34:] == 0).all()
    assert (blended[0, 0, 0, 0].diff() <= 0).all()
    assert np.isnan(leak(before, after, torch.ones(1, 1, 1, 1, 1)))
    assert leak(before, after, left(2)) == 1
    with pytest.raises(ValueError, match="feather is a number of pixels from 0 on, got -1"):
        blend(before, after, left(2), feather=-1)


def test_of_a_strength_nobody_says_that_its_target_is_reached():
    same = {"shape": 3, "hue": 10, "size": 8, "speed": 0.5, "background_hue": 200, "blur": 0.0}
    dark, bright = (moving_shapes(1, seed=0, fixed={**same, "light": light})[0] for light in (0.6, 0.9))
    assert account(dark, bright, "light").lines()[-1].startswith("kept: the target moved")
    assert account(dark, bright, Change.of("light", 0.3, "by")).lines()[-1].startswith("kept: the target is reached")
