"""Pipelines that no family is written for, driven by their own calls, against those calls."""

import copy
import logging
import threading
from dataclasses import replace
from io import StringIO

import pytest
import torch

pytest.importorskip("diffusers")
pytest.importorskip("transformers")

import diffusers
from generator.pipelines import whole
from generator.pipelines.whole import WHOLE, Whole

import latentlab as ll
from latentlab.generator.inverted import Inverted
from latentlab.generator.pipelines.call import unfit
from latentlab.generator.pipelines.driven import Driven
from latentlab.generator.pipelines.visiting import _towards_noise
from latentlab.generator.pipelines.wan import Wan

CAPTIONS = ["a red dog", "one blue star stops"]


def loaded(own: Whole, **options) -> Driven:
    frames, height, width = own.size
    generator = ll.load(own.pipe, num_frames=frames, height=height, width=width, call=own.call, **options)
    assert isinstance(generator, Driven)
    return generator


@pytest.fixture(scope="module", params=WHOLE)
def driven(request) -> tuple[Whole, Driven]:
    own = WHOLE[request.param]()
    return own, loaded(own)


@pytest.fixture(scope="module")
def flux() -> Driven:
    return loaded(whole.flux())


def called(own: Whole, generator: Driven, noise: torch.Tensor, guidance: float, **more) -> torch.Tensor:
    """What the pipeline's own call makes of noise and captions."""
    call = generator.call
    told = call.arguments(CAPTIONS, generator.size, guidance=guidance, negative=["blurry"] * 2, num_steps=5)
    with torch.no_grad():
        return own.pipe(**told | {"latents": generator.layout(generator.size).states(noise)} | more)[0]


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_two_clips_are_those_of_the_pipelines_own_call(driven, guidance):
    own, generator = driven
    noise, told = generator.noise(2), generator.condition(CAPTIONS, negative="blurry")
    ours = generator.sample(noise, told, num_steps=5, method="ddim", guidance=guidance)
    theirs = generator.layout(generator.size).latents(called(own, generator, noise, guidance, output_type="latent"), 2)
    assert (ours - theirs).abs().max() <= 2e-5 * theirs.std()
    frames = called(own, generator, noise, guidance)
    frames = frames[:, :, None] if frames.ndim == 4 else frames.transpose(1, 2)
    assert (generator.decode(ours) / 2 + 0.5 - frames).abs().max() <= 2e-5


def test_leapfrog_there_and_back_is_exact(driven):
    _, generator = driven
    told = generator.condition(CAPTIONS)
    latents = generator.noise(2, seed=1)
    for guidance in (1.0, 3.0):
        inverted = generator.invert(latents, told, num_steps=3, method="leapfrog", guidance=guidance)
        assert torch.equal(generator.sample(inverted), latents)


def test_the_pipeline_is_left_as_it_is(flux):
    before = dict(vars(flux.pipe))
    flux.generate("a red dog", num_steps=2)
    assert {name: id(part) for name, part in vars(flux.pipe).items()} == {n: id(p) for n, p in before.items()}
    assert type(flux.pipe.scheduler) is diffusers.FlowMatchEulerDiscreteScheduler


def test_a_known_family_keeps_its_own_code():
    from generator.pipelines import pipelines

    own = ll.load(pipelines.wan().pipe, num_frames=9, height=32, width=32)
    assert isinstance(own, Wan)
    assert own.latent_shape == (16, 3, 4, 4)


def test_a_folder_is_driven_too(tmp_path):
    whole.stable_diffusion().pipe.save_pretrained(tmp_path)
    generator = ll.load(tmp_path, device="cpu", height=64, width=64)
    assert (type(generator), generator.latent_shape) == (Driven, (4, 1, 8, 8))
    assert "classifier-free" in repr(generator)


def test_a_latent_that_was_saved_is_sampled_without_the_text_encoder(flux, tmp_path):
    latents = flux.noise(1, seed=1)
    flux.invert(latents, "a red dog", num_steps=3, method="leapfrog").save(tmp_path / "clip.safetensors")
    again = Inverted.load(tmp_path / "clip.safetensors")
    encoders = {name: getattr(flux.pipe, name) for name in ("text_encoder", "text_encoder_2")}
    try:
        for name in encoders:
            setattr(flux.pipe, name, None)
        assert torch.equal(flux.sample(again), latents)
    finally:
        for name, encoder in encoders.items():
            setattr(flux.pipe, name, encoder)


def test_another_size_is_read_when_it_comes(flux):
    larger = torch.randn(1, 4, 1, 8, 10, generator=torch.Generator().manual_seed(0))
    assert flux.sample(larger, num_steps=2).shape == larger.shape
    assert flux.decode(larger).shape == (1, 3, 1, 64, 80)


@pytest.mark.parametrize(
    ("kind", "asked", "said"),
    [
        (
            "flux",
            {"height": 33},
            "FluxPipeline makes clips of one frame and sides .* of 16, got height=33; nearest: 32 and 48",
        ),
        ("flux", {"width": 40}, "multiples of 16, got width=40; nearest: 32 and 48"),
        ("skyreels", {"num_frames": 10}, r"4k \+ 1 frames and sides .* of 16, got num_frames=10; nearest: 9 and 13"),
    ],
)
def test_a_size_that_its_call_would_round_is_refused(kind, asked, said):
    own = getattr(whole, kind)()
    frames, height, width = own.size
    log, heard = logging.getLogger("diffusers"), StringIO()
    log.addHandler(shown := logging.StreamHandler(heard))
    try:
        with pytest.raises(ValueError, match=said):
            ll.load(own.pipe, call=own.call, **({"num_frames": frames, "height": height, "width": width} | asked))
        assert not heard.getvalue()  # what the pipeline says of it at every call is said once, by the error
        log.warning("of another")
        assert heard.getvalue() == "of another\n"
    finally:
        log.removeHandler(shown)


def test_sizes_that_nobody_asked_for_are_held_to_a_few_pixels():
    def size(own: Whole, **asked) -> tuple[int, int, int]:
        config = ll.load(own.pipe, call=own.call or None, at_most=(8, 32), **asked).config
        return config.num_frames, config.height, config.width

    assert size(whole.flux()) == (1, 32, 32)  # its own is 1024
    assert size(whole.flux(), height=64) == (1, 64, 32)
    assert ll.load(whole.flux().pipe, at_most=(1, 40)).config.height == 48  # the next side that its call does not round
    assert size(whole.skyreels()) == (9, 32, 32)  # its own is 97 x 544 x 960; 4k + 1 frames
    assert size(whole.wan()) == (9, 32, 32)  # of a family, which keeps its own shape
    assert ll.load(whole.stable_diffusion().pipe, at_most=(8, 256)).config.height == 64  # its own is less


@pytest.mark.parametrize("asked", [{"height": 0}, {"at_most": (0, 64)}, {"num_frames": 0}])
def test_no_side_and_no_length_is_none(asked):
    with pytest.raises(ValueError, match=r"(height|num_frames|at_most\[0\]) must be at least 1, got 0"):
        ll.load(whole.flux().pipe, **asked)


def test_an_error_about_the_scheduler_names_it_as_its_user_does():
    own = whole.flux()
    generator = loaded(own)
    own.pipe.scheduler = diffusers.DDIMScheduler(clip_sample=False)
    with pytest.raises(ValueError, match=r"diffusers\.schedulers\.scheduling_ddim\.DDIMScheduler.* custom sigmas"):
        generator.generate("a red dog", num_steps=2)


def test_a_call_of_two_runs_is_refused_with_that_reason():
    assert "its call makes two runs: a prior" in str(unfit(diffusers.StableUnCLIPPipeline))


def test_what_packs_latents_two_by_two_holds_sides_of_sixteen(flux):
    odd = torch.zeros(1, 3, 1, 72, 64)
    with pytest.raises(ValueError, match=r"FluxPipeline holds .* of 16, got 1 frames of 72 x 64; .* 1 of 80 x 64"):
        flux.encode(odd)
    assert flux.decode(flux.encode(flux.padded(odd))).shape == (1, 3, 1, 80, 64)
    with pytest.raises(ValueError, match="1 x 9 x 8 latents are none of them"):
        flux.sample(torch.zeros(1, 4, 1, 9, 8), num_steps=2)
    other = copy.copy(flux)
    other.config = replace(flux.config, height=33)
    with pytest.raises(ValueError, match="got height=33; nearest: 32 and 48"):
        other.generate("a red dog", num_steps=2)


@pytest.mark.parametrize(
    ("tokens", "pooled", "said"),
    [
        ((1, 32, 7), (1, 32), r"reads 'tokens' of \(caption, token, 32\), and this condition holds \(1, 32, 7\)"),
        ((1, 5, 32), (1, 32), "was read with captions of 32 tokens and keeps their places, got 5; load it with call="),
        ((1, 32, 32), (1, 9), r"of \(caption, 32\), and this condition holds \(1, 9\)"),
    ],
)
def test_embeddings_of_another_shape_are_refused(flux, tokens, pooled, said):
    told = flux.condition(prompt_embeds=torch.zeros(tokens), pooled_prompt_embeds=torch.zeros(pooled))
    with pytest.raises(ValueError, match=said):
        flux.sample(flux.noise(1), told, num_steps=2)


def test_embeddings_among_the_arguments_are_refused_where_the_network_cannot_read_them(flux):
    given = {"prompt_embeds": torch.zeros(1, 5, 7), "pooled_prompt_embeds": torch.zeros(1, 32)}
    with pytest.raises(
        ValueError, match=r"prompt_embeds \(1, 5, 7\), .* reads tokens of \(caption, token, 32\) \(mat1"
    ):
        ll.load(flux.pipe, height=64, width=64, call=given)
    with pytest.raises(ValueError, match=r"reads '0\.encode_prompt/1' of .* holds none"):
        flux.sample(flux.noise(1), ll.Condition(torch.zeros(1, 32, 32)), num_steps=2)


def test_two_threads_on_one_pipeline_get_what_one_gets(flux):
    alone = [flux.generate(caption, num_steps=3) for caption in CAPTIONS]
    found = [None, None]

    def draw(i: int) -> None:
        found[i] = flux.generate(CAPTIONS[i], num_steps=3)

    threads = [threading.Thread(target=draw, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(a, b) for a, b in zip(alone, found, strict=True))


def test_gradients_go_through_the_call(flux):
    y, told = flux.noise(1).requires_grad_(), flux.condition("a red dog")
    (slope,) = torch.autograd.grad(flux.predict(y, 0.5, told).square().sum(), y)
    assert slope.isfinite().all()
    assert slope.abs().max() > 0


class Noisy(diffusers.StableDiffusionPipeline):
    """A loop that draws noise."""

    def prepare_extra_step_kwargs(self, generator, eta):
        self.unet.conv_in.bias.data += 0.1 * torch.randn(len(self.unet.conv_in.bias))
        return super().prepare_extra_step_kwargs(generator, eta)


def test_what_is_left_to_chance_is_refused():
    with pytest.raises(ValueError, match=r"Noisy cannot be driven: asked twice for a velocity it gives two, \d"):
        loaded(whole.stable_diffusion(Noisy))


def test_a_scheduler_that_adds_noise_is_refused_with_the_remedy():
    own = whole.stable_diffusion(scheduler=diffusers.EulerAncestralDiscreteScheduler())
    with pytest.raises(ValueError, match=r"EulerAncestralDiscreteScheduler cannot be inverted.*from_config"):
        loaded(own)


def test_a_pipeline_without_autoencoder_is_refused():
    pipe = diffusers.DDIMPipeline(whole.unet(), whole.ddim())
    with pytest.raises(ValueError, match="DDIMPipeline cannot be driven: it has no autoencoder"):
        ll.load(pipe)


def test_pictures_among_the_arguments_of_a_call_are_part_of_what_a_latent_remembers(flux):
    def remembered(card):
        generator = copy.copy(flux)
        generator.call = copy.copy(flux.call)
        generator.call.more = {"control_image": card}
        return generator.settings()["call"]["control_image"]

    black, white = torch.zeros(1, 3, 8, 8), torch.ones(1, 3, 8, 8)
    assert remembered(black) == remembered(black.clone()) != remembered(white)


def test_what_an_offloading_pipeline_moves_is_moved_back(flux, monkeypatch):
    moved = []
    monkeypatch.setattr(flux.pipe, "_all_hooks", ["of each network"], raising=False)
    monkeypatch.setattr(flux.pipe, "maybe_free_model_hooks", lambda: moved.append("back"), raising=False)
    told = flux.condition("a red dog")
    assert moved == ["back"]
    latents = flux.sample(flux.noise(1), told, num_steps=2)
    assert len(moved) == 2
    flux.decode(latents)
    assert len(moved) == 3
    with pytest.raises(ValueError):
        flux.decode(latents[:, :1])
    assert len(moved) == 4  # after an error, too


def test_a_denoiser_an_autoencoder_and_a_scheduler_are_a_pipeline(flux):
    pipe, told = flux.pipe, flux.condition("a red dog")
    embeds = {"prompt_embeds": told.tokens, "pooled_prompt_embeds": torch.randn(1, 32)}
    alone = ll.load(pipe.transformer, pipe.vae, pipe.scheduler, call=embeds, height=64, width=64)
    whole_ = Driven(pipe, call=embeds, height=64, width=64)
    y = flux.noise(1)
    assert torch.equal(alone.predict(y, 0.6, alone.condition()), whole_.predict(y, 0.6, whole_.condition()))
    with pytest.raises(ValueError, match=r"a FluxTransformer2DModel alone makes no clips; give its scheduler, too"):
        ll.load(pipe.transformer, pipe.vae)
    with pytest.raises(ValueError, match="which pipeline of diffusers a Linear belongs to is not known"):
        ll.load(torch.nn.Linear(1, 1), pipe.vae, pipe.scheduler)
    with pytest.raises(ValueError, match="vae and scheduler go with a denoiser of diffusers, got str"):
        ll.load("folder", pipe.vae)


def test_a_step_of_timesteps_by_token_turns_the_sign():
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler()
    scheduler.set_timesteps(4)
    v, x = torch.randn(2, 1, 6, 8, generator=torch.Generator().manual_seed(0))
    by_token = {"per_token_timesteps": scheduler.timesteps[0].expand(1, 6)}
    after = scheduler.step(-v, scheduler.timesteps[0], x, **by_token, return_dict=False)[0]
    torch.testing.assert_close(after, x + (scheduler.sigmas[1] - scheduler.sigmas[0]) * v)
    torch.testing.assert_close(_towards_noise(-v, by_token), v)
    torch.testing.assert_close(_towards_noise(v, {}), v)


def test_what_a_call_cannot_be_told_is_said_at_the_door():
    own = whole.flux()
    with pytest.raises(ValueError, match="the call of FluxPipeline has no argument 'foo'; it has prompt, "):
        ll.load(own.pipe, height=64, width=64, call={"foo": 1})
    generator = ll.load(own.pipe, height=64, width=64, call=own.call)
    with pytest.raises(ValueError, match="the call of FluxPipeline has no argument 'promt_embeds'; it has prompt, "):
        generator.condition("a red dog", promt_embeds=None)
    with pytest.raises(ValueError, match="makes images, clips of one frame, got num_frames=3"):
        ll.load(own.pipe, num_frames=3, height=64, width=64)
    own.pipe.text_encoder_2 = None
    with pytest.raises(ValueError, match="loaded without its text_encoder_2, so it reads no caption"):
        ll.load(own.pipe, height=64, width=64)
