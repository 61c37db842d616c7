"""A model of images under a class."""

import dataclasses

import pytest
import tiny
import torch

import latentlab as ll
from latentlab.generator.image import ImageGenerator
from latentlab.generator.inverted import Inverted
from latentlab.generator.networks.image import ImageDenoiser, ImageDenoiserConfig, PixelConfig, Pixels
from latentlab.generator.objective import OBJECTIVES
from latentlab.weights import read_weights, save_weights


@pytest.fixture(params=sorted(OBJECTIVES))
def generator(request) -> ImageGenerator:
    return tiny.images(request.param)


def pictures(count=2, seed=0):
    return (
        torch.rand(count, 1, 1, 8, 8, generator=torch.Generator().manual_seed(seed)).expand(-1, 3, -1, -1, -1) * 2 - 1
    )


def test_grey_pictures_come_back_from_pixels():
    generator = tiny.images("ddpm")
    latents = generator.encode(pictures())
    assert latents.shape == (2, *generator.latent_shape)
    assert torch.allclose(generator.decode(latents), pictures(), atol=1e-6)


def test_leapfrog_is_there_and_back_bit_for_bit(generator):
    latents = generator.encode(pictures())
    inverted = generator.invert(latents, "b", method="leapfrog", num_steps=6)
    assert torch.equal(generator.sample(inverted), latents)
    assert inverted.exact
    assert not torch.allclose(inverted.noise, latents, atol=0.1)


def test_an_inverted_image_is_kept_in_a_file(tmp_path):
    generator = tiny.images("ddpm")
    latents = generator.encode(pictures())
    generator.invert(latents, ["a", "any"], method="leapfrog", num_steps=4).save(tmp_path / "noise.safetensors")
    assert torch.equal(generator.sample(Inverted.load(tmp_path / "noise.safetensors")), latents)


def test_a_folder_holds_all_of_it(generator, tmp_path):
    generator.save(tmp_path)
    again = ll.load(tmp_path, device="cpu")
    assert isinstance(again, ImageGenerator)
    assert again.fingerprint() == generator.fingerprint()
    assert again.classes == ("a", "b")
    assert torch.equal(again.generate("b", num_steps=3), generator.generate("b", num_steps=3))


def test_levels_are_those_of_the_objective(generator):
    levels = generator.levels(10, generator.latent_shape)
    begins = 0.9937 if generator.denoiser.config.objective == "ddpm" else 1.0
    assert float(levels[0]) == pytest.approx(begins, abs=1e-4)
    assert float(levels[-1]) == 0


def test_a_class_says_something_and_any_says_nothing():
    generator = tiny.images("v")
    noise = generator.noise(1, seed=1)
    a, b, any_, empty = (generator.sample(noise, name, num_steps=2) for name in ("a", "B ", "any", ""))
    assert not torch.allclose(a, b)
    assert torch.equal(any_, empty)
    guided = generator.sample(noise, "a", num_steps=2, guidance=3.0)
    assert not torch.allclose(guided, a)


@pytest.mark.parametrize("name", ["c", "ab", 3])
def test_a_class_that_there_is_not(name):
    with pytest.raises(ValueError, match="a, b, any"):
        tiny.images("v").condition([name])


def test_churn_depends_on_the_seed_and_on_nothing_else():
    generator = tiny.images("ddpm")
    noise = generator.noise(3)
    together = generator.sample(noise, "a", num_steps=4, churn=1.0, seed=5)
    apart = generator.sample(noise, "a", num_steps=4, churn=1.0, seed=5, batch_size=1)
    assert torch.allclose(together, apart, atol=1e-4)
    assert not torch.allclose(together, generator.sample(noise, "a", num_steps=4, churn=1.0, seed=6), atol=1e-2)
    assert not torch.allclose(together, generator.sample(noise, "a", num_steps=4, method="ddim"), atol=1e-2)


@pytest.mark.parametrize("method", ["midpoint", "leapfrog"])
def test_churn_goes_with_one_method(method):
    generator = tiny.images("ddpm")
    with pytest.raises(ValueError, match=method):
        generator.sample(generator.noise(1), method=method, churn=0.5)


@pytest.mark.parametrize("size", [6, 10])
def test_sides_that_the_network_cannot_hold(size):
    own = tiny.images("ddpm")
    with pytest.raises(ValueError, match=f"{size} x {size}"):
        ImageGenerator(own.pixels, own.denoiser, dataclasses.replace(own.config, height=size, width=size))


def test_colours_need_a_network_of_colours():
    own = tiny.images("ddpm")
    with pytest.raises(ValueError, match="3 channels"):
        ImageGenerator(Pixels(PixelConfig(3)), own.denoiser, own.config)


@pytest.mark.parametrize(
    ("change", "said"),
    [({"objective": "score"}, "no objective 'score'"), ({"kind": "sound"}, "'sound'"), ({"widths": [0]}, "damaged")],
)
def test_a_file_that_says_what_nobody_knows(tmp_path, change, said):
    generator = tiny.images("ddpm")
    generator.save(tmp_path)
    header = read_weights(tmp_path / "denoiser.safetensors")[1]
    save_weights(tmp_path / "denoiser.safetensors", generator.denoiser, {**header, **change})
    with pytest.raises(ValueError, match=said):
        ll.load(tmp_path, device="cpu")


def test_the_layers_start_at_the_best_linear_guess():
    """Zero-initialised, the network says of every state what a Gaussian of unit variance would."""
    for name, own in OBJECTIVES.items():
        network = ImageDenoiser(ImageDenoiserConfig(objective=name, widths=(8,), attention=(False,), patch=1))
        y = torch.randn(2, 1, 1, 4, 4, generator=torch.Generator().manual_seed(0))
        s = torch.tensor([0.2, 0.7])
        skip, _ = own.guess(s[:, None, None, None, None])
        assert torch.allclose(network(y, s, torch.zeros(2, dtype=torch.long)), skip * y)


def test_the_model_of_pictures_ships_by_its_name_unless_a_folder_has_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    generator = ll.load("fashion-mnist", device="cpu")
    assert isinstance(generator, ImageGenerator)
    shoe, shirt = generator.generate(["ankle boot", "t-shirt"], seed=1, num_steps=4)
    assert shoe[:, :, :6].mean() < shirt[:, :, :6].mean() - 0.2  # a shirt reaches the upper edge, a boot hardly does
    (tmp_path / "fashion-mnist").mkdir()
    with pytest.raises(FileNotFoundError, match=r"fashion-mnist holds no generator.json"):
        ll.load("fashion-mnist")
