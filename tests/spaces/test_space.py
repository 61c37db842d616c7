"""Spaces of latents and noise: axes, floors, descriptions."""

import json

import pytest
import torch

from latentlab import edit, project
from latentlab.directions import Direction
from latentlab.metrics.perceptual import psnr
from latentlab.spaces import Blocks, Cached, Components, LatentSpace, NoiseSpace, as_space, statistics
from latentlab.study.recipe import Recipe
from latentlab.study.steps import Step


@pytest.mark.parametrize("kind", [LatentSpace, NoiseSpace])
def test_codes_have_one_row_a_clip_and_axes_that_come_back(kind, tiny_generator, clips):
    space = kind(tiny_generator) if kind is LatentSpace else kind(tiny_generator, num_steps=2)
    codes = space.encode(clips)
    assert codes.shape == (3, space.dim) == (3, 32)
    assert space.unflatten(codes).shape == (3, *space.shape) == (3, 2, 4, 2, 2)
    assert space.decode(codes).shape == clips.shape


def test_the_floor_is_the_round_trip(tiny_generator, clips):
    space = LatentSpace(tiny_generator)
    torch.testing.assert_close(space.floor(clips), psnr(tiny_generator.decode(tiny_generator.encode(clips)), clips))


def test_noise_codes_are_those_of_the_generator_both_ways(tiny_generator, clips):
    space, options = NoiseSpace(tiny_generator, num_steps=3, method="ddim"), {"num_steps": 3, "method": "ddim"}
    noise = tiny_generator.invert(tiny_generator.encode(clips), **options).noise
    codes = space.encode(clips)
    torch.testing.assert_close(space.unflatten(codes), noise)
    latents = tiny_generator.sample(noise, levels="analysis", **options)
    torch.testing.assert_close(space.decode(codes), tiny_generator.decode(latents))


def test_noise_to_be_read_and_noise_to_be_edited_are_two_spaces(tiny_generator, clips):
    read, edited = NoiseSpace(tiny_generator, num_steps=3), NoiseSpace(tiny_generator, num_steps=3, levels="sampling")
    assert read.describe() != edited.describe()
    assert (read.describe()["levels"], edited.describe()["levels"]) == ("analysis", "sampling")
    assert "levels for analysis: to be read" in repr(read)
    assert "levels for sampling: to be edited" in repr(edited)
    assert NoiseSpace(tiny_generator, method="leapfrog").levels == "sampling"
    assert (read.encode(clips) - edited.encode(clips)).abs().max() > 1e-3
    with pytest.raises(ValueError, match="levels are for 'sampling' or 'analysis', got 'karras'"):
        NoiseSpace(tiny_generator, levels="karras")


def test_a_description_is_plain_and_tells_settings_and_weights_apart(tiny_generator):
    ten = NoiseSpace(tiny_generator, num_steps=10).describe()
    assert json.loads(json.dumps(ten)) == ten
    assert ten["space"] == "NoiseSpace"
    assert ten["prior"] == "normal"
    assert ten != NoiseSpace(tiny_generator, num_steps=11).describe()
    with torch.no_grad():
        next(tiny_generator.denoiser.parameters()).add_(1)
    assert ten != NoiseSpace(tiny_generator, num_steps=10).describe()


def test_a_generator_and_its_spaces_say_what_they_are_in_a_line(tiny_generator):
    made = "clips of 4 frames of 16 x 16, latents (2, 4, 2, 2), torch.float32 on cpu"
    assert repr(tiny_generator) == f"NativeGenerator({made})"
    said = "LatentSpace(32 dims: channel 2, frame 4, height 2, width 2)"
    assert repr(LatentSpace(tiny_generator)) == said


def test_codes_of_another_space_are_an_error(tiny_generator, clips):
    space = LatentSpace(tiny_generator)
    with pytest.raises(
        ValueError, match=r"codes of LatentSpace are \(sample, 32\), for axes \(2, 4, 2, 2\); got \(1, 31"
    ):
        space.decode(torch.zeros(1, 31))
    with pytest.raises(ValueError, match=r"this space holds latents \(2, 8, 2, 2\), these clips have \(2, 4, 2, 2\)"):
        LatentSpace(tiny_generator, num_frames=8).encode(clips)


def test_statistics_of_a_unit_normal():
    found = statistics(torch.randn(4000, 16, generator=torch.Generator().manual_seed(0)) + 3)
    torch.testing.assert_close(found.mean, torch.full((16,), 3.0), atol=0.1, rtol=0)
    torch.testing.assert_close(found.scale, torch.ones(16), atol=0.05, rtol=0)
    assert found.norm == pytest.approx(16**0.5, rel=0.03)
    assert found.surprise == pytest.approx(10, rel=0.02)
    with pytest.raises(ValueError, match=r"at least two codes \(sample, dim\), got \(1, 3\)"):
        statistics(torch.zeros(1, 3))


def test_dims_are_grouped_along_an_axis(tiny_generator):
    space = LatentSpace(tiny_generator)
    groups = space.groups("frame")
    assert list(groups) == ["frame0", "frame1", "frame2", "frame3"]
    codes = torch.arange(32.0)[None]
    assert torch.equal(codes[:, groups["frame2"]], space.unflatten(codes)[:, :, 2].flatten(1))
    with pytest.raises(ValueError, match="LatentSpace has no axis 'level'; there are channel, frame, height, width"):
        space.groups("level")


class Mine:
    """A model of one's own: encode and decode, and nothing else."""

    def encode(self, video):
        return video.flatten(1)

    def decode(self, codes):
        return codes.reshape(-1, 3, 4, 16, 16)


def test_a_bare_pair_is_cached_and_reduced_like_any_space(clips):
    space = as_space(Mine(), clips)
    assert (space.dim, space.describe()["space"], space.floor(clips).isinf().all()) == (3072, "Mine", True)
    means = Blocks(space, {"dim": 256}).around(clips)  # a frame of a channel each
    assert means.codes.shape == (3, 12)
    torch.testing.assert_close(means.unedited, clips)
    torch.testing.assert_close(means.decode(means.codes + 1), clips + 1)
    assert as_space(space) is space
    with pytest.raises(TypeError, match="got str"):
        as_space("latent", clips)


def test_encode_and_decode_alone_are_enough_wherever_a_space_is_asked_for(clips):
    codes = Mine().encode(clips)
    kept = Cached(Mine())
    assert torch.equal(kept.encode(clips), kept.encode(clips))
    assert (kept.hits, kept.misses, kept.dim) == (3, 3, 3072)
    assert torch.equal(kept.around(clips).unedited, clips)
    parts = Components(Mine(), codes, 2).around(clips)
    torch.testing.assert_close(parts.unedited, clips, atol=1e-5, rtol=0)
    means = Blocks(Mine(), {"dim": 256}, rest=codes.mean(0, keepdim=True))
    assert (means.shape, means.encode(clips).shape) == ((12,), (3, 12))
    with pytest.raises(ValueError, match=r"codes of Mine are shows with a clip: use as_space\(Mine\(\), clips\)"):
        Blocks(Mine(), {"dim": 256})
    push = Direction("push", torch.eye(1, 3072)[0].numpy(), 1.0)
    edited = Recipe.of(Mine(), [Step(push, 2.0)]).apply(Mine(), clips)
    assert torch.equal(edited.video, Mine().decode(edit(codes, push, 2.0)))
    assert torch.equal(edited.recipe.replay(Mine(), clips).video, edited.video)
    assert project(codes.repeat(2, 1) + torch.eye(6, 3072), method="pca").points.shape == (6, 2)


def test_codes_that_are_none_are_named(clips):
    class Flat(Mine):
        def encode(self, video):
            return video

    with pytest.raises(ValueError, match=r"Flat\.encode of 1 clips gave \(1, 3, 4, 16, 16\)"):
        as_space(Flat(), clips)


@pytest.mark.parametrize("method", ["midpoint", "leapfrog"])
def test_around_clips_unmoved_noise_goes_back_the_way_it_came(tiny_generator, clips, method):
    space = NoiseSpace(tiny_generator, num_steps=3, method=method, levels="sampling")
    here, floor = space.around(clips), tiny_generator.decode(tiny_generator.encode(clips))
    assert torch.equal(here.codes, space.encode(clips))
    moved = here.codes + 0.1
    if method == "leapfrog":  # which remembers more of its way than the noise
        torch.testing.assert_close(here.unedited, floor, atol=1e-6, rtol=0)
    else:
        torch.testing.assert_close(here.decode(moved), space.decode(moved), atol=1e-4, rtol=0)
    assert torch.equal(Cached(space).around(clips).unedited, here.unedited)
    with pytest.warns(DeprecationWarning, match="by_place is batch_dependent"):
        assert not space.by_place
