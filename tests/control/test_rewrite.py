"""Prompt-to-prompt: what is put in is what was seen, word by word, and nothing where nothing is asked."""

import pytest
import torch
import torch.nn.functional as F

import latentlab as ll
from latentlab.control.injected import Seen, Shown
from latentlab.control.rewrite import aligned, rewrite

RUN = {"num_steps": 2, "seed": 1}


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_words_take_each_others_maps_and_new_ones_keep_their_own(tiny_generator):
    same = torch.arange(tiny_generator.condition("").tokens.shape[1])
    assert torch.equal(aligned(tiny_generator, "a red star", "a blue star"), same)
    refined = aligned(tiny_generator, "a star", "a red star , moving left")
    assert refined[:7].tolist() == [0, 1, -1, 2, -1, -1, -1]
    assert refined[7:].tolist() == same[3:-4].tolist()  # the end of the text takes the end of the text
    shorter = aligned(tiny_generator, "a red star", "a star")
    assert shorter[:4].tolist() == [0, 1, 3, 4]
    assert shorter[-1] == -1


def test_cross_attention_is_equation_4_by_hand():
    """softmax of the source's logits times the target's values, a token that is new by its own, one weighed by 2."""
    (query, key, value), (theirs, others, _) = (draw(3, 2, 1, 5, 4, seed=i).unbind(0) for i in (0, 1))
    query, theirs = query[:, :, :3], theirs[:, :, :3]
    align, factors = torch.tensor([0, 2, -1, 3, 4]), torch.tensor([1.0, 1, 1, 2, 1])
    with Seen(5) as seen:
        F.scaled_dot_product_attention(theirs, others, value)
    with Shown(seen, align, factors, (True, True), 0):
        found = F.scaled_dot_product_attention(query, key, value)
    own, source = ((q @ k.mT / 2).softmax(-1) for q, k in ((query, key), (theirs, others)))
    maps = torch.stack([source[..., 0], source[..., 2], own[..., 2], 2 * source[..., 3], source[..., 4]], -1)
    torch.testing.assert_close(found, maps @ value)
    with Shown(seen, align, factors, (True, True), 1):  # the first half is the empty caption of guidance
        half = F.scaled_dot_product_attention(query, key, value)
    torch.testing.assert_close(half[1], found[1])
    torch.testing.assert_close(half[0], (own @ value)[0])


def test_joint_attention_takes_the_sources_part_from_clip_to_tokens_by_hand():
    """Tokens 1 to 3 of 6 places: their columns by the source's, the clip's own part scaled to what is left."""
    (query, key, value), (theirs, others, _) = (draw(3, 1, 1, 6, 4, seed=i).unbind(0) for i in (0, 1))
    align, factors, clip = torch.tensor([0, 2, 1]), torch.tensor([1.0, 3, 1]), [0, 4, 5]
    with Seen(3, slice(1, 4)) as seen:
        F.scaled_dot_product_attention(theirs, others, value)
    own, source = ((q @ k.mT / 2).softmax(-1)[0, 0] for q, k in ((query, key), (theirs, others)))
    for kept in (False, True):
        with Shown(seen, align, factors, (True, kept), 0):
            found = F.scaled_dot_product_attention(query, key, value)
        maps = own.clone()
        for place in clip:
            told = source[place, [1, 3, 2]]
            rest = (source if kept else own)[place, clip]
            maps[place, 1:4] = told * factors
            maps[place, clip] = rest / rest.sum() * (1 - told.sum())
        torch.testing.assert_close(found[0, 0], maps @ value[0, 0])


@pytest.mark.parametrize("kind", ["flux", *(pytest.param(k, marks=pytest.mark.slow) for k in ("sd3", "wan"))])
def test_captions_are_rewritten_on_pipelines_of_joint_and_of_cross_attention(kind):
    pytest.importorskip("diffusers")
    pytest.importorskip("transformers")
    from generator.pipelines import whole

    own = {"flux": whole.flux, "sd3": lambda: whole.sd3(layers=2), "wan": whole.wan}[kind]()
    frames, height, width = own.size
    generator = ll.load(own.pipe, num_frames=frames, height=height, width=width, call=own.call or None)
    noise, steps = generator.noise(1), {"num_steps": 2}

    def drawn(target, **options):
        return rewrite(generator, "a red dog", target, guidance=1.0, **options).sample(noise, **steps)

    before, same = drawn("a red dog", cross=0.0, own=0.0)
    torch.testing.assert_close(same, before, atol=1e-4, rtol=0)
    plain = generator.sample(noise, "a blue dog", method="ddim", guidance=1.0, **steps)
    assert torch.equal(drawn("a blue dog", cross=2.0, own=2.0)[1], plain)
    kept = drawn("a blue dog", cross=0.0, own=0.0)[1]
    assert 0 < (kept - before).abs().mean() < (plain - before).abs().mean()


def test_self_attention_is_the_sources_until_it_is_let_go():
    (query, key, value), (theirs, others, _) = (draw(3, 1, 1, 6, 4, seed=i).unbind(0) for i in (0, 1))
    with Seen(5) as seen:
        F.scaled_dot_product_attention(theirs, others, value)
    for kept, (q, k) in ((True, (theirs, others)), (False, (query, key))):
        with Shown(seen, torch.arange(5), torch.ones(5), (True, kept), 0):
            found = F.scaled_dot_product_attention(query, key, value)
        torch.testing.assert_close(found, (q @ k.mT / 2).softmax(-1) @ value)


def test_the_same_caption_is_the_same_clip(tiny_generator):
    before, after = rewrite(tiny_generator, "a red star", "a red star", cross=0.0, own=0.0).generate(**RUN)
    torch.testing.assert_close(before, after, atol=1e-4, rtol=0)
    own = tiny_generator.generate("a red star", method="ddim", **RUN)
    assert torch.equal(before, own)


def test_kept_nowhere_it_is_the_target_to_the_bit(tiny_generator):
    _, after = rewrite(tiny_generator, "a red star", "a blue star", cross=2.0, own=2.0).generate(**RUN)
    assert torch.equal(after, tiny_generator.generate("a blue star", method="ddim", **RUN))
    _, kept = rewrite(tiny_generator, "a red star", "a blue star").generate(**RUN)
    assert not torch.equal(after, kept)


def test_outside_of_the_blend_latents_are_the_sources(tiny_generator):
    noise = tiny_generator.noise(2, seed=1)
    mask = torch.zeros(1, 1, 4, 16, 16)
    mask[..., :8] = 1
    told = rewrite(tiny_generator, "a red star", "a blue star", blend=mask)
    before, after = told.sample(noise, num_steps=2, batch_size=1)
    assert torch.equal(before[..., 1], after[..., 1])
    assert not torch.equal(before[..., 0], after[..., 0])
    together = told.sample(noise, num_steps=2)[1]
    torch.testing.assert_close(after, together, atol=1e-4, rtol=0)
    found = rewrite(tiny_generator, "a red star", "a blue star", blend=0.5).sample(noise, num_steps=2)
    assert (found[0] == found[1]).any()
    assert not torch.equal(*found)


def test_a_weight_is_heard_and_a_clip_can_be_edited(tiny_generator, clips):
    plain, heavy = (
        rewrite(tiny_generator, "a red star", text).generate(**RUN)[1] for text in ("a red star", "a (red:3) star")
    )
    assert not torch.allclose(plain, heavy, atol=1e-4)
    inverted = tiny_generator.invert(tiny_generator.encode(clips[:1]), "a red star", num_steps=2)
    before, after = rewrite(tiny_generator, "a red star", "a blue star", guidance=1.0).sample(inverted)
    torch.testing.assert_close(before, tiny_generator.sample(inverted), atol=1e-5, rtol=0)
    assert after.shape == before.shape


def test_what_cannot_be_rewritten_is_told(tiny_generator):
    for target, options, said in (
        ("a red horse", {}, "horse"),
        ("red|blue@0.5 star", {}, "on its way"),
        ("a blue star", {"blend": 1.5}, "1.5"),
    ):
        with pytest.raises(ValueError, match=said):
            rewrite(tiny_generator, "a red star", target, **options)


def test_a_u_net_of_diffusers():
    pytest.importorskip("diffusers")
    pytest.importorskip("transformers")
    from generator.pipelines.whole import stable_diffusion

    import latentlab as ll

    generator = ll.load(stable_diffusion().pipe, height=64, width=64)
    noise, mask = generator.noise(1, seed=2), torch.zeros(1, 1, 1, 64, 64)
    mask[..., :32] = 1
    before, after = rewrite(generator, "a red car", "a blue car", blend=mask).sample(noise, num_steps=2)
    half = before.shape[-1] // 2
    assert torch.equal(before[..., half:], after[..., half:])
    assert not torch.equal(before, after)
    free = generator.sample(noise, "a blue car", num_steps=2, method="ddim", guidance=generator.config.guidance)
    assert not torch.equal(free, rewrite(generator, "a red car", "a blue car").sample(noise, num_steps=2)[1])
