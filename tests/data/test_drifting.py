"""Pictures that drift, turn and grow: exact where a closed form is, steady everywhere."""

import numpy as np
import pytest
import torch

from latentlab.data import Drifting, Images


def picture(size: int = 33) -> Images:
    """A soft white spot in the middle."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    spot = np.exp(-(x**2 + y**2) / (2 * 2.0**2))
    return Images(np.round(255 * spot).astype(np.uint8)[None, :, :, None], np.zeros(1, int), ("spot",), "s")


def centres(clip: torch.Tensor) -> torch.Tensor:
    """(x, y) of the spot in each frame, pixels from the middle."""
    light = (clip[0, 0] + 1).double()
    at = torch.arange(clip.shape[-1]).double() - (clip.shape[-1] - 1) / 2
    total = light.sum((1, 2))
    return torch.stack([(light.sum(1) * at).sum(1) / total, (light.sum(2) * at).sum(1) / total], 1)


def test_a_spot_drifts_steadily_through_the_middle_at_its_own_rate():
    clips = Drifting(picture(), num_frames=9)
    ways = []
    for seed in range(4):
        clip = clips.clip(0, seed=seed)
        assert clip.shape == (1, 3, 9, 33, 33)
        at = centres(clip)
        torch.testing.assert_close(at[4], torch.zeros(2).double(), atol=0.05, rtol=0)
        rate = np.random.default_rng([seed, 0]).uniform(-1, 1, 4)
        # Where the middle of the picture is after turn and growth about the middle and the drift of the way back.
        time = torch.linspace(-0.5, 0.5, 9).double()
        growth, angle = 1.25 ** (rate[3] * time), np.radians(20) * rate[2] * time
        moved = 0.2 * 33 * time[:, None] * torch.tensor(rate[:2])
        x = growth * (moved[:, 0] * angle.cos() - moved[:, 1] * angle.sin())
        y = growth * (moved[:, 0] * angle.sin() + moved[:, 1] * angle.cos())
        torch.testing.assert_close(at, torch.stack([x, y], 1), atol=0.15, rtol=0)
        ways.append(at[-1])
    assert torch.stack(ways).std(0).min() > 0.3
    assert torch.equal(clips.clip(0, seed=1), clips.clip(0, seed=1))


def test_the_middle_frame_is_the_picture_and_one_frame_alone_too():
    pictures = picture()
    still = pictures.clip(0)
    for frames, middle in ((9, 4), (1, 0)):
        clip = Drifting(pictures, frames).clip(0, seed=3, frames=[middle])
        torch.testing.assert_close(clip, still, atol=2e-3, rtol=0)


def test_what_is_no_clip_is_told():
    with pytest.raises(ValueError, match="num_frames"):
        Drifting(picture(), 0)
    with pytest.raises(IndexError, match="pictures are 0 to 0, got 1"):
        Drifting(picture()).clip(1)
