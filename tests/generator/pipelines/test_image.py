"""Clips that begin with a given image, beside what test_families.py measures against the pipelines."""

from dataclasses import replace

import pytest
import torch

pytest.importorskip("diffusers")

import diffusers
from generator.pipelines import pipelines
from generator.pipelines.test_captions import told as with_captions

from latentlab.generator.pipelines.families import FAMILIES

OPENING = ("wan-2.2-5b-image", "ltx-image")
CHANNELS = ("wan-2.1-image", "wan-2.2-a14b-image", "cogvideox-5b-image")


def made(tiny: pipelines.Tiny):
    generator = FAMILIES[type(tiny.pipe).__name__](tiny.pipe)
    frames, height, width = tiny.video
    generator.config = replace(generator.config, num_frames=frames, height=height, width=width)
    return generator


def captions(tiny: pipelines.Tiny, generator):
    """The condition without the image."""
    whole = pipelines.condition(tiny, generator)
    return replace(whole, more={})


def clip(tiny: pipelines.Tiny, seed: int = 0) -> torch.Tensor:
    return pipelines.random(1, 3, *tiny.video, seed=seed).clamp(-1, 1)


@pytest.fixture(scope="module", params=(*OPENING, *CHANNELS))
def family(request):
    tiny = pipelines.FAMILIES[request.param]()
    return tiny, made(tiny)


@pytest.mark.parametrize("name", OPENING)
def test_the_first_latents_are_the_image(name):
    tiny = pipelines.FAMILIES[name]()
    generator = made(tiny)
    image = pipelines.picture(tiny.video[1])
    told = generator.with_image(captions(tiny, generator), image)
    for method in ("ddim", "midpoint", "heun", "leapfrog"):
        latents = generator.sample(generator.noise(2), told, num_steps=3, method=method, guidance=2.0)
        torch.testing.assert_close(latents[:, :, :1], generator.encode(image[:, :, None]).expand(2, -1, -1, -1, -1))


@pytest.mark.parametrize("name", OPENING)
def test_a_clip_is_inverted_under_its_own_first_frame_alone(name):
    tiny = pipelines.FAMILIES[name]()
    generator = made(tiny)
    latents = generator.encode(clip(tiny))
    own, other = (generator.with_image(captions(tiny, generator), clip(tiny, seed)) for seed in (0, 1))
    inverted = generator.invert(latents, own, num_steps=4, method="leapfrog")
    assert (generator.sample(inverted) - latents).norm() / latents.norm() <= 1e-5
    with pytest.raises(ValueError, match=r"does not begin with the condition's image: latents differ by .*its own"):
        generator.invert(latents, other, num_steps=4)
    exactly = replace(own, more={"image": latents[:, :, :1]})
    assert generator.invert(latents, exactly, num_steps=2).noise.isfinite().all()


def test_the_folder_of_captions_takes_images_too():
    """Wan 2.2 TI2V is published under the class of captions; diffusers reads it under the other one for images."""
    tiny = pipelines.wan(expand_timesteps=True)
    generator, side = made(tiny), tiny.video[1]
    told = generator.with_image(captions(tiny, generator), pipelines.picture(side))
    kind = diffusers.WanImageToVideoPipeline
    theirs = kind(**tiny.pipe.components, expand_timesteps=True)
    noise = generator.noise(1)
    ours = generator.sample(noise, told, num_steps=2, method="ddim", guidance=3.0)
    torch.testing.assert_close(ours, pipelines.call(replace(tiny, pipe=theirs), noise, 3.0, 2), atol=2e-5, rtol=0)


def test_captions_and_image_are_told_together():
    tiny = with_captions("wan")
    kind = diffusers.WanImageToVideoPipeline
    pipe = kind(**(tiny.pipe.components | {"vae": pipelines.wan_vae(**pipelines.LARGE)}), expand_timesteps=True)
    pipe.transformer = diffusers.WanTransformer3DModel.from_config(tiny.pipe.transformer.config)
    generator = made(replace(tiny, pipe=pipe, video=(9, 64, 64)))
    image = torch.cat([pipelines.picture(64), -pipelines.picture(64)])
    told = generator.condition("a red star", negative="blurry", image=image)
    apart = generator.with_image(generator.condition("a red star", negative="blurry"), image)
    assert len(told) == len(told.against) == len(apart) == 2
    assert told.tensors().keys() == apart.tensors().keys() >= {"more.image", "against.tokens"}
    assert all(torch.equal(told.tensors()[name], apart.tensors()[name]) for name in told.tensors())
    made_of_both = generator.generate(told, num_steps=1)
    assert not torch.allclose(made_of_both[0], made_of_both[1], atol=1e-3)


def test_another_image_is_another_clip(family):
    tiny, generator = family
    y, side = generator.noise(1), tiny.video[1]
    told = [generator.with_image(captions(tiny, generator), sign * pipelines.picture(side)) for sign in (1, -1)]
    velocities = [generator.velocity(condition, 2.0)(y, 0.5) for condition in told]
    assert not torch.allclose(*velocities, atol=1e-4)
    for name in told[0].more:  # each of the things it is told by
        other = replace(told[0], more={**told[0].more, name: told[1].more[name]})
        assert not torch.allclose(generator.velocity(other, 2.0)(y, 0.5), velocities[0], atol=1e-5), name


def test_the_image_stays_under_another_caption(family):
    tiny, generator = family
    plain = captions(tiny, generator)
    image = generator.with_image(plain, pipelines.picture(tiny.video[1])).more
    told, other = replace(plain, more=image), replace(plain, tokens=-plain.tokens)
    latents = generator.completed(generator.noise(1), told)
    inverted = generator.invert(latents, told, num_steps=2, method="leapfrog")
    edited = generator.sample(inverted, other, guidance=2.0)
    assert torch.equal(edited, generator.sample(inverted, replace(other, more=image), guidance=2.0))
    assert not torch.allclose(edited, latents, atol=1e-4)


@pytest.mark.parametrize("name", CHANNELS)
def test_a_shorter_clip_takes_what_was_told_of_its_frames(name):
    tiny = pipelines.FAMILIES[name]()
    generator = made(tiny)
    told, whole = pipelines.condition(tiny, generator), generator.config
    generator.config = replace(whole, num_frames=1)
    short, y = pipelines.condition(tiny, generator), generator.noise(1)
    with pytest.raises(
        ValueError, match=r"read for clips of \(1, 4, 4\) latents, this one has \(3, 4, 4\); .*num_frames"
    ):
        generator.sample(pipelines.random(1, generator.latent_shape[0], 3, 4, 4), short, num_steps=1)
    torch.testing.assert_close(generator.velocity(told)(y, 0.5), generator.velocity(short)(y, 0.5), atol=1e-5, rtol=0)


def test_an_image_is_needed_where_the_network_is_made_for_one():
    for name in CHANNELS:
        tiny = pipelines.FAMILIES[name]()
        generator = made(tiny)
        with pytest.raises(ValueError, match=r"makes clips of an image: condition\(caption, image="):
            generator.sample(generator.noise(1), captions(tiny, generator), num_steps=1)


@pytest.mark.parametrize(
    "name", ["wan", "wan-2.2-a14b", "hunyuan", "mochi", "cogvideox-5b", "modelscope", "animatediff"]
)
def test_an_image_is_refused_where_it_would_have_no_effect(name):
    tiny = pipelines.FAMILIES[name]()
    generator = made(tiny)
    with pytest.raises(ValueError, match=rf"this {type(tiny.pipe).__name__} makes clips of captions alone"):
        generator.with_image(pipelines.condition(tiny, generator), pipelines.picture(tiny.video[1]))


@pytest.mark.parametrize(
    ("image", "match"),
    [
        ("picture.png", "an image is a tensor .* got a str"),
        (torch.zeros(3, 64, 64), r"got shape \(3, 64, 64\)"),
        (torch.full((1, 3, 64, 64), torch.nan), r"`image` must be finite"),
        (torch.full((1, 3, 64, 64), 255), r"must be in \[-1, 1\], got 255"),
        (torch.zeros(1, 1, 64, 64), r"must be floating point \(batch, 3,"),
        (torch.zeros(1, 3, 60, 64), r"multiples of 32, got 1 frames of 60 x 64"),
        (torch.zeros(0, 3, 64, 64), r"must be floating point"),
        (torch.zeros(3, 3, 64, 64), "2 captions and 3 images; give one, or one for each clip"),
    ],
)
def test_what_is_no_image_is_refused(image, match):
    tiny = pipelines.FAMILIES["wan-2.2-5b-image"]()
    generator = made(tiny)
    with pytest.raises(ValueError, match=match):
        generator.with_image(captions(tiny, generator).expand(2), image)


def test_image_and_clip_have_one_size():
    tiny = pipelines.FAMILIES["wan-2.2-5b-image"]()
    generator = made(tiny)
    told = generator.with_image(captions(tiny, generator), torch.zeros(1, 3, 96, 64))
    with pytest.raises(
        ValueError, match=r"image has latents of \(16, 1, 6, 4\), the clip's first ones are \(16, 1, 4, 4\)"
    ):
        generator.sample(generator.noise(1), told, num_steps=1)
