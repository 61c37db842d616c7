"""Every family, as a tiny random pipeline saved to disk and loaded back, against the pipeline's own call."""

from dataclasses import replace

import pytest
import torch

pytest.importorskip("diffusers")

from generator.adapters.pipelines import FAMILIES, Tiny, call, condition

import latentlab


@pytest.fixture(scope="module", params=FAMILIES)
def family(request, tmp_path_factory) -> tuple[Tiny, latentlab.Generator]:
    tiny = FAMILIES[request.param]()
    folder = tmp_path_factory.mktemp(request.param)
    tiny.pipe.save_pretrained(folder)
    generator = latentlab.load(folder, device="cpu")
    frames, height, width = tiny.video
    generator.config = replace(generator.config, num_frames=frames, height=height, width=width)
    return tiny, generator


def largest(difference: torch.Tensor, scale: torch.Tensor) -> float:
    return float(difference.abs().max() / scale.abs().max().clamp(min=1))


@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_six_steps_are_those_of_the_pipeline(family, guidance):
    tiny, generator = family
    noise = generator.noise(1)
    theirs = call(tiny, noise, guidance, 6)
    ours = generator.sample(noise, condition(tiny, generator), num_steps=6, method="ddim", guidance=guidance)
    print(largest(ours - theirs, theirs))
    assert largest(ours - theirs, theirs) <= 2e-5


@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_leapfrog_gives_the_latents_back(family, guidance):
    tiny, generator = family
    latents = generator.noise(2, seed=1)
    told = condition(tiny, generator)
    inverted = generator.invert(latents, told, num_steps=25, method="leapfrog", guidance=guidance)
    error = (generator.sample(inverted) - latents).norm() / latents.norm()
    print(float(error))
    assert error <= 1e-5
