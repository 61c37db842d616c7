"""Attend-and-excite: the loss in closed form, and a gradient that lowers it."""

import pytest
import torch

from latentlab.control.attend import Attend

CAPTION = "a red star moving left"


def test_a_step_along_the_guide_lowers_what_is_neglected(tiny_generator):
    guide = Attend(CAPTION, ("red", "star"), weight=0.05).bound(tiny_generator)
    told = tiny_generator.condition(CAPTION).expand(2)
    y, plain = tiny_generator.noise(2, seed=3), tiny_generator.velocity(told)
    with torch.no_grad():
        led = guide(plain, told)(y, 0.8) - plain(y, 0.8)  # towards data a state moves along -v
        before, after = (guide.neglected(state, 0.8, told) for state in (y, y - 0.2 * led / led.abs().max()))
        assert (after < before).all()
        length = led.flatten(1).norm(dim=1) / plain(y, 0.8).flatten(1).norm(dim=1)
        assert torch.allclose(length, torch.full((2,), 0.05), atol=1e-4)
        assert torch.equal(guide(plain, told)(y, 0.3), plain(y, 0.3))


def test_one_word_alone_has_all_attention(tiny_generator):
    told = tiny_generator.condition("star")
    alone = Attend("star", ("star",)).bound(tiny_generator)
    assert alone.neglected(tiny_generator.noise(1), 0.7, told).abs().max() < 1e-5
    both = Attend("red star", ("red", "star")).bound(tiny_generator)
    assert float(both.neglected(tiny_generator.noise(1), 0.7, tiny_generator.condition("red star"))) > 0.3


def test_weight_0_is_the_generator_to_the_bit_and_it_is_told_apart(tiny_generator):
    own = tiny_generator.generate(CAPTION, num_steps=1)
    still = tiny_generator.guided(Attend(CAPTION, ("star",), weight=0.0))
    led = tiny_generator.guided(Attend(CAPTION, ("star",)))
    assert torch.equal(still.generate(CAPTION, num_steps=1), own)
    assert not torch.equal(led.generate(CAPTION, num_steps=1), own)
    assert led.fingerprint() not in (own, still.fingerprint(), tiny_generator.fingerprint())


def test_words_that_are_not_there_are_told(tiny_generator):
    for words, said in ((("circle",), "circle"), ("star", "several"), ((), "several")):
        with pytest.raises(ValueError, match=said):
            Attend(CAPTION, words)
    with pytest.raises(ValueError, match="no token"):
        tiny_generator.guided(Attend("a star is red", ("is",)))
    with pytest.raises(ValueError, match="from 0 on"):
        Attend(CAPTION, ("star",), weight=-1.0)


def test_a_u_net_of_diffusers():
    pytest.importorskip("diffusers")
    pytest.importorskip("transformers")
    from generator.pipelines.whole import stable_diffusion

    import latentlab as ll

    generator = ll.load(stable_diffusion().pipe, height=64, width=64)
    guide = Attend("a red car", ("red", "car"), where={"red": [1], "car": [2]})
    told, y = generator.condition("a red car"), torch.randn(1, *generator.latent_shape)
    with torch.no_grad():
        led, plain = (way.velocity(told)(y, 0.8) for way in (generator.guided(guide), generator))
    assert torch.isfinite(led).all()
    assert not torch.equal(led, plain)
