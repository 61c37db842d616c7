"""The sampler: one value for five settings, everywhere where the words are."""

import re

import pytest
import torch

import latentlab as ll
from latentlab.generator.methods import METHODS
from latentlab.spaces import BottleneckSpace, NoiseSpace, TextSpace
from latentlab.study.roundtrip import roundtrip


def test_a_sampler_is_its_words_and_words_change_it(tiny_generator):
    noise, sampler = tiny_generator.noise(3), ll.Sampler("heun", 3, "analysis", 2.0, 2)
    words = {"method": "heun", "num_steps": 3, "levels": "analysis", "guidance": 2.0, "batch_size": 2}
    expected = tiny_generator.sample(noise, "a red star", **words)
    assert torch.equal(tiny_generator.sample(noise, "a red star", sampler=sampler), expected)
    other = ll.EDIT.but(num_steps=3, guidance=2.0)
    again = tiny_generator.sample(noise, "a red star", sampler=other, **{**words, "num_steps": None, "guidance": None})
    assert torch.equal(again, expected)


def test_the_presets_are_what_each_call_does_by_itself(tiny_generator, clips):
    latents, few = tiny_generator.encode(clips), {"num_steps": 3}
    drawn = tiny_generator.generate("a red star", **few)
    assert torch.equal(tiny_generator.generate("a red star", sampler=ll.DRAW.but(num_steps=3)), drawn)
    sampled = tiny_generator.sample(tiny_generator.noise(1), "a red star", sampler=ll.DRAW, **few)
    assert torch.equal(tiny_generator.decode(sampled), drawn)  # at the guidance of the generator
    read = tiny_generator.invert(latents, sampler=ll.ANALYSE, **few)
    assert torch.equal(read.noise, tiny_generator.invert(latents, **few).noise)
    assert read.sampler == ll.ANALYSE.but(num_steps=3)


def test_edit_gives_the_latents_back_bit_for_bit_and_is_asked_again(tiny_generator, clips):
    latents, edit = tiny_generator.encode(clips), ll.EDIT.but(num_steps=4)
    inverted = tiny_generator.invert(latents, sampler=edit)
    assert torch.equal(tiny_generator.sample(inverted), latents)
    assert torch.equal(tiny_generator.sample(inverted, sampler=edit), latents)
    with pytest.raises(ValueError, match="method was 'leapfrog', is 'midpoint'"):
        tiny_generator.sample(inverted, sampler=edit.but(method="midpoint"))


def test_spaces_and_round_trips_take_one(tiny_generator, clips):
    edit = ll.EDIT.but(num_steps=3)
    space = NoiseSpace(tiny_generator, sampler=edit)
    assert torch.equal(space.encode(clips), NoiseSpace(tiny_generator, method="leapfrog", num_steps=3).encode(clips))
    assert (
        BottleneckSpace(tiny_generator, num_steps=3).settings()
        == BottleneckSpace(tiny_generator, sampler=edit).settings()
    )
    drawn = TextSpace(tiny_generator, num_steps=3)
    assert drawn.settings() == TextSpace(tiny_generator, sampler=ll.DRAW.but(num_steps=3)).settings()
    assert roundtrip(tiny_generator, clips, sampler=edit).latent_error == 0


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"method": "euler"}, re.escape(f"unknown method 'euler'; there are {', '.join(METHODS)}")),
        ({"num_steps": 0}, "got 0"),
        ({"batch_size": 1.5}, r"whole number, got 1\.5"),
        ({"levels": "editing"}, "'editing'"),
        ({"guidance": float("nan")}, "finite, got nan"),
        ({"guidance": "a"}, "number, got 'a'"),
    ],
)
def test_wrong_settings_are_named(wrong, match):
    with pytest.raises(ValueError, match=match):
        ll.Sampler(**wrong)
