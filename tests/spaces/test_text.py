"""The conditioning as a space, and captions that pull on the noise prediction."""

import pytest
import torch

from latentlab.spaces import TextSpace, pulled


def test_codes_say_the_same_as_captions(tiny_generator):
    space = TextSpace(tiny_generator, num_steps=2)
    captions = ["a red star", "a blue star moving left"]
    codes = space.encode_captions(captions)
    assert codes.shape == (2, space.dim)
    told, wanted = space.condition(codes), tiny_generator.condition(captions)
    assert torch.equal(told.mask, wanted.mask)
    torch.testing.assert_close(told.tokens[told.mask], wanted.tokens[wanted.mask])
    noise = tiny_generator.noise(1, seed=0).expand(2, -1, -1, -1, -1)
    options = {"num_steps": 2, "method": "ddim", "guidance": tiny_generator.config.guidance}
    clips = tiny_generator.decode(tiny_generator.sample(noise, captions, **options))
    torch.testing.assert_close(space.decode(codes), clips)


def test_clips_are_encoded_by_what_is_said_of_them(tiny_generator, clips):
    space = TextSpace(tiny_generator, describe=lambda video: ["a red star"] * len(video))
    torch.testing.assert_close(space.encode(clips), space.encode_captions(["a red star"] * 3))
    with pytest.raises(
        ValueError, match="clips have no captions by themselves; give describe=, or use encode_captions"
    ):
        TextSpace(tiny_generator).encode(clips)


def test_a_pulled_prediction_is_the_sum_of_three(tiny_generator):
    y = torch.randn(2, 2, 4, 2, 2, generator=torch.Generator().manual_seed(0))
    said = tiny_generator.condition("a star").expand(2)
    pull = pulled(tiny_generator, ("a red star", "a blue star"), 1.5, until=0.3)
    red, blue = (
        tiny_generator.predict(y, 0.6, tiny_generator.condition(f"a {c} star").expand(2)) for c in ("red", "blue")
    )
    v = tiny_generator.predict(y, 0.6, said)
    torch.testing.assert_close(pull.velocity(said)(y, 0.6), v + 1.5 * (blue - red))
    assert (blue - red).abs().max() > 1e-4
    assert torch.equal(pull.velocity(said)(y, 0.2), tiny_generator.predict(y, 0.2, said))
    none = pulled(tiny_generator, ("a red star", "a blue star"), 0.0)
    assert torch.equal(none.velocity(said)(y, 0.6), v)
    assert tiny_generator.guides == ()
    with pytest.raises(ValueError, match="strength must be finite, got nan"):
        pulled(tiny_generator, ("a star", "a star"), float("nan"))


def test_a_pulled_generator_edits_an_inverted_clip_and_without_strength_gives_it_back(tiny_generator, clips):
    latents = tiny_generator.encode(clips)
    inverted = tiny_generator.invert(latents, num_steps=3, method="leapfrog")
    pair = ("a red star", "a blue star moving left")
    back = pulled(tiny_generator, pair, 0.0).sample(inverted)
    torch.testing.assert_close(back, latents, atol=1e-4, rtol=0)
    assert (pulled(tiny_generator, pair, 3.0).sample(inverted) - latents).abs().max() > 1e-3
