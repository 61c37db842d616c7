"""Spaces, finders, edits, studies and pages on pipelines of images and of video, driven and of a family."""

import numpy as np
import pytest
import torch

pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from generator.pipelines import whole

import latentlab as ll
from latentlab.control import word_maps
from latentlab.data import Labelled
from latentlab.dimensions import perturb
from latentlab.directions import PCA, Contrastive, JacobianSVD
from latentlab.factors import Factor, FactorTable
from latentlab.generator.generator import Generator
from latentlab.study.edit_space import edit_space
from latentlab.study.flicker_source import flicker_source
from latentlab.study.recipe import Recipe
from latentlab.study.roundtrip import roundtrip
from latentlab.study.sources import directions_of_captions, directions_of_clips, directions_of_labels
from latentlab.study.steps import Step
from latentlab.tour import tour

CAPTIONS = ["a red dog", "one blue star", "a green cat stops", "two small cars"]
DRAWN = ll.DRAW.but(num_steps=2, batch_size=1)


def loaded(own: whole.Whole) -> Generator:
    frames, height, width = own.size
    return ll.load(own.pipe, num_frames=frames, height=height, width=width, call=own.call or None)


QUICK = ("StableDiffusionXL", "Wan")  # images and video, driven and of a family, a U-Net and a transformer


@pytest.fixture(
    scope="module", params=[pytest.param(kind, marks=[pytest.mark.slow] * (kind not in QUICK)) for kind in whole.FIVE]
)
def generator(request) -> Generator:
    return loaded(whole.FIVE[request.param]())


@pytest.fixture(scope="module")
def clips(generator) -> torch.Tensor:
    return torch.cat([generator.generate(caption, sampler=DRAWN, seed=i) for i, caption in enumerate(CAPTIONS)])


def test_latent_and_noise_codes_give_the_clips_back(generator, clips):
    latent, noise = ll.LatentSpace(generator), ll.NoiseSpace(generator, num_steps=2, method="leapfrog")
    again = generator.decode(generator.encode(clips[:2]))
    torch.testing.assert_close(latent.decode(latent.encode(clips[:2])), again)
    here = noise.around(clips[:1])
    assert here.codes.shape == (1, generator.noise(1).numel())
    torch.testing.assert_close(here.decode(here.codes), again[:1], atol=1e-5, rtol=0)


def test_unmoved_activations_give_the_clips_round_trip(generator, clips):
    here = ll.BottleneckSpace(generator, num_steps=2).around(clips[:2])
    codes, same = here.codes, here.unedited
    assert torch.equal(same, generator.decode(generator.encode(clips[:2])))
    # A shift alone is taken out by the layer norm that follows in a transformer.
    moved = codes + codes.std() * torch.randn(codes.shape, generator=torch.Generator().manual_seed(0))
    assert (here.decode(moved) - same).abs().max() > 1e-4


def test_a_caption_as_a_code_draws_what_the_caption_draws(generator):
    space = ll.TextSpace(generator, num_steps=2)
    drawn = generator.generate("a red dog", num_steps=2)
    torch.testing.assert_close(space.decode(space.encode_captions("a red dog")), drawn, atol=1e-5, rtol=0)


def test_directions_are_found_from_labels_captions_clips_and_the_network(generator, clips):
    size = FactorTable(np.array([[1.0], [2.0], [3.0], [5.0]]), (Factor("size", "continuous", 0, 6, "pixels"),))
    found = directions_of_labels(generator, Labelled(clips, size, tuple("abcd"), "by hand"))
    assert found.names == ("size",)
    found = directions_of_captions(generator, *CAPTIONS[:2], count=2, sampler=DRAWN)
    assert found.names == ("a red dog > one blue star",)
    assert len(directions_of_clips(generator, clips, count=2)) == 2
    told, shape = generator.condition("a red dog"), generator.latent_shape

    def velocity(code: torch.Tensor) -> torch.Tensor:
        return generator.predict(code.reshape(-1, *shape), 0.6, told.expand(len(code))).flatten(1)

    codes = generator.noise(2).flatten(1)
    assert len(JacobianSVD(function=velocity, count=2, blocks=2).fit(codes).directions_) == 2
    assert np.isfinite(Contrastive(features=velocity, count=2, steps=2, batch_size=2).fit(codes).loss_).all()


@pytest.mark.parametrize("space", ["latent", "noise", "h-space"])
def test_a_recipe_that_was_saved_replays_to_the_same_frames(generator, clips, space, tmp_path):
    codes = edit_space(generator, space, num_steps=2).around(clips[:2]).codes.flatten(1)
    one = PCA(count=1).fit(codes)["pca0"]
    edited = Recipe(space, (Step(one, 2.0),), num_steps=2).apply(generator, clips[:1])
    assert (edited.video - edited.unedited).abs().max() > 1e-4
    edited.recipe.save(tmp_path / "edit.safetensors")
    again = Recipe.load(tmp_path / "edit.safetensors").replay(generator, clips[:1])
    assert torch.equal(again.video, edited.video)


@pytest.mark.slow  # 25 steps
def test_a_clip_is_edited_by_its_caption(generator, clips):
    edited = ll.edit_clip(generator, clips[:1], caption="a blue dog", source="a red dog")
    assert edited.video.shape == clips[:1].shape
    assert edited.given == "captions"


def test_round_trip_and_perturbation_are_measured(generator, clips):
    trip = roundtrip(generator, clips[:1], "a red dog", num_steps=2, method="leapfrog")
    assert trip.numbers()["inversion_psnr"] > 100
    moved = perturb(ll.LatentSpace(generator), clips[:2], dims=[0, 1], strengths=(1.0,))
    assert (moved.map > 0).all(0).any()


def test_flicker_is_followed_and_images_have_none(generator):
    if generator.config.num_frames == 1:
        with pytest.raises(ValueError, match="frame"):
            flicker_source(generator, generator.noise(1), "a red dog", num_steps=2)
        return
    source = flicker_source(generator, generator.noise(1), "a red dog", num_steps=2, every=1)
    assert source.curve().shape == (len(source.levels), 1)
    for seen in source.decoded:  # of noise as random weights draw it, hardly anything can be followed
        assert seen.overall.isfinite().all() or "can be followed" in seen.reason[0]


def test_each_place_looks_at_each_word(generator, clips):
    found = word_maps(generator, generator.encode(clips[:1]), "a red dog", levels=(0.5,))
    assert found.words == ("a", "red", "dog")
    assert found.mean().shape == (1, 3, *generator.latent_shape[1:])
    assert 0 < float(found.mean().sum(1).max()) <= 1 + 1e-5


def test_the_explorer_draws_along_a_slider(generator, clips):
    pytest.importorskip("ipywidgets", reason="the explorer needs the extra [notebook]")
    explorer = ll.explore(ll.LatentSpace(generator), directions_of_clips(generator, clips, count=1), clip=clips[:1])
    try:
        assert explorer.wait(60)
        before = explorer.video
        explorer.sliders["pca0"].value = 2.0
        assert explorer.wait(60)
        assert (explorer.video - before).abs().max() > 1e-4
    finally:
        explorer.close()


@pytest.mark.slow  # a whole tour
def test_the_tour_tells_what_took_the_place_of_exact_factors(generator, tmp_path):
    record = tour(tmp_path, model=generator, num_steps=2)
    page = (tmp_path / "report.html").read_text()
    for chapter in ("from captions", "and back", "Between two clips", "A direction from “a red car” to “a blue car”"):
        assert chapter in page
    assert "takes the place of the exact factors" in page
    assert record.numbers["direction"]["given"].startswith("4 clips drawn under each of two captions")


@pytest.mark.slow  # a whole tour
def test_the_tour_of_a_folder_is_small_on_a_cpu_and_says_so(tmp_path):
    whole.flux().pipe.save_pretrained(tmp_path / "flux")
    record = tour(tmp_path / "out", model=tmp_path / "flux", num_steps=1, device="cpu")
    assert (record.settings["height"], record.settings["width"]) == (256, 256)  # its own is 1024
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Images are 256 x 256 here: without another size, pipelines are held to 17 frames and 256 pixels" in page
