"""Masks carried from painted frames to all others, against exact ones."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from latentlab.control import propagate
from latentlab.data import MovingShapes
from latentlab.metrics import still


def iou(found: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    found, truth = found > 0.5, truth > 0.5
    return (found & truth).sum((1, 3, 4)) / (found | truth).sum((1, 3, 4))


def only(mask: torch.Tensor, *frames: int) -> torch.Tensor:
    kept = torch.zeros_like(mask)
    kept[:, :, list(frames)] = mask[:, :, list(frames)]
    return kept


def cutout(frames: int = 6, size: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    """A textured disc over a texture, two pixels right and one down a frame."""
    noise = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    ground, disc = F.avg_pool2d(noise, 9, 1, 4).sub(0.5).mul(8).clamp(-1, 1)
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    masks = [(((rows - 26 - t) ** 2 + (columns - 22 - 2 * t) ** 2) <= 225).float() for t in range(frames)]
    clip = [m * disc.roll((t, 2 * t), (1, 2)) + (1 - m) * ground for t, m in enumerate(masks)]
    return torch.stack(clip, 1)[None], torch.stack(masks)[None, None]


def test_shapes_are_followed_from_the_first_frame_and_from_the_middle():
    items = [MovingShapes(4, seed=3)[i] for i in (0, 2)]
    video, truth = torch.cat([item.video for item in items]), torch.cat([item.mask for item in items])
    for painted in (0, 7):
        found = propagate(only(truth, painted), video)
        assert iou(found.mask, truth).mean() > 0.97
        assert found.painted == (painted,)
        assert torch.equal(found.mask[:, :, painted], truth[:, :, painted])
        assert found.confidence[:, :, painted].min() == 1
    assert found.confidence.min() >= 0
    assert found.confidence.max() <= 1


def test_what_has_a_texture_is_followed_by_the_flow():
    video, truth = cutout()
    found = propagate(only(truth, 0), video)
    assert iou(found.mask, truth).mean() > 0.85
    both = propagate(only(truth, 0, 5), video)
    assert iou(both.mask, truth)[:, 3:5].mean() > iou(found.mask, truth)[:, 3:5].mean()


def test_a_tracker_of_ones_own_is_asked():
    video, truth = cutout()

    def exact(a, b):  # of these clips: from a frame to the one before it, or the other way
        return torch.tensor([-2.0, -1.0]).view(1, 2, 1, 1).expand(len(a), 2, *a.shape[2:]) * next(signs)

    signs = iter([1, -1] * 5)
    found = propagate(only(truth, 0), video, flow=exact, colour=False)
    assert torch.equal((found.mask > 0.5).float(), truth)


def test_a_frame_painted_empty_counts_when_it_is_named():
    video, truth = cutout(4)
    found = propagate(only(truth, 0), video, painted=[0, 1], flow=still, colour=False)
    assert not found.mask[:, :, 1:].any()
    assert found.mask[:, :, 0].any()


def test_where_the_way_does_not_close_confidence_is_low():
    video, truth = cutout(3)
    wild = iter(np.tile([9.0, 4.0], 4))
    found = propagate(
        only(truth, 0), video, flow=lambda a, b: torch.full((len(a), 2, *a.shape[2:]), float(next(wild))), colour=False
    )
    assert found.confidence[:, :, 1:].max() == 0


@pytest.mark.parametrize(("painted", "says"), [(None, "empty"), ([], r"\[\]"), ([9], r"\[9\]"), ([-1], r"\[-1\]")])
def test_frames_that_are_not_there_are_refused(painted, says):
    video, truth = cutout(3)
    with pytest.raises(ValueError, match=says):
        propagate(torch.zeros_like(truth), video, painted=painted)
