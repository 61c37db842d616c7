"""Long clips by windows: what must hold whatever the network says."""

import pytest
import torch

from latentlab.control.shaped import Shaped
from latentlab.generator.condition import Condition
from latentlab.generator.guides import Guide
from latentlab.generator.windows import (
    Joined,
    Pinned,
    Windows,
    decoded,
    latent_frames,
    long_latents,
    long_noise,
)  # fmt: skip


def field(windows: Windows, velocity=lambda y, s: torch.sin(3 * y) + s):
    return windows(velocity, Condition())


@pytest.mark.parametrize("apart", [0.6, 1.0])
@pytest.mark.parametrize("length", [4, 7, 16, 19])
@pytest.mark.parametrize("s", [0.2, 0.7, 1.0])
def test_a_velocity_of_single_frames_is_unchanged(apart, length, s):
    """Where every frame's velocity is its own business, windows must agree, and every frame is in one."""
    y = torch.randn(2, 3, length, 2, 2, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(field(Windows(4, 2, apart))(y, s), torch.sin(3 * y) + s, atol=1e-6)


@pytest.mark.parametrize("apart", [0.6, 1.0])
def test_one_window_is_the_model_itself(apart):
    y = torch.randn(1, 1, 4, 1, 1, generator=torch.Generator().manual_seed(0))
    velocity = lambda y, s: y.cumsum(2)  # noqa: E731
    assert torch.allclose(field(Windows(4, 2, apart), velocity)(y, 0.9), y.cumsum(2), atol=1e-6)


def test_the_mean_of_windows_is_weighted_to_their_middles():
    """Windows of 4 at stride 2, each saying its own number, from 6 frames: weights 1 2 2 1 and 1 2 2 1."""
    said = iter([0.0, 1.0])
    own = field(Windows(4, 2), lambda y, s: torch.full_like(y, next(said)))
    v = own(torch.zeros(1, 1, 6, 1, 1), 0.5).flatten()
    assert torch.allclose(v, torch.tensor([0, 0, 1 / 3, 2 / 3, 1, 1]))


def test_distant_frames_meet_near_noise():
    """What is said of the first frame reaches the last one only where windows are of distant frames."""

    def velocity(y, s):
        return y.mean(2, keepdim=True).expand_as(y)

    y = torch.zeros(1, 1, 16, 1, 1)
    y[:, :, 0] = 1.0
    near = field(Windows(4, 2, 0.6), velocity)
    assert near(y, 1.0)[0, 0, 12] > 0  # every fourth frame
    assert near(y, 0.5)[0, 0, 12] == 0


def test_pinned_frames_end_at_what_is_known(generator):
    known = torch.randn(1, 2, 2, 2, 2, generator=torch.Generator().manual_seed(0))
    for method in ("ddim", "midpoint"):
        found = generator.guided(Pinned(known)).sample(generator.noise(1), "a red star", num_steps=3, method=method)
        assert torch.allclose(found[:, :, :2], known, atol=1e-5)


@pytest.mark.parametrize("windows", Joined.__args__)
def test_a_clip_of_any_length(generator, windows):
    clips = generator.generate(["a red star", "a blue star"], num_frames=11, windows=windows, num_steps=2)
    assert clips.shape == (2, 3, 11, 16, 16)
    assert clips.isfinite().all()
    again = generator.generate("a red star", num_frames=11, windows=windows, num_steps=2)
    assert torch.allclose(clips[:1], again, atol=1e-4)


def test_guides_that_tell_frame_by_frame_are_of_one_length(generator):
    mask = torch.zeros(1, 1, 4, 16, 16)
    mask[..., :8] = 1
    still = generator.guided(Shaped(mask))
    assert still.generate("a red star", num_frames=11, num_steps=1).shape[2] == 11
    mask[:, :, 2] = 0
    with pytest.raises(ValueError, match="Shaped tells frame by frame what clips of 4 frames hold, and nothing of 11"):
        generator.guided(Shaped(mask)).generate("a red star", num_frames=11, num_steps=1)


def test_the_models_own_length_is_drawn_as_ever(generator):
    plain = generator.generate("a red star", seed=3, num_steps=2)
    assert torch.equal(generator.generate("a red star", seed=3, num_steps=2, num_frames=4), plain)
    for windows in ("average", "keyframes"):
        latents = long_latents(generator, generator.condition("a red star"), 4, windows=windows, seed=3, num_steps=2)
        single = generator.sample(generator.noise(1, seed=3), "a red star", num_steps=2)
        assert torch.allclose(latents, single, atol=1e-5)


def test_long_clips_go_to_noise_and_back_bit_for_bit(generator):
    long = generator.guided(Windows(4, 2, 0.6))
    latents = generator.encode(torch.rand(1, 3, 10, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1)
    inverted = long.invert(latents, "a red star", method="leapfrog", num_steps=5)
    assert torch.equal(long.sample(inverted), latents)
    with pytest.raises(ValueError, match="under guides"):
        generator.guided(Windows(4, 1)).sample(inverted)


def test_noise_goes_on_as_it_began(generator):
    assert torch.equal(long_noise(generator, 2, 13)[:, :, :4], generator.noise(2))
    assert torch.equal(long_noise(generator, 2, 13)[:, :, :9], long_noise(generator, 1 + 1, 9))
    shuffled = long_noise(generator, 1, 12, shuffled=True, stride=2)
    frames = {frame.numpy().tobytes() for frame in shuffled[0].transpose(0, 1)}
    assert len(frames) == 4
    for part in shuffled.split(4, 2):  # each window holds all of them
        assert {frame.numpy().tobytes() for frame in part[0].transpose(0, 1)} == frames


@pytest.mark.parametrize(
    ("frames", "options", "said"),
    [
        (3, {}, "4 frames"),
        (8, {"windows": "looped"}, "looped"),
        (8, {"stride": 4}, "got 4"),
        (8, {"stride": 0}, "got 0"),
    ],
)
def test_a_length_that_no_window_fits(generator, frames, options, said):
    with pytest.raises(ValueError, match=said):
        long_latents(generator, generator.condition(""), frames, num_steps=1, **options)


def test_parts_are_decoded_apart_and_are_the_whole(generator):
    latents = torch.randn(1, 2, 10, 2, 2, generator=torch.Generator().manual_seed(0))
    parts = list(decoded(generator, latents))
    assert [part.shape[2] for part in parts] == [4, 4, 2]
    assert torch.allclose(torch.cat(parts, 2), generator.decode(latents), atol=1e-6)


@pytest.mark.parametrize(("own", "latent", "asked", "found"), [(16, 16, 40, 40), (17, 5, 33, 9), (16, 4, 32, 8)])
def test_frames_of_latents_follow_those_of_the_clip(own, latent, asked, found):
    class Model:
        latent_shape = (4, latent, 8, 8)

        class config:
            num_frames = own

    assert latent_frames(Model, asked) == found
    if own != latent:
        with pytest.raises(ValueError, match=str(asked + 1)):
            latent_frames(Model, asked + 1)


def test_windows_are_guides():
    assert issubclass(Windows, Guide)
    assert Windows(16, 8).settings() != Windows(16, 8, 0.6).settings()
    with pytest.raises(ValueError, match="stride=17"):
        Windows(16, 17)
