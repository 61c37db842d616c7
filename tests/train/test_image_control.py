"""A control branch beside an image denoiser: off it is not there, on it says where things are."""

import numpy as np
import pytest
import torch

from latentlab.control import Control, read_control
from latentlab.data import Images, Slices
from latentlab.generator.generator import GeneratorConfig
from latentlab.generator.image import ImageGenerator
from latentlab.generator.networks.image import ImageDenoiser
from latentlab.generator.networks.image_control import ImageControl
from latentlab.networks import ImageDenoiserConfig
from latentlab.train import ImageControlTraining, ImageTraining, LoopConfig, train_image_control, train_image_denoiser
from latentlab.train.image import pixels_of

LOOP = LoopConfig(steps=80, batch_size=16, learning_rate=1e-2, warmup=5, ema=0.9, workers=0)


def halves(count: int = 64) -> Slices:
    """Pictures of which one half is white, the right or the left, which is tissue 1."""
    tissues = np.zeros((count, 8, 8), dtype=int)
    tissues[::2, :, :4], tissues[1::2, :, 4:] = 1, 1
    pixels = (255 * tissues[..., None]).astype(np.uint8)
    return Slices(Images(pixels, np.zeros(count, int), ("a",), "halves"), tissues, ("white",))


@pytest.fixture(scope="module")
def generator(tmp_path_factory):
    pictures = halves().pictures
    network = ImageDenoiserConfig(objective="flow", widths=(8,), attention=(False,))
    trained = train_image_denoiser(pictures, tmp_path_factory.mktemp("base"), ImageTraining(LOOP, network))
    return ImageGenerator(pixels_of(pictures), trained, GeneratorConfig(1, 8, 8))


@pytest.fixture(scope="module")
def run(generator, tmp_path_factory):
    folder = tmp_path_factory.mktemp("branch")
    return folder, train_image_control(generator, halves(), folder, ImageControlTraining(LOOP))


def maps(*left: bool) -> torch.Tensor:
    told = torch.zeros(len(left), 1, 1, 8, 8)
    for row, which in zip(told, left, strict=True):
        row[..., :4] = float(which)
        row[..., 4:] = float(not which)
    return told


def test_before_training_and_at_strength_0_the_denoiser_is_as_it_was(generator, run):
    plain = generator.generate([""] * 2, seed=1, num_steps=4)
    fresh = ImageControl(generator.denoiser, classes=1)
    for control in (Control(fresh, {"classes": maps(True, False)}), Control(run[1], {"classes": maps(True, False)}, 0)):
        assert torch.equal(generator.guided(control).generate([""] * 2, seed=1, num_steps=4), plain)


def test_what_is_told_is_drawn(generator, run):
    left = [True, False] * 8
    control = Control(run[1], {"classes": maps(*left)})
    drawn = generator.guided(control).generate([""] * 16, seed=0, num_steps=10)[:, 0, 0]
    brighter = drawn[:, :, :4].mean((1, 2)) > drawn[:, :, 4:].mean((1, 2))
    assert brighter.tolist() == left
    assert generator.denoiser.beside == ()


def test_a_file_is_read_back_for_its_own_denoiser_alone(generator, run):
    folder, network = run
    read = read_control(folder, generator)
    assert isinstance(read, ImageControl)
    for ours, theirs in zip(read.parameters(), network.parameters(), strict=True):
        assert torch.equal(ours.half(), theirs.half())
    other = ImageGenerator(generator.pixels, ImageDenoiser(generator.denoiser.config), generator.config)
    with pytest.raises(ValueError, match="belongs to another denoiser"):
        read_control(folder, other)


def test_slices_and_maps_that_do_not_fit_are_refused(generator, run, tmp_path):
    blank = Images(np.zeros((4, 16, 16, 1), np.uint8), np.zeros(4, int), ("a",), "blank")
    large = Slices(blank, np.zeros((4, 16, 16), int), ("white",))
    with pytest.raises(ValueError, match="draws 8 x 8 pixels, and the slices are of"):
        train_image_control(generator, large, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(ValueError, match="classes are whole numbers from 0"):
        generator.guided(Control(run[1], {"classes": 7 * maps(True)}))
    with pytest.raises(ValueError, match="kinds of control are classes"):
        Control(run[1], {"mask": maps(True)})
