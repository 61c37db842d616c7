"""Conditions: batches of caption tokens."""

import pytest
import torch

from latentlab.generator.condition import Condition


def condition(count: int) -> Condition:
    return Condition(torch.arange(count * 6.0).view(count, 3, 2), torch.tensor([[True, True, False]] * count))


def test_one_caption_serves_all_clips():
    wide = condition(1).expand(4)
    assert len(wide) == 4
    assert all(torch.equal(wide.tokens[i], condition(1).tokens[0]) for i in range(4))
    assert wide.mask.shape == (4, 3)


def test_one_caption_for_each_clip_stays_as_it_is():
    given = condition(3)
    assert given.expand(3) is given


def test_any_other_number_is_an_error_that_says_both():
    with pytest.raises(ValueError, match="2 captions for 3 clips"):
        condition(2).expand(3)


def test_slices_and_cat_undo_each_other():
    whole = condition(5)
    again = Condition.cat([whole[:2], whole[2:]])
    assert torch.equal(again.tokens, whole.tokens)
    assert torch.equal(again.mask, whole.mask)


def test_the_dtype_is_of_the_tokens_alone():
    moved = condition(2).to(torch.device("cpu"), torch.bfloat16)
    assert moved.tokens.dtype == torch.bfloat16
    assert moved.mask.dtype == torch.bool
