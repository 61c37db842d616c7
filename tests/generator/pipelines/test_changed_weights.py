"""Weights that are adapted, quantised, cast or kept elsewhere: drawn with, inverted and replayed; changes are seen."""

import pytest
import torch

pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from generator.pipelines import whole
from generator.pipelines.test_driven import loaded

import latentlab as ll
from latentlab.directions import PCA
from latentlab.generator.pipelines.driven import Driven
from latentlab.study.recipe import Recipe
from latentlab.study.steps import Step


def holds(generator: Driven, folder) -> ll.Inverted:
    """Draws, inverts, comes back and replays a recipe that was saved."""
    latents = generator.sample(generator.noise(1, seed=3), "a red dog", num_steps=2)
    inverted = generator.invert(latents, "a red dog", num_steps=2, method="leapfrog")
    assert torch.equal(generator.sample(inverted), latents)
    clip = generator.decode(latents)
    codes = torch.cat([generator.encode(clip), generator.noise(1)]).flatten(1)
    edited = Recipe("noise", (Step(PCA(count=1).fit(codes)["pca0"], 0.5),), num_steps=2).apply(generator, clip)
    edited.recipe.save(folder / "edit.safetensors")
    assert torch.equal(Recipe.load(folder / "edit.safetensors").replay(generator, clip).video, edited.video)
    return inverted


def test_an_adapter_whose_scale_changed_is_refused(tmp_path):
    peft = pytest.importorskip("peft")
    own = whole.stable_diffusion()
    own.pipe.unet.add_adapter(peft.LoraConfig(r=2, target_modules=["to_q", "to_v"], init_lora_weights=False), "style")
    generator = loaded(own)
    inverted = holds(generator, tmp_path)
    own.pipe.set_adapters("style", 0.5)
    with pytest.raises(ValueError, match="weights was"):
        generator.sample(inverted)
    clip = generator.decode(generator.noise(1))
    with pytest.raises(ValueError, match="another model than the recipe was made with"):
        Recipe.load(tmp_path / "edit.safetensors").replay(generator, clip)


def test_weights_in_eight_bits(tmp_path):
    torchao = pytest.importorskip("torchao.quantization")
    own = whole.flux()
    torchao.quantize_(own.pipe.transformer, torchao.Int8WeightOnlyConfig())
    holds(loaded(own), tmp_path)


def test_weights_of_gguf(tmp_path):
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
    holds(loaded(own), tmp_path)


@pytest.mark.slow
def test_weights_kept_in_eight_bits_and_cast_layer_by_layer(tmp_path):
    own = whole.flux()
    plain = loaded(whole.flux()).generate("a red dog", num_steps=2)
    own.pipe.transformer.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.float32)
    assert torch.float8_e4m3fn in {p.dtype for p in own.pipe.transformer.parameters()}
    generator = loaded(own)
    holds(generator, tmp_path)
    assert 0 < (generator.generate("a red dog", num_steps=2) - plain).abs().max() < 0.2


@pytest.mark.slow
def test_groups_of_layers_that_wait_elsewhere(tmp_path):
    from diffusers.hooks import apply_group_offloading

    own = whole.flux()
    plain = loaded(own).generate("a red dog", num_steps=2)
    options = {"onload_device": torch.device("cpu"), "offload_device": torch.device("cpu")}
    apply_group_offloading(own.pipe.transformer, offload_type="leaf_level", **options)
    generator = loaded(own)
    holds(generator, tmp_path)
    assert torch.equal(generator.generate("a red dog", num_steps=2), plain)
