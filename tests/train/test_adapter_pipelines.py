"""Adapters trained on pipelines of diffusers: what was learned is what `load_lora_weights` draws with."""

import pytest

pytest.importorskip("diffusers")
pytest.importorskip("transformers")
pytest.importorskip("peft")

import torch
from generator.pipelines import whole

import latentlab as ll
from latentlab.train.adapter import AdapterTraining, train_adapter
from latentlab.train.lessons import Opposites
from latentlab.train.loop import LoopConfig
from latentlab.train.pictures import Examples
from latentlab.train.slider import SliderTraining, train_slider

LOOP = LoopConfig(steps=2, batch_size=1, learning_rate=1e-2, warmup=1, workers=0)
FEW = AdapterTraining(trigger="sharp", rank=2, prior=0.0, loop=LOOP)


def test_a_u_net_saved_by_diffusers(tmp_path):
    own = whole.stable_diffusion()
    own.pipe.save_pretrained(tmp_path / "pipe")
    generator, theirs = (ll.load(tmp_path / "pipe", height=64, width=64, device="cpu") for _ in range(2))
    video = torch.rand(2, 3, 1, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    train_adapter(generator, Examples(video, ("a red car", "a blue dog"), {}), tmp_path / "run", FEW)
    file = tmp_path / "run" / "adapter.safetensors"
    latents, told = torch.randn(1, *generator.latent_shape), generator.condition("a red car")
    with torch.no_grad():
        ours = generator.adapted({file: 1.0}).velocity(told)(latents, 0.5)
        base = generator.velocity(told)(latents, 0.5)
        theirs.pipe.load_lora_weights(file)
        expected = theirs.velocity(told)(latents, 0.5)
    torch.testing.assert_close(ours, expected, rtol=1e-6, atol=1e-6)
    assert not torch.allclose(ours, base, atol=1e-4)


def test_a_slider_of_a_u_net(tmp_path):
    generator = ll.load(whole.stable_diffusion().pipe, height=64, width=64, device="cpu")
    config = SliderTraining(rank=2, clips=1, push=2.0, loop=LOOP)
    slider = train_slider(generator, Opposites.of("a red car", "a blue car"), tmp_path, config)
    latents, told = torch.randn(1, *generator.latent_shape), generator.condition("a car")
    with torch.no_grad():
        low, base, high = (
            generator.adapted({tmp_path / "adapter.safetensors": k}).velocity(told)(latents, 0.5)
            for k in (-1.0, 0.0, 1.0)
        )
    assert torch.equal(base, generator.velocity(told)(latents, 0.5))
    assert not torch.allclose(low, high, atol=1e-5)
    assert slider.about["slider"]["to"] == "a blue car"
