"""Masks, and their way to the grid of latents."""

import numpy as np
import pytest
import torch

from latentlab.control import masks
from latentlab.data import MovingShapes
from latentlab.generator.grid import to_grid
from latentlab.video import write


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("ratio", [4, 8])
def test_a_frame_touches_the_latent_that_holds_it_and_no_other(ratio):
    latents = 6
    for frame in range(1 + ratio * (latents - 1)):
        mask = torch.zeros(1, 1, 1 + ratio * (latents - 1), 8, 8)
        mask[:, :, frame, 3, 5] = 1
        own = 0 if frame == 0 else 1 + (frame - 1) // ratio  # frame 0 alone, then groups of `ratio`
        assert to_grid(mask, (latents, 1, 1)).flatten().nonzero().flatten().tolist() == [own]


def test_frames_coded_one_by_one_keep_their_masks():
    mask = draw(1, 1, 5, 16, 24)
    found = to_grid(mask, (5, 2, 3))
    assert torch.equal(found[0, 0, 3, 1, 2], mask[0, 0, 3, 8:, 16:].max())


@pytest.mark.parametrize(("frames", "latents"), [(8, 2), (8, 1), (1, 1)])
def test_frames_that_come_out_even_are_shared_evenly(frames, latents):
    mask = torch.zeros(1, 1, frames, 8, 8)
    mask[:, :, -1] = 1
    assert to_grid(mask, (latents, 1, 1)).flatten().tolist() == [0.0] * (latents - 1) + [1.0]


def test_latents_that_cannot_share_the_frames_are_refused():
    with pytest.raises(ValueError, match="6 frames"):
        to_grid(torch.zeros(1, 1, 6, 8, 8), (4, 1, 1))
    with pytest.raises(ValueError, match="2 frames"):
        to_grid(torch.zeros(1, 1, 2, 8, 8), (3, 1, 1))


@pytest.mark.parametrize("seed", range(20))
def test_every_stroke_of_two_pixels_reaches_the_grid(seed):
    rng = np.random.default_rng(seed)
    row, column = rng.integers(63, size=2)
    mask = torch.zeros(64, 64)
    mask[row : row + 2, column : column + 2] = 1
    grid = to_grid(masks.as_mask(mask, torch.zeros(1, 3, 2, 64, 64)), (2, 8, 8))
    expected = {(row // 8, column // 8), ((row + 1) // 8, (column + 1) // 8)}
    assert all(grid[0, 0, 1, i, j] == 1 for i, j in expected)
    assert grid.sum() <= 2 * 4


def test_growing_and_shrinking_are_those_of_morphology():
    ndimage = pytest.importorskip("scipy.ndimage")
    mask = draw(1, 1, 1, 12, 15)
    size = (5, 5)
    grown = ndimage.grey_dilation(mask[0, 0, 0].numpy(), size, mode="constant", cval=-1)
    shrunk = ndimage.grey_erosion(mask[0, 0, 0].numpy(), size, mode="constant", cval=2)
    assert np.array_equal(masks.dilate(mask, 2)[0, 0, 0].numpy(), grown)
    assert np.allclose(masks.erode(mask, 2)[0, 0, 0].numpy(), shrunk, atol=1e-6)


def test_a_feathered_edge_falls_outside_in_even_steps():
    mask = torch.zeros(1, 1, 1, 1, 9)
    mask[..., :3] = 1
    found = masks.feather(mask, 3).flatten()
    assert torch.allclose(found, torch.tensor([1, 1, 1, 0.75, 0.5, 0.25, 0, 0, 0]))


def test_box_and_hull_go_frame_by_frame_and_leave_empty_frames_empty():
    mask = torch.zeros(1, 1, 2, 9, 9)
    for row, column in ((1, 4), (4, 1), (4, 7), (7, 4)):
        mask[0, 0, 1, row, column] = 1
    diamond = (torch.arange(9)[:, None] - 4).abs() + (torch.arange(9) - 4).abs() <= 3
    assert torch.equal(masks.hull(mask)[0, 0, 1], diamond.float())
    assert masks.box(mask)[0, 0, 1].sum() == 49
    assert not masks.box(mask)[0, 0, 0].any()
    assert not masks.hull(mask)[0, 0, 0].any()


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        (torch.zeros(1, 3, 2, 8, 8), "3, 2, 8, 8"),  # an image
        (torch.zeros(1, 1, 3, 8, 8), "3, 8, 8"),  # another count of frames
        (torch.zeros(4, 8), "4, 8"),
        (torch.full((8, 8), torch.nan), "nan"),
        (torch.full((8, 8), 255), "255"),
        ("mask.png", "str"),
    ],
)
def test_what_is_no_mask_of_the_clip_is_refused(mask, says):
    with pytest.raises(ValueError, match=says):
        masks.as_mask(mask, torch.zeros(1, 3, 2, 8, 8))


def test_booleans_and_arrays_are_masks():
    painted = np.eye(8, dtype=bool)
    assert torch.equal(masks.as_mask(painted, torch.zeros(2, 3, 2, 8, 8))[1, 0, 1], torch.eye(8))


def test_a_clip_in_colour_is_no_mask(tmp_path):
    write(tmp_path / "clip.mp4", MovingShapes(1, seed=0, fixed={"background_hue": 120.0})[0].video)
    with pytest.raises(ValueError, match=r"clip.mp4 is in colour \(\d+ % of its pixels\), and a mask is grey"):
        masks.read_mask(tmp_path / "clip.mp4")
    write(tmp_path / "grey.mp4", torch.eye(16).expand(1, 3, 4, 16, 16) * 2 - 1)
    assert masks.read_mask(tmp_path / "grey.mp4").max() > 0.9


def test_a_picture_is_read_as_a_mask(tmp_path):
    picture = torch.full((1, 3, 1, 8, 8), -1.0)
    picture[..., 2:4] = 1
    write(tmp_path / "mask", picture)
    mask = masks.read_mask(tmp_path / "mask", size=(16, 16))
    assert mask.shape == (1, 1, 1, 16, 16)
    assert mask[..., 5:7].min() > 0.9
    assert mask[..., 10:].max() == 0
