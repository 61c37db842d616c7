"""Adapters on pipelines of diffusers: what `load_lora_weights` draws with a file, `adapted` draws with it."""

import copy

import pytest

pytest.importorskip("diffusers")
pytest.importorskip("peft")

import torch
from generator.pipelines.pipelines import FAMILIES, condition
from safetensors.torch import load_file, save_file

from latentlab.control import extract, merge
from latentlab.generator.adapter import Adapter
from latentlab.generator.load import load

TRIED = ("wan", "animatediff", "modelscope")  # a transformer, and two kinds of U-Nets
RANK, ALPHA = 4, 6.0


@pytest.fixture(scope="module", params=TRIED)
def case(request, tmp_path_factory):
    """A pipeline that diffusers saved, loaded again; what it is told; a file of an adapter in its layout."""
    tiny, folder = FAMILIES[request.param](), tmp_path_factory.mktemp(request.param)
    tiny.pipe.save_pretrained(folder / "pipe")
    generator = load(folder / "pipe", device="cpu")
    role = "transformer" if request.param == "wan" else "unet"
    drawn, tensors = torch.Generator().manual_seed(0), {}
    for name, layer in generator.adaptable[role].named_modules():
        if name.endswith(("to_q", "to_v", "to_out.0")):
            out, inside = layer.weight.shape
            tensors[f"{role}.{name}.lora_A.weight"] = torch.randn(RANK, inside, generator=drawn)
            tensors[f"{role}.{name}.lora_B.weight"] = 0.1 * torch.randn(out, RANK, generator=drawn)
    save_file(tensors, folder / "peft.safetensors", {"format": "pt"})
    latents = torch.randn(1, generator.latent_shape[0], 2, 4, 4, generator=drawn)
    return tiny, generator, condition(tiny, generator), folder, role, latents


def test_it_adds_what_diffusers_adds(case):
    _, generator, told, folder, _, latents = case
    theirs = load(folder / "pipe", device="cpu")
    if not hasattr(theirs.denoiser, "load_lora_adapter"):
        pytest.skip(f"diffusers itself loads no adapter into a {type(theirs.denoiser).__name__}")
    theirs.pipe.load_lora_weights(folder / "peft.safetensors", adapter_name="drawn")
    theirs.pipe.set_adapters("drawn", 0.7)
    ours = generator.adapted({folder / "peft.safetensors": 0.7})
    expected = theirs.velocity(told)(latents, 0.5)
    assert torch.allclose(ours.velocity(told)(latents, 0.5), expected, rtol=1e-6, atol=1e-6)
    assert not torch.allclose(generator.velocity(told)(latents, 0.5), expected, atol=1e-3)
    base = generator.velocity(told)(latents, 0.5)
    assert torch.equal(generator.adapted({folder / "peft.safetensors": 0.0}).velocity(told)(latents, 0.5), base)


def test_kohya_s_file_is_the_same(case, tmp_path):
    _, generator, told, folder, role, latents = case
    tensors = {}
    for name, tensor in load_file(folder / "peft.safetensors").items():
        layer = name.removeprefix(f"{role}.").split(".lora_")[0].replace(".", "_")
        tensors[f"lora_unet_{layer}.{'lora_down' if 'lora_A' in name else 'lora_up'}.weight"] = tensor
        tensors[f"lora_unet_{layer}.alpha"] = torch.tensor(ALPHA)
    save_file(tensors, tmp_path / "kohya.safetensors")
    ours = generator.adapted({tmp_path / "kohya.safetensors": 1.0}).velocity(told)(latents, 0.5)
    peft = generator.adapted({folder / "peft.safetensors": ALPHA / RANK}).velocity(told)(latents, 0.5)
    assert torch.allclose(ours, peft, rtol=1e-6, atol=1e-6)


def test_names_of_the_model_s_authors_are_known_through_diffusers(tmp_path):
    tiny = FAMILIES["wan"]()
    tiny.pipe.save_pretrained(tmp_path / "pipe")
    generator, told = load(tmp_path / "pipe", device="cpu"), None
    told = condition(tiny, generator)
    width = generator.adaptable["transformer"].blocks[0].attn1.to_q.weight.shape[0]
    drawn, tensors = torch.Generator().manual_seed(0), {}
    for block in (0, 1):
        for attention in ("self_attn", "cross_attn"):
            for part in "qkvo":
                name = f"diffusion_model.blocks.{block}.{attention}.{part}"
                tensors[f"{name}.lora_A.weight"] = torch.randn(2, width, generator=drawn)
                tensors[f"{name}.lora_B.weight"] = 0.1 * torch.randn(width, 2, generator=drawn)
    save_file(tensors, tmp_path / "original.safetensors")
    theirs = load(tmp_path / "pipe", device="cpu")
    theirs.pipe.load_lora_weights(tmp_path / "original.safetensors")
    latents = torch.randn(1, 16, 2, 4, 4, generator=drawn)
    ours = generator.adapted({tmp_path / "original.safetensors": 1.0}).velocity(told)(latents, 0.5)
    assert torch.allclose(ours, theirs.velocity(told)(latents, 0.5), rtol=1e-6, atol=1e-6)


def test_ours_is_read_by_diffusers(case, tmp_path):
    """With an alpha that is not the rank, which its header says."""
    _, generator, told, folder, _, latents = case
    read = Adapter.read(folder / "peft.safetensors").scaled(1.5)
    read.save(tmp_path / "ours.safetensors")
    theirs = load(folder / "pipe", device="cpu")
    if not hasattr(theirs.denoiser, "load_lora_adapter"):
        pytest.skip(f"diffusers itself loads no adapter into a {type(theirs.denoiser).__name__}")
    theirs.pipe.load_lora_weights(tmp_path / "ours.safetensors")
    ours = generator.adapted({tmp_path / "ours.safetensors": 1.0}).velocity(told)(latents, 0.5)
    assert torch.allclose(theirs.velocity(told)(latents, 0.5), ours, rtol=1e-6, atol=1e-6)


def test_merged_extracted_and_known(case):
    _, generator, told, folder, role, latents = case
    read = Adapter.read(folder / "peft.safetensors")
    merged = merge(generator, {read: 1.0})
    ours = generator.adapted({read: 1.0})
    assert torch.allclose(merged.velocity(told)(latents, 0.5), ours.velocity(told)(latents, 0.5), atol=1e-4)
    found = extract(merged, generator, rank=RANK)
    assert found.about["kept"] == pytest.approx(1, abs=1e-5)
    assert set(found.updates) == set(read.updates)
    assert len({generator.fingerprint(), merged.fingerprint(), ours.fingerprint()}) == 3
    other = copy.deepcopy(generator.adaptable[role])
    for parameter in other.parameters():
        parameter.data += 0.01
    with pytest.raises(ValueError, match="another base"):
        merge(merged, {found: 1.0})


def test_of_another_family_it_is_refused(case, tmp_path):
    _, generator, *_ = case
    save_file(
        {"transformer.nowhere.lora_A.weight": torch.ones(1, 3), "transformer.nowhere.lora_B.weight": torch.ones(3, 1)},
        tmp_path / "a.safetensors",
    )
    with pytest.raises(ValueError, match="nowhere"):
        generator.adapted({tmp_path / "a.safetensors": 1.0})
