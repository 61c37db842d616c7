"""Captions, conditions and guidance of spaces whose codes come from the denoiser."""

import json

import pytest
import torch

from latentlab.spaces import BottleneckSpace, Cached, Components, LatentSpace, NoiseSpace
from latentlab.spaces.hooks import hooked

CAPTIONS = ["a red star", "a blue star", "a star moving left"]


@pytest.mark.parametrize("guidance", [2.0, pytest.param(1.0, marks=pytest.mark.slow)])
def test_noise_is_inverted_and_drawn_under_the_caption(tiny_generator, clips, guidance):
    options = {"num_steps": 3, "method": "ddim", "levels": "sampling", "guidance": guidance}
    space = NoiseSpace(tiny_generator, caption="a red star", **options)
    noise = tiny_generator.invert(tiny_generator.encode(clips), "a red star", **options).noise
    codes = space.encode(clips)
    torch.testing.assert_close(space.unflatten(codes), noise)
    drawn = tiny_generator.decode(tiny_generator.sample(noise, "a red star", **options))
    torch.testing.assert_close(space.decode(codes), drawn)
    assert (
        codes - NoiseSpace(tiny_generator, num_steps=3, method="ddim", levels="sampling").encode(clips)
    ).abs().max() > 1e-4


@pytest.mark.parametrize("kind", [NoiseSpace, BottleneckSpace])
def test_one_caption_for_each_clip(tiny_generator, clips, kind):
    several = kind(tiny_generator, caption=CAPTIONS, num_steps=2, batch_size=2)
    codes = several.encode(clips)
    for i, caption in enumerate(CAPTIONS):
        alone = kind(tiny_generator, caption=caption, num_steps=2).encode(clips[i : i + 1])
        torch.testing.assert_close(codes[i : i + 1], alone, atol=1e-4, rtol=1e-4)
    with pytest.raises(ValueError, match="3 captions for 2 clips; give one, or one for each"):
        several.encode(clips[:2])


def test_a_condition_stands_for_a_caption_and_is_told_apart_by_its_values(tiny_generator, clips):
    told, other = (tiny_generator.condition(caption) for caption in CAPTIONS[:2])
    by_words, by_condition = (NoiseSpace(tiny_generator, caption=c, num_steps=2) for c in (CAPTIONS[0], told))
    assert torch.equal(by_words.encode(clips), by_condition.encode(clips))
    described = by_condition.describe()
    assert json.loads(json.dumps(described)) == described
    assert described == NoiseSpace(tiny_generator, caption=told, num_steps=2).describe()
    assert described != NoiseSpace(tiny_generator, caption=other, num_steps=2).describe()
    assert by_words.describe() != NoiseSpace(tiny_generator, num_steps=2).describe()
    assert by_words.describe() != NoiseSpace(tiny_generator, caption=CAPTIONS[0], num_steps=2, guidance=2).describe()


def test_under_guidance_activations_are_the_captions_and_are_moved_with_and_without(tiny_generator, clips):
    space = BottleneckSpace(tiny_generator, caption="a red star", guidance=2.0, num_steps=3, per_level=True)
    here = space.around(clips)
    said = []
    with hooked(tiny_generator.denoiser.middle, lambda h: said.append(h.chunk(2)[1].reshape(3, 4, 32, 1, 1))):
        tiny_generator.invert(tiny_generator.encode(clips), "a red star", guidance=2.0, num_steps=3, method="leapfrog")
    codes = space.encode(clips)
    torch.testing.assert_close(space.unflatten(codes), torch.stack(said[1:], 1))
    round_trip = tiny_generator.decode(tiny_generator.encode(clips))
    torch.testing.assert_close(here.decode(codes), round_trip, atol=2e-4, rtol=0)
    moved, before, met = torch.zeros(3, *space.shape), [], []
    moved[:, -1] = 0.5  # the level next to noise, which a run from noise meets first
    with hooked(tiny_generator.denoiser.middle, lambda h: before.append(h.clone())):
        here.decode(codes)
    after = tiny_generator.denoiser.up[-1][0].register_forward_hook(lambda m, x, y: met.append(x[0][:, :32]))
    here.decode(codes + moved.flatten(1))
    after.remove()
    torch.testing.assert_close(met[0], before[0] + 0.5)  # what the next layer is given of it, both times


def test_what_depends_on_the_other_clips_is_not_cached(tiny_generator, clips):
    assert not NoiseSpace(tiny_generator, caption="a star").batch_dependent
    latents = LatentSpace(tiny_generator)
    around = BottleneckSpace(tiny_generator, num_steps=2)
    inside = Components(around, around.encode(clips), count=2)
    for space in (NoiseSpace(tiny_generator, caption=CAPTIONS), around, inside):
        with pytest.raises(ValueError, match="belong to the clips that they were encoded with"):
            Cached(space)
    one, two = (Components(latents, latents.encode(c), count=2) for c in (clips, -clips))
    assert one.describe() != two.describe()
    assert one.describe() == Components(latents, latents.encode(clips), count=2).describe()


class TestModelsToldAnImage:
    @pytest.fixture(scope="class")
    def generator(self):
        pytest.importorskip("diffusers")
        pytest.importorskip("transformers")
        from dataclasses import replace

        from generator.pipelines import pipelines

        from latentlab.generator.pipelines.svd import StableVideo

        tiny = pipelines.svd()
        made = StableVideo(tiny.pipe)
        made.config = replace(made.config, num_frames=3, height=32, width=32)
        return made

    @pytest.fixture(scope="class")
    def video(self):
        return torch.rand(2, 3, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1

    @pytest.mark.parametrize("guidance", [2.0, pytest.param(1.0, marks=pytest.mark.slow)])
    def test_noise_and_h_space_take_the_first_frames(self, generator, video, guidance):
        told = generator.condition(video)
        options = {"caption": told, "guidance": guidance, "num_steps": 2}
        floor = generator.decode(generator.encode(video))
        for space in (NoiseSpace(generator, method="leapfrog", **options), BottleneckSpace(generator, **options)):
            codes = space.encode(video)
            assert codes.shape == (2, space.dim)
            if isinstance(space, BottleneckSpace):
                torch.testing.assert_close(space.around(video).decode(codes), floor, atol=1e-3, rtol=0)
            else:
                wanted = generator.invert(
                    generator.encode(video), told, guidance=guidance, num_steps=2, method="leapfrog"
                )
                torch.testing.assert_close(space.unflatten(codes), wanted.noise)
                assert space.decode(codes).shape == video.shape

    def test_without_one_it_says_how(self, generator):
        with pytest.raises(ValueError, match=r"caption=generator\.condition\(video\[:, :, 0\]\)"):
            NoiseSpace(generator)
