"""Words one by one: what the syntax says, and that weights mean what they say."""

import pytest
import torch

from latentlab.control.effect import word_effect
from latentlab.control.places import places
from latentlab.control.prompt import Prompt
from latentlab.control.words import prompted

WHERE = ("velocity", "embedding", "attention")


@pytest.mark.parametrize(
    ("text", "words", "weights", "switches"),
    [
        ("a red star", ("a", "red", "star"), {}, {}),
        ("a (red:1.5), star", ("a", "red", ",", "star"), {1: 1.5}, {}),
        ("(a red:0) star", ("a", "red", "star"), {0: 0.0, 1: 0.0}, {}),
        ("[red] star", ("red", "star"), {0: 1 / 1.1}, {}),
        ("red|blue@0.6 star", ("red", "star"), {}, {0: ("blue", 0.6)}),
        ("(red:1) star", ("red", "star"), {}, {}),
    ],
)
def test_the_syntax(text, words, weights, switches):
    told = Prompt.parse(text)
    assert (told.words, dict(told.weights), dict(told.switches)) == (words, weights, switches)


@pytest.mark.parametrize("text", ["a (red star", "a (red:x) star", "a red) star", "a red|blue star", "red|blue@3 star"])
def test_syntax_that_is_none_is_told(text):
    with pytest.raises(ValueError, match=r"in "):
        Prompt.parse(text)


def draw(told, steps=2):
    return told.generate(num_steps=steps, method="ddim", seed=1)


@pytest.mark.parametrize("where", WHERE)
def test_a_weight_of_1_is_the_caption_to_the_bit(tiny_generator, where):
    told = prompted(tiny_generator, "a (red:1.0) star", where=where)
    own = tiny_generator.generate("a red star", num_steps=2, seed=1)
    assert torch.equal(draw(told), own)
    assert told.generator.fingerprint() == tiny_generator.fingerprint()
    assert not torch.equal(draw(prompted(tiny_generator, "a (red:1.5) star", where=where)), own)


def test_a_weight_of_0_at_the_velocity_is_the_caption_without_the_word(tiny_generator):
    weighed = draw(prompted(tiny_generator, "a (red:0) star"))
    assert torch.allclose(weighed, tiny_generator.generate("a star", num_steps=2, seed=1), atol=1e-3)


def test_a_weight_in_the_attention_is_what_the_softmax_says(tiny_generator):
    """exp(logit + log w) / sum: of one query by hand."""
    from latentlab.control.words import Biased

    query, key, value = torch.randn(3, 2, 1, 5, 4, generator=torch.Generator().manual_seed(0)).unbind(0)
    query, bias = query[:, :, :1], torch.tensor([0.0, 0.7, 0, 0, -0.3])
    expected = ((query @ key.mT / 2 + bias).softmax(-1)) @ value
    mask = torch.ones(2, 1, 1, 5, dtype=torch.bool)
    with Biased(bias, rows=2):
        found = torch.nn.functional.scaled_dot_product_attention(query, key, value)
        masked = torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    assert torch.allclose(found, expected, atol=1e-6)
    assert torch.allclose(masked, expected, atol=1e-6)
    with Biased(bias, rows=1):  # guidance: the first half is the empty caption
        half = torch.nn.functional.scaled_dot_product_attention(query, key, value)
    assert torch.allclose(half[1], expected[1], atol=1e-6)
    assert torch.allclose(half[0], (query @ key.mT / 2).softmax(-1)[0] @ value[0], atol=1e-6)


def test_a_word_takes_over_at_its_level(tiny_generator):
    y, levels = tiny_generator.noise(1), (0.9, 0.3)
    told = prompted(tiny_generator, "a red|blue@0.6 star", guidance=1.0)
    field = told.generator.velocity(told.condition)
    for s, caption in zip(levels, ("a red star", "a blue star"), strict=True):
        assert torch.equal(field(y, s), tiny_generator.velocity(tiny_generator.condition(caption))(y, s))


def test_unknown_words_are_told_before_the_work(tiny_generator):
    with pytest.raises(ValueError, match="horse"):
        prompted(tiny_generator, "a red|horse@0.5 star")
    with pytest.raises(ValueError, match="above 0"):
        prompted(tiny_generator, "a (red:0) star", where="attention")


def test_silent_words_have_no_place_and_a_full_stop_takes_none_from_others(tiny_generator):
    assert places(tiny_generator, "the red star, is moving") == [[1], [2], [3], [4], [], [5]]
    assert places(tiny_generator, "a star. moving!") == [[1], [2], [3]]


def test_the_effect_of_no_other_word_is_nothing(tiny_generator, clips):
    latents = tiny_generator.encode(clips)
    assert word_effect(tiny_generator, latents, "a red star", "a red star").abs().max() == 0
    both = word_effect(tiny_generator, latents, "a red star", "a blue star")
    assert both.shape == (3, 1, 4, 2, 2)
    assert (both > 0).all()
    one = word_effect(tiny_generator, latents[:1], "a red star", "a blue star")
    assert torch.allclose(one, both[:1], atol=1e-6)  # item i depends on (seed, i) alone
