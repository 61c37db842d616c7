"""Training of the image denoiser: it learns, it goes on, and says what it cannot take."""

import dataclasses

import numpy as np
import pytest
import torch

import latentlab as ll
from latentlab.cli import main
from latentlab.data import Drifting, Images, images
from latentlab.generator.generator import GeneratorConfig
from latentlab.generator.image import ImageGenerator
from latentlab.generator.networks.image import ImageDenoiserConfig, inflated
from latentlab.train.image import ImageTraining, pixels_of, train_image_denoiser, with_classes
from latentlab.train.loop import LoopConfig

SMALL = ImageDenoiserConfig(widths=(8, 16), head_width=8)


def training(data, objective="ddpm", steps=3, **loop) -> ImageTraining:
    network = with_classes(dataclasses.replace(SMALL, objective=objective), data, classes=True)
    return ImageTraining(LoopConfig(steps=steps, batch_size=8, workers=0, save_every=1, **loop), network)


def squares(count=64) -> Images:
    """Black or white pictures, by class."""
    labels = np.arange(count) % 2
    return Images(
        np.full((count, 8, 8, 1), 255, np.uint8) * labels[:, None, None, None].astype(np.uint8), labels, ("b", "w"), "s"
    )


@pytest.mark.parametrize("objective", ["ddpm", "flow"])
def test_a_network_learns_what_its_classes_look_like(objective, tmp_path):
    data = squares()
    network = with_classes(
        ImageDenoiserConfig(objective=objective, widths=(8,), attention=(False,)), data, classes=True
    )
    config = ImageTraining(
        LoopConfig(steps=80, batch_size=32, learning_rate=1e-2, warmup=5, ema=0.9, workers=0), network
    )
    trained = train_image_denoiser(data, tmp_path, config, device="cpu")
    generator = ImageGenerator(pixels_of(data), trained, GeneratorConfig(1, 8, 8))
    drawn = generator.generate(["b", "w"] * 4, seed=3, num_steps=10).mean((1, 2, 3, 4))
    assert (drawn[::2] < -0.5).all()
    assert (drawn[1::2] > 0.5).all()


def test_a_run_that_was_stopped_takes_the_same_steps(tmp_path):
    data = images("digits")
    whole = train_image_denoiser(data, tmp_path / "a", training(data, steps=4, decay=0.0), device="cpu")
    train_image_denoiser(data, tmp_path / "b", training(data, steps=2, decay=0.0), device="cpu")
    again = train_image_denoiser(data, tmp_path / "b", training(data, steps=4, decay=0.0), device="cpu")
    for ours, theirs in zip(whole.parameters(), again.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_checkpoint_of_another_objective_is_refused(tmp_path):
    data = images("digits")
    trained = train_image_denoiser(data, tmp_path, training(data, "ddpm", 1), device="cpu")
    with pytest.raises(ValueError, match=r"objective was ddpm, is flow"):
        train_image_denoiser(data, tmp_path, training(data, "flow", 2), device="cpu")
    with pytest.raises(ValueError, match="flow"):
        train_image_denoiser(data, tmp_path / "new", training(data, "flow", 2), device="cpu", start=trained)
    assert not (tmp_path / "new").exists()


def test_sides_that_do_not_fit_are_said_before_anything(tmp_path):
    data = Images(np.zeros((4, 6, 8, 1), np.uint8), np.zeros(4, int), ["a"], "here")
    with pytest.raises(ValueError, match="6 x 8"):
        train_image_denoiser(data, tmp_path / "run", training(data), device="cpu")
    assert not (tmp_path / "run").exists()


def test_pixels_have_mean_0_and_variance_1():
    data = images("digits")
    latents = pixels_of(data).encode(data.clips())
    assert float(latents.mean()) == pytest.approx(0, abs=1e-5)
    assert float(latents.std()) == pytest.approx(1, abs=1e-4)


def run(*arguments) -> int:
    return main([str(a) for a in arguments])


def test_from_a_data_set_to_images_on_the_command_line(tmp_path):
    how = ["--data", "digits", "--objective", "ddpm", "--classes", "--steps", 2, "--batch-size", 4]
    assert run("train", "denoiser", *how, "--out", tmp_path / "run") == 0
    model = tmp_path / "run" / "generator"
    assert run("generate", "--model", model, "--class", "3", "--steps", 2, "--out", tmp_path / "three.png") == 0
    assert ll.video.read(tmp_path / "three.png").video.shape == (1, 3, 1, 8, 8)
    assert (
        run("generate", "--model", model, "--class", "3", "--class", "4", "--steps", 2, "--out", tmp_path / "two") == 0
    )
    assert sorted(p.name for p in (tmp_path / "two").iterdir()) == ["000.png", "001.png", "record.json"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["generate", "--class", "sneaker"], "captions"),
        (["generate"], "--class NAME"),
        (["generate", "a red star", "--class", "bag"], "give one"),
        (["train", "denoiser", "--data", "digits", "--num-frames", "16"], "one frame"),
        (["train", "denoiser", "--data", "digits", "--flicker-loss", "0.1"], "--flicker-loss"),
        (["train", "denoiser", "--objective", "ddpm"], "--objective"),
        (["train", "vector-vae", "--data", "digits"], "the denoiser alone"),
        (["train", "denoiser", "--data", "nowhere", "--classes"], "apt-get install"),
    ],
)
def test_what_does_not_fit_is_one_clear_line(arguments, said, tmp_path, capsys):
    assert run(*arguments, "--out", tmp_path / "out") == 2
    assert said in capsys.readouterr().err
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and not path.name.startswith(".")]


def test_an_inflated_network_draws_as_the_image_model_until_it_has_learned_and_keeps_its_pictures(tmp_path):
    data = squares()
    start = train_image_denoiser(data, tmp_path / "image", training(data), device="cpu").requires_grad_(False)
    clips = Drifting(data, 4)
    y, s, label = torch.randn(2, 1, 4, 8, 8), torch.tensor([0.3, 0.9]), torch.tensor([0, 1])
    apart = torch.cat([start(y[:, :, i : i + 1], s, label) for i in range(4)], 2)
    assert torch.equal(inflated(start, 4)(y, s, label), apart)
    config = dataclasses.replace(training(data, learning_rate=0.1), network=start.config)
    trained = train_image_denoiser(clips, tmp_path / "clips", config, device="cpu", start=start)
    assert trained.config == dataclasses.replace(start.config, num_frames=4)
    for name, value in start.state_dict().items():
        assert torch.equal(trained.state_dict()[name], value)
    assert torch.equal(trained(y[:, :, :1], s, label), start(y[:, :, :1], s, label))  # one frame is an image
    assert not torch.equal(trained(y, s, label), apart)
    with pytest.raises(ValueError, match="draws clips of 4 frames already"):
        inflated(trained, 4)


@pytest.mark.slow
def test_a_still_that_learned_time_is_a_generator_of_clips(tmp_path, capsys):
    options = ("--data", "digits", "--steps", "1", "--batch-size", "2", "--device", "cpu")
    assert main(["train", "denoiser", *options, "--classes", "--out", str(tmp_path / "image")]) == 0
    image = tmp_path / "image" / "generator"
    more = ("--inflate", str(image), "--num-frames", "4", "--out", str(tmp_path / "clips"))
    assert main(["train", "denoiser", *options, *more]) == 0
    generator = ll.load(tmp_path / "clips" / "generator", device="cpu")
    assert generator.generate("3", num_steps=2).shape == (1, 3, 4, 8, 8)
    noise = generator.noise(1, seed=2)
    first = ll.load(image, device="cpu").sample(noise[:, :, :1], "3", num_steps=2)
    torch.testing.assert_close(generator.sample(noise, "3", num_steps=2)[:, :, :1], first, atol=2e-2, rtol=0)
    capsys.readouterr()
    for arguments, said in (
        (("--num-frames", "4", "--classes"), "clips of one frame without --inflate, got --num-frames 4"),
        (("--inflate", str(image), "--objective", "ddpm"), "--objective: the model of --inflate says what it is"),
        (("--inflate", str(tmp_path)), "denoiser.safetensors"),
    ):
        assert main(["train", "denoiser", *options, *arguments, "--out", str(tmp_path / "bad")]) == 2
        assert said in capsys.readouterr().err
    bad = ("train", "denoiser", "--inflate", str(image), "--out", str(tmp_path / "bad"))
    assert main(list(bad)) == 2
    assert "--inflate takes a model of pictures and --data of pictures" in capsys.readouterr().err
