"""Spaces, directions, studies and changed weights through driven pipelines."""

import pytest
import torch

pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from generator.pipelines import whole
from generator.pipelines.test_driven import loaded

import latentlab as ll
from latentlab.dimensions.perturbation import perturb
from latentlab.directions import JacobianSVD
from latentlab.generator.pipelines.driven import Driven
from latentlab.spaces import attention
from latentlab.study.roundtrip import roundtrip


@pytest.fixture(scope="module", params=["Flux", "StableDiffusionXL"])
def driven(request) -> Driven:
    return loaded(whole.WHOLE[request.param]())


@pytest.fixture(scope="module")
def clips(driven) -> torch.Tensor:
    return driven.generate(["a red dog", "one blue star"], num_steps=2)


def test_latent_and_noise_codes_give_the_clips_back(driven, clips):
    latent, noise = ll.LatentSpace(driven), ll.NoiseSpace(driven, num_steps=3, method="leapfrog")
    again = driven.decode(driven.encode(clips))
    torch.testing.assert_close(latent.decode(latent.encode(clips)), again)
    assert noise.encode(clips).shape == (2, driven.noise(1).numel())


def test_unmoved_activations_give_the_clips_round_trip(driven, clips):
    here = ll.BottleneckSpace(driven, num_steps=2).around(clips)
    codes, same = here.codes, here.unedited
    assert torch.equal(same, driven.decode(driven.encode(clips)))
    # A shift alone is taken out by the layer norm that follows in a transformer.
    moved = codes + torch.randn(codes.shape, generator=torch.Generator().manual_seed(0))
    assert (here.decode(moved) - same).abs().max() > 1e-4


def test_a_caption_as_a_code_draws_what_the_caption_draws(driven):
    space = ll.TextSpace(driven, num_steps=2)
    drawn = driven.generate("a red dog", num_steps=2)
    torch.testing.assert_close(space.decode(space.encode_captions("a red dog")), drawn, atol=1e-5, rtol=0)


def test_directions_of_the_network_are_found_by_its_jacobian(driven):
    told, shape = driven.condition("a red dog"), driven.latent_shape

    def velocity(code: torch.Tensor) -> torch.Tensor:
        return driven.predict(code.reshape(-1, *shape), 0.6, told.expand(len(code))).flatten(1)

    found = JacobianSVD(function=velocity, count=2, blocks=2).fit(driven.noise(2).flatten(1))
    assert len(found.directions_) == 2


def test_studies_take_an_image_for_a_clip_of_one_frame(driven, clips):
    trip = roundtrip(driven, clips[:1], "a red dog", num_steps=2, method="leapfrog")
    assert trip.numbers()["inversion_psnr"] > 100
    moved = perturb(ll.LatentSpace(driven), clips, dims=[0, 1], strengths=(1.0,))
    assert moved is not None


def test_attention_to_words_is_seen_where_captions_enter_by_cross_attention():
    sdxl = loaded(whole.sdxl())
    told = sdxl.condition("a red dog")
    seen = attention(sdxl, sdxl.noise(1), told, [2], levels=(0.5,))
    assert seen.shape == (1, 1, 1, 8, 8)


# ------------------------------------------------------------------------------------------------------ changed weights
def returns(generator: Driven) -> ll.Inverted:
    """Inverts, and checks the way back."""
    latents = generator.noise(1, seed=3)
    inverted = generator.invert(latents, "a red dog", num_steps=2, method="leapfrog")
    assert torch.equal(generator.sample(inverted), latents)
    return inverted


def test_an_adapter_whose_scale_changed_is_refused():
    peft = pytest.importorskip("peft")
    own = whole.stable_diffusion()
    own.pipe.unet.add_adapter(peft.LoraConfig(r=2, target_modules=["to_q", "to_v"], init_lora_weights=False), "style")
    generator = loaded(own)
    inverted = returns(generator)
    own.pipe.set_adapters("style", 0.5)
    with pytest.raises(ValueError, match="weights was"):
        generator.sample(inverted)


def test_weights_in_eight_bits_come_back():
    torchao = pytest.importorskip("torchao.quantization")
    own = whole.flux()
    torchao.quantize_(own.pipe.transformer, torchao.Int8WeightOnlyConfig())
    returns(loaded(own))


def test_weights_of_gguf_come_back():
    gguf = pytest.importorskip("gguf")
    from diffusers.quantizers.gguf.utils import GGUFParameter, _replace_with_gguf_linear

    own = whole.flux()
    before = own.pipe.transformer.state_dict()
    state = {}
    for name, weight in own.pipe.transformer.state_dict().items():
        if name.endswith("attn.to_q.weight"):
            packed = gguf.quants.quantize(weight.numpy(), gguf.GGMLQuantizationType.Q8_0)
            state[name] = GGUFParameter(torch.from_numpy(packed), quant_type=gguf.GGMLQuantizationType.Q8_0)
    _replace_with_gguf_linear(own.pipe.transformer, torch.float32, state)
    for name, weight in state.items():
        layer = own.pipe.transformer.get_submodule(name.removesuffix(".weight"))
        layer.weight, layer.bias = weight, torch.nn.Parameter(before[name.replace("weight", "bias")])
    returns(loaded(own))


def test_groups_of_layers_that_wait_elsewhere_come_back():
    from diffusers.hooks import apply_group_offloading

    own = whole.flux()
    plain = loaded(own).generate("a red dog", num_steps=2)
    options = {"onload_device": torch.device("cpu"), "offload_device": torch.device("cpu")}
    apply_group_offloading(own.pipe.transformer, offload_type="leaf_level", **options)
    generator = loaded(own)
    returns(generator)
    assert torch.equal(generator.generate("a red dog", num_steps=2), plain)
