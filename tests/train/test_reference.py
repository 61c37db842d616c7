"""Image prompts, on tiny networks: off they leave the denoiser to the bit, and trained it sees a colour."""

import pytest
import tiny
import torch

from latentlab.cli import main
from latentlab.control import Fusion, Given, ImagePrompt, read_reference
from latentlab.generator.networks.reference import ReferenceNetwork
from latentlab.train.loop import LoopConfig
from latentlab.train.reference import ReferenceTraining, train_reference
from latentlab.weights import save_weights

OPTIONS = {"num_steps": 2, "guidance": 2.0}


def colour(i: int) -> torch.Tensor:
    """A clip of one colour."""
    drawn = torch.rand(3, generator=torch.Generator().manual_seed(i)) * 2 - 1
    return drawn.view(1, 3, 1, 1, 1).expand(1, 3, 4, 16, 16).clone()


class Data:
    size, num_frames = (16, 16), 4

    def __len__(self):
        return 8

    def clip(self, i, *, seed=0):
        return colour(i)

    def caption(self, i, *, seed=0):
        return "a star"


@pytest.fixture(scope="module")
def network(generator):
    """Whose values, which begin as zero, say something."""
    found = ReferenceNetwork(generator.denoiser, 16)
    with torch.no_grad():
        for layer in found.key_value:
            layer.weight.normal_(generator=torch.Generator().manual_seed(0))
    return found.requires_grad_(False)


def test_before_training_and_at_weight_0_it_is_the_denoiser_to_the_bit(generator, network):
    noise, image = generator.noise(2), colour(0)[:, :, :1]
    base = generator.sample(noise, "a star", **OPTIONS)
    fresh = ReferenceNetwork(generator.denoiser, 16).requires_grad_(False)
    assert len(fresh.key_value) == len(fresh.attentions) > 0
    for other in (
        ImagePrompt(fresh, image),
        ImagePrompt(network, image, 0.0),
        ImagePrompt(network, image, levels=(0.0, 0.0)),
    ):
        assert torch.equal(generator.guided(other).sample(noise, "a star", **OPTIONS), base)
    heard = generator.guided(ImagePrompt(network, image)).sample(noise, "a star", **OPTIONS)
    assert not torch.allclose(heard, base, atol=1e-3)
    assert torch.equal(generator.sample(noise, "a star", **OPTIONS), base)  # nothing stays on the network


def test_images_add_up_each_with_its_weight_in_any_order(generator, network):
    noise, images = generator.noise(1), [colour(1), colour(2)]

    def drawn(images, weights):
        return generator.guided(ImagePrompt(network, images, weights)).sample(noise, "", **OPTIONS)

    both = drawn(images, [0.3, 0.7])
    assert torch.equal(both, drawn(images[::-1], [0.7, 0.3]))
    assert not torch.allclose(both, drawn(images, [0.7, 0.3]), atol=1e-4)
    assert torch.equal(drawn(images, [1.0, 0.0]), drawn(images[:1], 1.0))
    given = [Given("a star"), Given(ImagePrompt(network, images[0]), weight=0.5)]
    made = [generator.guided(Fusion(order)).generate("", num_steps=2) for order in (given, given[::-1])]
    assert torch.equal(*made)


def test_batches_see_their_own(generator, network):
    noise, images = generator.noise(2), torch.cat([colour(1), colour(2)])
    both = generator.guided(ImagePrompt(network, images)).sample(noise, "", **OPTIONS)
    single = generator.guided(ImagePrompt(network, images[1:])).sample(noise[1:], "", **OPTIONS)
    torch.testing.assert_close(both[1:], single, atol=1e-4, rtol=1e-4)


def test_guidance_leads_towards_the_image(generator, network):
    """v = v("") + g (v(image) - v("")): the empty caption hears of no image."""
    y, condition, guide = generator.noise(1), generator.condition("a star"), ImagePrompt(network, colour(1))
    told, empty = generator.guided(guide), generator.velocity(generator.condition(""))(y, 0.7)
    image = told.velocity(condition)(y, 0.7)
    torch.testing.assert_close(told.velocity(condition, 3.0)(y, 0.7), empty + 3 * (image - empty), atol=1e-5, rtol=1e-4)


def test_bad_images_weights_and_generators_are_said(generator, network):
    for images, options, said in (
        ([], {}, "one image"),
        (colour(0), {"weight": float("inf")}, "finite"),
        (colour(0), {"weight": [1.0, 1.0]}, "1 images"),
        (colour(0), {"levels": (0.1, 0.9)}, "high to low"),
        (colour(0)[0], {}, "image"),
        (colour(0) * 200, {}, "image"),
    ):
        with pytest.raises(ValueError, match=said):
            ImagePrompt(network, images, **options)
    with pytest.raises(ValueError, match="read for"):
        tiny.generator().guided(ImagePrompt(network, colour(0)))


def test_training_leaves_the_denoiser_and_goes_on_to_the_bit(generator, tmp_path):
    def run(folder, steps):
        loop = LoopConfig(steps, 4, 5e-3, 2, decay=1e-9, weight_decay=0.0, ema=0.5, workers=0, save_every=2)
        return train_reference(generator, Data(), tmp_path / folder, ReferenceTraining(loop, clips=8))

    before = {name: p.clone() for name, p in generator.denoiser.named_parameters()}
    straight, _, halting = run("a", 4), run("b", 2), run("b", 4)
    assert all(torch.equal(before[name], p) for name, p in generator.denoiser.named_parameters())
    for name, value in straight.state_dict().items():
        assert torch.equal(value, halting.state_dict()[name])
    assert all(layer.weight.chunk(2)[1].abs().max() > 0 for layer in straight.key_value)
    read = read_reference(tmp_path / "a", generator)
    torch.testing.assert_close(read.project.weight, straight.project.weight.half().float())


def test_a_file_of_another_denoiser_is_refused(generator, network, tmp_path):
    save_weights(tmp_path / "reference.safetensors", network, {**network.header(), "base": "0" * 64})
    with pytest.raises(ValueError, match="another denoiser"):
        read_reference(tmp_path, generator)
    with pytest.raises(FileNotFoundError):
        read_reference(tmp_path / "nothing.safetensors", generator)


def test_an_image_is_looked_at_by_one_command(generator, network, tmp_path, capsys):
    from latentlab.video import write

    generator.save(tmp_path / "model")
    save_weights(tmp_path / "reference.safetensors", network, network.header())
    write(tmp_path / "a.png", colour(1)[:, :, :1])
    where = ["--model", str(tmp_path / "model"), "--steps", "1", "--out", str(tmp_path / "a.mkv")]
    words = ["generate", "a star", *where, "--reference", f"{tmp_path / 'a.png'}=0.5"]
    assert main([*words, "--reference-network", str(tmp_path)]) == 0
    assert main(words) == 2
    assert "no reference network ships" in capsys.readouterr().err
    assert main([*words[:-1], str(tmp_path / "no.png"), "--reference-network", str(tmp_path)]) == 2
    assert "no.png" in capsys.readouterr().err
