"""Every family, as a tiny random pipeline saved to disk and loaded back, against the pipeline's own call."""

from dataclasses import replace
from math import hypot

import pytest
import torch

pytest.importorskip("diffusers")

from generator.pipelines.pipelines import FAMILIES, Tiny, call, condition
from generator.test_graph import Operations

import latentlab
from latentlab.generator.inverted import Inverted

LANDS_ELSEWHERE = ("animatediff", "cogvideox-2b", "cogvideox-5b")


@pytest.fixture(scope="module", params=FAMILIES)
def family(request, tmp_path_factory) -> tuple[Tiny, latentlab.Generator]:
    tiny = FAMILIES[request.param]()
    folder = tmp_path_factory.mktemp(request.param)
    tiny.pipe.save_pretrained(folder)
    generator = latentlab.load(folder, device="cpu")
    frames, height, width = tiny.video
    generator.config = replace(generator.config, num_frames=frames, height=height, width=width)
    return tiny, generator


def clip(tiny: Tiny, *, count: int = 1, more_frames: int = 0) -> torch.Tensor:
    frames, height, width = tiny.video
    drawn = torch.rand(count, 3, frames + more_frames, height, width, generator=torch.Generator().manual_seed(3))
    return drawn * 2 - 1


def drawn(generator, told, *, count: int = 1, seed: int) -> torch.Tensor:
    """Latents at random, but for an image that they are said to begin with."""
    return generator.completed(generator.noise(count, seed=seed), told.expand(count))


def test_noise_to_be_read_comes_up_levels_between_the_ends_of_the_schedule(family):
    """Even in the root, at fractions of the network's timesteps; what it says there is finite."""
    tiny, generator = family
    told = condition(tiny, generator)
    latents = drawn(generator, told, seed=1)
    own = generator.levels(4, latents.shape[1:]).flip(0)
    made = generator.invert(latents, told, num_steps=4)
    assert (made.levels_for, len(made.levels)) == ("analysis", 5)
    assert (made.levels[0], made.levels[-1]) == (float(own[0]), float(own[-1]))
    steps = torch.tensor(made.levels, dtype=torch.float64).sqrt().diff()
    torch.testing.assert_close(steps, steps.mean().expand(4))
    assert made.noise.isfinite().all()


def as_upstream_lands(tiny: Tiny, generator, noise, guidance: float, num_steps: int) -> torch.Tensor:
    """DDIM as diffusers takes it: each step lands at `t - T // N`, which the next call takes for the next timestep.

    diffusers issues 11347 and 12633; "linspace" is always off, "trailing" where N does not divide T.
    """
    scheduler, velocity = tiny.pipe.scheduler, generator.velocity(condition(tiny, generator), guidance)
    scheduler.set_timesteps(num_steps)
    alphas, x = [*scheduler.alphas_cumprod.double(), scheduler.final_alpha_cumprod.double()], noise
    for t in scheduler.timesteps.tolist():
        ends = alphas[t], alphas[max(t - 1000 // num_steps, -1)]
        s, s_next = (float((1 - a) ** 0.5 / (a**0.5 + (1 - a) ** 0.5)) for a in ends)
        y = hypot(1 - s, s) * x
        x = (y + (s_next - s) * velocity(y, s)) / hypot(1 - s_next, s_next)
    return x


def largest(difference: torch.Tensor, scale: torch.Tensor) -> float:
    return float(difference.abs().max() / scale.abs().max().clamp(min=1))


@torch.no_grad()
@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_six_steps_are_those_of_the_pipeline(family, guidance, request):
    tiny, generator = family
    noise = generator.noise(1)
    theirs = call(tiny, noise, guidance, 6)
    if any(name in request.node.name for name in LANDS_ELSEWHERE):
        ours = as_upstream_lands(tiny, generator, noise, guidance, 6)
    else:
        ours = generator.sample(noise, condition(tiny, generator), num_steps=6, method="ddim", guidance=guidance)
    error = largest(ours - theirs, theirs)
    print(f"{request.node.callspec.id}: 6 steps against the pipeline {error:.1e}")
    assert error <= 2e-5


@torch.no_grad()
def test_a_loop_can_be_recorded_unless_the_family_says_otherwise(family):
    """What reads from the device cannot be a CUDA graph."""
    tiny, generator = family
    told = generator.prepared(condition(tiny, generator), 3.0)
    velocity, y = generator.velocity(told, 3.0), generator.noise(1)
    velocity(y, 0.5)  # tables of positions are made on the first call, as before a recording
    with Operations() as run:
        velocity(y, 0.5)
    reads = {"_local_scalar_dense", "item", "is_nonzero", "equal", "nonzero"} & set(run.names)
    assert generator.capturable is not bool(reads), reads


def test_leapfrog_gives_the_latents_back(family, request):
    tiny, generator = family
    told = condition(tiny, generator)
    latents = drawn(generator, told, count=2, seed=1)
    inverted = generator.invert(latents, told, num_steps=25, method="leapfrog")
    error = (generator.sample(inverted) - latents).norm() / latents.norm()
    print(f"{request.node.callspec.id}: leapfrog there and back {error:.1e}")
    assert error <= 1e-5


def test_under_guidance_the_latents_come_back_to_their_last_digits(family):
    """The state is of double precision, so the network, though in float32, is asked the same twice."""
    tiny, generator = family
    told = condition(tiny, generator)
    latents = drawn(generator, told, seed=2)
    inverted = generator.invert(latents, told, num_steps=8, method="leapfrog", guidance=4.0)
    assert (generator.sample(inverted) - latents).norm() / latents.norm() <= 1e-7


def test_clips_are_coded_as_the_pipeline_codes_them(family):
    tiny, generator = family
    video, vae = clip(tiny), tiny.pipe.vae
    latents = generator.encode(video)
    assert latents.shape == (1, *generator.latent_shape)
    if generator.coder.images:
        frames = video[0].transpose(0, 1)
        kind = {"num_frames": len(frames)} if generator.coder.temporal_decoder else {}
        own = vae.decode(vae.encode(frames).latent_dist.mode(), **kind).sample.transpose(0, 1)[None]
    else:
        own = vae.decode(vae.encode(video).latent_dist.mode()).sample
    torch.testing.assert_close(generator.decode(latents), own.clamp(-1, 1), atol=1e-5, rtol=0)


def test_latents_are_decoded_as_the_pipeline_decodes_them(family):
    tiny, generator = family
    noise = generator.noise(1)
    latents = call(tiny, noise, 1.0, 2)
    theirs = torch.as_tensor(call(tiny, noise, 1.0, 2, output_type="pt"))
    theirs = theirs.transpose(1, 2) if theirs.shape[1] != 3 or theirs.shape[2] == 3 else theirs
    torch.testing.assert_close(generator.decode(latents), 2 * theirs - 1, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("more_frames", "size"), [(1, (32, 32)), (0, (34, 32)), (3, (20, 40))])
def test_no_clip_comes_back_shorter_or_smaller(family, more_frames, size):
    tiny, generator = family
    video = torch.rand(1, 3, tiny.video[0] + more_frames, *size) * 2 - 1
    fits = generator.coder.images and size == (32, 32)
    if not fits:
        with pytest.raises(ValueError, match=rf"holds clips of .*got {video.shape[2]} frames.*padded\(video\) makes"):
            generator.encode(video)
    padded = generator.padded(video)
    frames, height, width = video.shape[2:]
    assert torch.equal(padded[:, :, :frames, :height, :width], video)
    assert generator.decode(generator.encode(padded)).shape == padded.shape
    assert torch.equal(generator.padded(padded), padded)


def test_clips_one_by_one_are_as_clips_together(family):
    tiny, generator = family
    video = clip(tiny, count=2)
    one_by_one, together = (generator.encode(video, batch_size=size) for size in (1, 2))
    torch.testing.assert_close(one_by_one, together, atol=1e-5, rtol=1e-5)
    apart, at_once = (generator.decode(together, batch_size=size) for size in (1, 2))
    torch.testing.assert_close(apart, at_once, atol=1e-5, rtol=1e-5)


def test_an_inverted_latent_survives_the_disk(family, tmp_path):
    tiny, generator = family
    told = condition(tiny, generator)
    latents = drawn(generator, told, seed=4)
    inverted = generator.invert(latents, told, num_steps=3, method="leapfrog", guidance=2.0)
    inverted.save(tmp_path / "clip.safetensors")
    again = Inverted.load(tmp_path / "clip.safetensors")
    assert torch.equal(generator.sample(again), generator.sample(inverted))
    with pytest.raises(ValueError, match="weights was 'other'"):
        generator.sample(replace(again, weights="other"))


def test_captions_need_an_encoder(family):
    _, generator = family
    with pytest.raises(ValueError, match=r"without a text encoder|reads no captions"):
        generator.sample(generator.noise(1), "a red star")
