"""Every family, as a tiny random pipeline saved to disk and loaded back, against the pipeline's own call."""

from dataclasses import replace

import pytest
import torch

pytest.importorskip("diffusers")

from generator.adapters.pipelines import FAMILIES, Tiny

import latentlab
from latentlab.generator.condition import Condition


def condition(told: dict[str, torch.Tensor]) -> Condition:
    tokens, against = told["prompt_embeds"], told["negative_prompt_embeds"]
    mask = torch.ones(tokens.shape[:2], dtype=torch.bool)
    return Condition(tokens, told.get("prompt_attention_mask", mask).bool(), against=Condition(against, mask))


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
    frames, height, width = tiny.video
    theirs = tiny.pipe(
        **tiny.told, latents=noise, num_frames=frames, height=height, width=width, num_inference_steps=6,
        guidance_scale=guidance, output_type="latent",
    ).frames  # fmt: skip
    ours = generator.sample(noise, condition(tiny.told), num_steps=6, method="ddim", guidance=guidance)
    print(largest(ours - theirs, theirs))
    assert largest(ours - theirs, theirs) <= 2e-5


def test_leapfrog_gives_the_latents_back(family):
    tiny, generator = family
    latents = generator.noise(2, seed=1)
    inverted = generator.invert(latents, condition(tiny.told), num_steps=25, method="leapfrog")
    error = (generator.sample(inverted) - latents).norm() / latents.norm()
    print(float(error))
    assert error <= 1e-5
