"""The transformer: a denoiser like the U-Net, and what is its own."""

import pytest
import tiny
import torch

import latentlab as ll
from latentlab.generator.generator import GeneratorConfig
from latentlab.generator.native import NativeGenerator
from latentlab.generator.networks.transformer import TransformerConfig, TransformerDenoiser, rotary, rotate
from latentlab.weights import save_weights

SMALL = TransformerConfig(2, 32, width=24, depth=4, head_width=12, window=4, frame_patch=2, registers=2)


def network(config=SMALL) -> TransformerDenoiser:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return tiny.awake(TransformerDenoiser(config)).eval()


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def given(batch=2, frames=4, side=4):
    mask = torch.tensor([[True, True, False]]).expand(batch, -1)
    return draw(batch, 2, frames, side, side), torch.linspace(0.1, 0.9, batch), draw(batch, 3, 32, seed=1), mask


def test_untrained_it_says_what_no_network_says():
    """With zero-initialised layers the velocity is the preconditioner's own, as the U-Net's is."""
    torch.manual_seed(0)
    y, s, tokens, mask = given()
    plain = TransformerDenoiser(SMALL)(y, s, tokens, mask)
    at = s[:, None, None, None, None]
    assert torch.allclose(plain, (2 * at - 1) / ((1 - at) ** 2 + at**2) * y, atol=1e-5)


@pytest.mark.parametrize(("frames", "side"), [(4, 4), (8, 4), (4, 6)])
def test_any_number_of_windows_and_any_size(frames, side):
    y, s, tokens, mask = given(frames=frames, side=side)
    v = network()(y, s, tokens, mask)
    assert v.shape == y.shape
    assert v.dtype == torch.float32


def test_clips_are_apart_and_what_is_masked_is_not_read():
    own, (y, s, tokens, mask) = network(), given()
    v = own(y, s, tokens, mask)
    assert torch.allclose(own(y[1:], s[1:], tokens[1:], mask[1:]), v[1:], atol=1e-5)
    other = tokens.clone()
    other[:, 2] = 7.0
    assert torch.allclose(own(y, s, other, mask), v, atol=1e-6)
    other[:, 1] = 7.0
    assert not torch.allclose(own(y, s, other, mask), v, atol=1e-3)


@pytest.mark.parametrize("at", [(0, 0), (3, 3)])
def test_every_place_and_time_is_seen_from_everywhere(at):
    own, (y, s, tokens, mask) = network(), given(frames=8)
    near = y.clone()
    near[:, :, 0, at[0], at[1]] += 1
    change = (own(near, s, tokens, mask) - own(y, s, tokens, mask)).abs().amax((0, 1))
    assert (change > 0).all()


def test_products_of_turned_tokens_depend_on_differences_of_places():
    angles = rotary((3, 3, 3), 12, registers=0)
    query, key = draw(12), draw(12, seed=1)
    turned = [rotate(x.expand(1, 1, 27, 12), angles)[0, 0] for x in (query, key)]
    products = (turned[0] @ turned[1].T).view(3, 3, 3, 3, 3, 3)
    assert torch.allclose(products[0, 0, 0, 1, 1, 1], products[1, 1, 1, 2, 2, 2], atol=1e-5)
    assert torch.allclose(products[0, 1, 2, 1, 1, 0], products[1, 1, 2, 2, 1, 0], atol=1e-5)
    assert not torch.allclose(products[0, 0, 0, 1, 0, 0], products[0, 0, 0, 0, 1, 0], atol=1e-3)


def test_a_width_that_no_heads_make():
    with pytest.raises(ValueError, match="200"):
        TransformerConfig(width=200)


def test_a_clip_of_another_length_and_size():
    y, s, tokens, mask = given(frames=6)
    with pytest.raises(ValueError, match="got 6"):
        network()(y, s, tokens, mask)
    y, s, tokens, mask = given(side=5)
    with pytest.raises(ValueError, match="5 x 5"):
        network()(y, s, tokens, mask)


@pytest.fixture
def generator():
    other = tiny.generator()
    shape = TransformerConfig(2, 32, width=24, depth=2, head_width=12, window=4, frame_patch=2)
    return NativeGenerator(other.autoencoder, network(shape), other.clip, GeneratorConfig(4, 16, 16))


def test_a_generator_of_it_is_kept_in_a_folder(generator, tmp_path):
    generator.save(tmp_path)
    again = ll.load(tmp_path, device="cpu")
    assert isinstance(again.denoiser, TransformerDenoiser)
    assert torch.equal(again.generate("a red star", num_steps=2), generator.generate("a red star", num_steps=2))
    save_weights(tmp_path / "denoiser.safetensors", generator.denoiser, {"kind": "mamba"})
    with pytest.raises(ValueError, match="mamba"):
        ll.load(tmp_path, device="cpu")


def test_there_and_back_is_bit_for_bit(generator):
    latents = draw(2, 2, 4, 2, 2)
    inverted = generator.invert(latents, "a red star", method="leapfrog", num_steps=4)
    assert torch.equal(generator.sample(inverted), latents)


def test_the_shipped_shape_costs_no_more_than_the_u_net():
    network = TransformerDenoiser()
    assert sum(p.numel() for p in network.parameters()) < 5_000_000
    assert network.config.window // network.config.frame_patch * (8 // network.config.patch) ** 2 == 64
