"""Conditions: batches of caption tokens."""

from dataclasses import replace

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


def test_any_part_may_be_absent():
    labels = Condition(extras={"class": torch.tensor([3, 4])})
    assert len(labels) == 2
    assert labels[1:].extras["class"].tolist() == [4]
    assert Condition.cat([labels, labels]).extras["class"].tolist() == [3, 4, 3, 4]
    assert Condition.from_tensors(labels.tensors()).extras["class"].tolist() == [3, 4]
    with pytest.raises(ValueError, match=r"no 'tokens', which this model reads; it holds class"):
        _ = labels.tokens
    with pytest.raises(ValueError, match="no 'class'"):
        Condition.cat([labels, condition(1)])


def test_nothing_said_is_said_of_as_many_clips():
    nothing = Condition().expand(5)
    assert [len(nothing), len(nothing[3:]), len(Condition.cat([nothing, nothing]))] == [5, 2, 10]
    assert nothing.tensors() == {}
    with pytest.raises(ValueError, match="2 captions for 3 clips"):
        nothing[3:].expand(3)


def test_all_tokens_count_where_no_mask_is_given():
    assert Condition(torch.zeros(2, 3, 4)).mask.tolist() == [[True] * 3] * 2


def test_parts_are_replaced_one_by_one_and_older_names_work():
    both = replace(condition(2), extras={"image": torch.ones(2, 1)}, negative=condition(1))
    assert list(both.parts) == ["tokens", "mask", "image"]
    other = replace(both, tokens=-both.tokens)
    assert torch.equal(other.tokens, -both.tokens)
    assert list(other.extras) == ["image"]
    assert other.negative is both.negative
    older = replace(condition(2), more={"image": torch.ones(2, 1)}, against=condition(1))
    assert older.more.keys() == both.extras.keys()
    assert len(older.against) == 1
    assert both.expand(2).negative.tokens.shape == (2, 3, 2)
