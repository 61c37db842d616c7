import numpy as np
import pytest
import torch

from latentlab.data.moving.dataset import HELD_OUT_SEED, TRAIN_SEED, MovingShapes, moving_shapes
from latentlab.data.moving.factors import NAMES


def test_an_item_does_not_depend_on_count_order_or_neighbours():
    few, many = MovingShapes(3, seed=5), MovingShapes(1000, seed=5)
    many[999]
    assert torch.equal(few[2].video, many[2].video)
    np.testing.assert_array_equal(few[2].factors.values, many.factors().values[2:3])


def test_training_and_held_out_clips_differ():
    train, held_out = (MovingShapes(50, seed).factors().values for seed in (TRAIN_SEED, HELD_OUT_SEED))
    assert np.abs(train[:, None] - held_out[None]).sum(-1).min() > 1e-3


def test_parts_of_an_item_belong_together():
    item = MovingShapes(4, seed=2)[3]
    assert item.video.shape == (1, 3, 16, 64, 64)
    assert item.video.dtype == torch.float32
    assert item.mask.shape == (1, 1, 16, 64, 64)
    assert item.flow.shape == (1, 2, 15, 64, 64)
    assert item.video.min() >= -1
    assert item.video.max() <= 1
    background, empty = item.video[..., :1, :1], item.mask == 0
    assert torch.where(empty, item.video - background, 0.0).abs().max() < 1e-6
    size = item.factors["size"][0]
    assert item.mask.sum((-2, -1)).numpy() == pytest.approx(np.pi * size**2, rel=1e-5)


def test_frames_are_slices_of_the_clip():
    data = MovingShapes(2, seed=1)
    assert torch.equal(data.clip(1, frames=[0, 7, 15]), data.clip(1)[:, :, [0, 7, 15]])


def test_caption_is_one_of_the_item_and_pure():
    data = MovingShapes(20, seed=1)
    drawn = [data.caption(i, seed=3) for i in range(20)]
    assert drawn == [data.caption(i, seed=3) for i in range(20)]
    assert all(text in data[i].captions for i, text in enumerate(drawn))
    assert drawn != [data.caption(i, seed=4) for i in range(20)]


def test_moving_shapes_stacks_the_items():
    video, factors = moving_shapes(4, seed=0, sweep={"light": [0.5, 1.0]}, fixed={"shape": 2})
    data = MovingShapes(4, seed=0, sweep={"light": [0.5, 1.0]}, fixed={"shape": 2})
    assert torch.equal(video[3:], data[3].video)
    assert factors.names == NAMES
    assert set(factors["shape"]) == {2.0}
    torch.testing.assert_close(video[1] + 1, 2 * (video[0] + 1))


@pytest.mark.parametrize("index", [-1, 3])
def test_items_beyond_the_end_are_refused(index):
    with pytest.raises(IndexError, match=f"item {index} of a set of 3"):
        MovingShapes(3)[index]


def test_an_empty_set_is_refused():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        MovingShapes(0)
