"""Maps of words: those of cross-attention against `attention`, those of joint attention against the softmax by hand."""

import pytest
import torch
import torch.nn.functional as F

from latentlab.control.maps import Attended, word_maps
from latentlab.spaces import attention

CAPTION = "a red star moving left"


def test_cross_attention_is_that_of_attention(tiny_generator, clips):
    latents, told = tiny_generator.encode(clips), tiny_generator.condition(CAPTION)
    found = word_maps(tiny_generator, latents, CAPTION, levels=(0.5, 0.7))
    assert found.words == tuple(CAPTION.split())
    assert found.maps.shape[:2] == (3, 2)
    assert found.maps.shape[4:] == (5, 4, 2, 2)
    with torch.no_grad():  # the same noise gives the same map
        own = attention(tiny_generator, latents, told, range(told.tokens.shape[1]), levels=(0.5, 0.7))
    assert float(found.mean().sum(1).max()) <= float(own.max()) + 1e-5
    apart = word_maps(tiny_generator, latents[1:2], CAPTION, heads=True, levels=(0.5,))
    same = word_maps(tiny_generator, latents[1:2], CAPTION, levels=(0.5,))
    torch.testing.assert_close(apart.mean(), same.mean())
    assert apart.maps.shape[3] > 1


@pytest.mark.parametrize("start", [0, 6])
def test_joint_attention_is_the_softmax_over_tokens(start):
    draw = torch.Generator().manual_seed(0)
    query, key = (torch.randn(2, 3, 10, 8, generator=draw) for _ in range(2))
    seen: list[torch.Tensor] = []
    with Attended(4, slice(start, start + 4), seen.append):
        F.scaled_dot_product_attention(query, key, key)
    clip = [i for i in range(10) if not start <= i < start + 4]
    by_hand = (query[:, :, clip] @ key[:, :, start : start + 4].mT / 8**0.5).softmax(-1)
    torch.testing.assert_close(seen[0], by_hand)


def test_maps_are_saved_and_drawn_over_the_clip(tiny_generator, clips, tmp_path):
    from safetensors.torch import load_file

    found = word_maps(tiny_generator, tiny_generator.encode(clips), CAPTION, levels=(0.5,))
    found.save(tmp_path / "maps.safetensors")
    assert torch.equal(load_file(tmp_path / "maps.safetensors")["maps"], found.maps)
    film = found.over(clips, "star")
    assert film.shape == clips.shape
    assert -1 <= float(film.min()) <= float(film.max()) <= 1
    with pytest.raises(ValueError, match="no word 'circle'"):
        found.of("circle")


@pytest.mark.parametrize("name", ["StableDiffusion", "StableDiffusion3", "Flux"])
def test_pipelines_of_a_u_net_and_of_transformers(name):
    """SD3 puts the clip before the tokens, FLUX after them; neither is told."""
    pytest.importorskip("diffusers")
    pytest.importorskip("transformers")
    from generator.pipelines.whole import WHOLE

    import latentlab as ll

    whole = WHOLE[name]()
    generator = ll.load(whole.pipe, height=whole.size[1], width=whole.size[2], call=whole.call)
    latents = torch.randn(1, *generator.latent_shape)
    found = word_maps(generator, latents, "a red car", where={"red": [1], "car": [2]}, levels=(0.5,))
    assert found.mean().shape == (1, 2, *latents.shape[2:])
    assert float(found.maps.min()) >= 0
    assert float(found.maps.max()) <= 1
