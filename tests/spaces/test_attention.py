"""Maps of cross-attention: what they are made of, and the masks and edits they lead to."""

from contextlib import ExitStack

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from latentlab.directions import Direction, above, edit
from latentlab.spaces import LatentSpace, attention, watched, words
from latentlab.spaces.hooks import hooked

CAPTION = "a red star moving left"


def test_weights_are_those_that_mixed_the_values():
    draw = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(2, 3, n, 8, generator=draw) for n in (10, 4, 4))
    masks = (None, torch.rand(2, 1, 1, 4, generator=draw) > 0.4, torch.randn(1, 1, 10, 4, generator=draw))
    masks[1][..., 0] = True
    for mask in masks:
        with watched(4) as maps:
            mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
            F.scaled_dot_product_attention(query, query, query)
        assert len(maps) == 1  # attention of the clip to itself is none to a caption
        torch.testing.assert_close(maps[0] @ value, mixed)
    F.scaled_dot_product_attention(query, key, value)
    assert len(maps) == 1  # nothing is kept after the block


def test_the_map_is_the_mean_of_all_layers_at_the_size_of_the_latents(tiny_generator, clips):
    latents = tiny_generator.encode(clips)
    told = tiny_generator.condition(CAPTION)
    whole = attention(tiny_generator, latents, told, range(told.tokens.shape[1]))
    torch.testing.assert_close(whole, torch.ones(3, 1, 4, 2, 2))
    parts = [attention(tiny_generator, latents, told, [t], levels=[0.5]) for t in (1, 2)]
    both = attention(tiny_generator, latents, told, [1, 2], levels=[0.5])
    torch.testing.assert_close(parts[0] + parts[1], both)
    torch.testing.assert_close(attention(tiny_generator, latents[:1], told, [1, 2], levels=[0.5]), both[:1])


def test_where_a_word_is_read_is_where_the_mask_is(tiny_generator, clips):
    """Queries of one frame are made to ask for the word, those of the others to turn away from it."""
    latents, told = tiny_generator.encode(clips), tiny_generator.condition(CAPTION)
    (at,) = words(CAPTION, "star")
    layers = [m for name, m in tiny_generator.denoiser.named_modules() if name.endswith("caption_attention")]

    def asking(layer):
        key = layer.key_value(told.tokens)[0].chunk(2, -1)[0]
        way = key[at] - key[told.mask[0]].mean(0)
        signs = torch.tensor([-1.0, -1.0, 1.0, -1.0])  # one place a frame at the scale that attends
        return lambda query: 50 * signs[:, None] * way.expand_as(query)

    with ExitStack() as stack:
        for layer in layers:
            stack.enter_context(hooked(layer.query, asking(layer)))
        mask = above(attention(tiny_generator, latents, told, [at]))
    wanted = torch.zeros(3, 1, 4, 2, 2)
    wanted[:, :, 2] = 1
    assert torch.equal(mask, wanted)
    space = LatentSpace(tiny_generator)
    direction = Direction("push", np.full(space.dim, space.dim**-0.5), 1.0)
    codes = space.encode(clips)
    moved = space.unflatten(edit(codes, direction, 2.0, mask=mask, shape=space.shape) - codes)
    assert (moved[:, :, 2] > 0).all()
    assert (moved[:, :, [0, 1, 3]] == 0).all()


def test_what_cannot_be_found_is_told(tiny_generator, clips):
    latents, told = tiny_generator.encode(clips), tiny_generator.condition(CAPTION)
    with pytest.raises(ValueError, match=r"tokens must be places from 0 to 7 in the caption, got \[8\]"):
        attention(tiny_generator, latents, told, [8])
    for parts in tiny_generator.denoiser.modules():
        if hasattr(parts, "caption_attention"):
            parts.space_attention = None
    with pytest.raises(ValueError, match="no layer of this denoiser attends from places of the clip to the 8 tokens"):
        attention(tiny_generator, latents, told, [1])
    with pytest.raises(ValueError, match="none of 'blue' is in the caption 'a red star moving left'"):
        words(CAPTION, "blue")
    assert words("a red star, moving left", "red left") == [2, 6]
