"""A control branch, on tiny networks: off it is the denoiser to the bit, and trained it hears where things are."""

import numpy as np
import pytest
import tiny
import torch

from latentlab.cli import main
from latentlab.control import Control, Fusion, Given, read_control
from latentlab.data import DrawnControls, MovingShapes, controls
from latentlab.generator.networks.control import KINDS, ControlNetwork
from latentlab.train.control import ControlTraining, random_given, train_control
from latentlab.train.loop import LoopConfig

OPTIONS = {"num_steps": 2, "guidance": 2.0}


@pytest.fixture
def branch(generator):
    return tiny.awake(ControlNetwork(generator.denoiser, 8))


def drawn(i: int) -> DrawnControls:
    """A block of a class of its own in one quarter of the frame."""
    region = torch.zeros(1, 1, 4, 16, 16, dtype=torch.uint8)
    region[..., 8 * (i % 2) :, 8 * (i // 2 % 2) :] = 1
    shapes = torch.tensor([[1 + i % 5, 0]], dtype=torch.uint8)
    return DrawnControls(255 * region, region, torch.zeros(1, 2, 4, 16, 16, dtype=torch.int8), shapes)


class Data:
    """Clips that are white where an object is and black elsewhere."""

    size, num_frames = (16, 16), 4

    def __len__(self):
        return 16

    def clip(self, i, *, seed=0):
        return (2 * drawn(i).object.float() - 1).expand(1, 3, -1, -1, -1).clone()

    def caption(self, i, *, seed=0):
        return "a star"

    def drawn(self, i):
        return drawn(i)


def pictures(i: int = 1) -> dict[str, torch.Tensor]:
    return controls(drawn(i))


@pytest.mark.parametrize("rank", [0, 2])
def test_before_training_and_at_strength_0_it_is_the_denoiser_to_the_bit(generator, rank):
    noise, network = generator.noise(2), ControlNetwork(generator.denoiser, 8, rank=rank)
    base = generator.sample(noise, "a star", **OPTIONS)
    assert torch.equal(generator.guided(Control(network, pictures())).sample(noise, "a star", **OPTIONS), base)
    tiny.awake(network)
    off = generator.guided(Control(network, pictures(), strength=0.0))
    assert torch.equal(off.sample(noise, "a star", **OPTIONS), base)
    heard = generator.guided(Control(network, pictures())).sample(noise, "a star", **OPTIONS)
    assert not torch.allclose(heard, base, atol=1e-3)
    assert torch.equal(generator.sample(noise, "a star", **OPTIONS), base)  # nothing stays on the network
    assert generator.denoiser.beside == ()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_heard_and_only_within_its_levels(generator, branch, kind):
    noise, told = generator.noise(1), {kind: pictures()[kind] + (kind == "flow")}
    base = generator.sample(noise, "", **OPTIONS)
    on = generator.guided(Control(branch, told, levels=(1, 0)))
    off = generator.guided(Control(branch, told, levels={kind: (0.0, 0.0)}))
    assert not torch.allclose(on.sample(noise, "", **OPTIONS), base, atol=1e-4)
    assert torch.equal(off.sample(noise, "", **OPTIONS), base)


def test_strengths_are_of_each_kind(generator, branch):
    noise, both = generator.noise(1), {name: pictures()[name] for name in ("mask", "depth")}
    mask = generator.guided(Control(branch, {"mask": both["mask"]}, strength=0.5)).sample(noise, "", **OPTIONS)
    other = generator.guided(Control(branch, both, strength={"mask": 0.5, "depth": 0.0})).sample(noise, "", **OPTIONS)
    assert torch.equal(mask, other)
    assert Control(branch, both, strength=0.5, levels={"mask": (1, 0.6)}).acting(0.5) == {"depth": 0.5}


def test_it_is_a_condition_among_others(generator, branch):
    given = [Given("a star"), Given(Control(branch, {"mask": pictures()["mask"]}), weight=0.5, levels=(1, 0.5))]
    made = [generator.guided(Fusion(order)).generate("", num_steps=2) for order in (given, given[::-1])]
    assert torch.equal(*made)


def test_batches_hear_their_own(generator, branch):
    noise, told = generator.noise(2), [pictures(i)["mask"] for i in (1, 2)]
    both = generator.guided(Control(branch, {"mask": torch.cat(told)})).sample(noise, "", **OPTIONS)
    single = generator.guided(Control(branch, {"mask": told[1]})).sample(noise[1:], "", **OPTIONS)
    torch.testing.assert_close(both[1:], single, atol=1e-4, rtol=1e-4)


def test_a_controlled_run_is_inverted_and_sampled_to_the_bit(generator, branch):
    controlled = generator.guided(Control(branch, {"mask": pictures()["mask"]}))
    latents = generator.encode(Data().clip(3))
    inverted = controlled.invert(latents, "a star", method="leapfrog", num_steps=3)
    assert torch.equal(controlled.sample(inverted), latents)
    with pytest.raises(ValueError, match="guide"):
        generator.sample(inverted)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({}, "one picture at least"),
        ({"outline": torch.zeros(16, 16)}, "mask, sketch"),
        ({"mask": torch.zeros(8, 8)}, "16 x 16"),
        ({"mask": torch.full((16, 16), 2.0)}, "in \\[0, 1\\]"),
        ({"mask": torch.full((16, 16), torch.nan)}, "in \\[0, 1\\]"),
        ({"mask": torch.zeros(1, 1, 7, 16, 16)}, "1 or 4 frames"),
        ({"classes": torch.full((16, 16), 6.0)}, "to 5"),
        ({"classes": torch.full((16, 16), 0.5)}, "whole numbers"),
        ({"flow": torch.zeros(16, 16)}, "next frame"),
        ({"flow": torch.full((1, 2, 3, 16, 16), torch.inf)}, "finite"),
    ],
)
def test_what_is_no_picture_is_said(generator, branch, told, said):
    with pytest.raises(ValueError, match=said):
        generator.guided(Control(branch, told))


def test_bad_strengths_levels_and_generators_are_said(generator, branch):
    mask = {"mask": pictures()["mask"]}
    for options, said in (
        ({"strength": float("nan")}, "finite"),
        ({"levels": (0.2, 0.8)}, "high to low"),
        ({"strength": {"lines": 1.0}}, "mask, sketch"),
    ):
        with pytest.raises(ValueError, match=said):
            Control(branch, mask, **options)
    with pytest.raises(ValueError, match="read for"):
        tiny.generator().guided(Control(branch, mask))
    with pytest.raises(ValueError, match="of 3 clips, and these are 2"):
        generator.guided(Control(branch, {"mask": mask["mask"].expand(3, -1, -1, -1, -1)})).generate(["", ""])


@pytest.mark.parametrize("rank", [0, 2])
def test_training_leaves_the_denoiser_and_goes_on_to_the_bit(generator, tmp_path, rank):
    def run(folder, steps):
        loop = LoopConfig(steps, 2, 5e-3, 4, decay=1e-9, weight_decay=0.0, ema=0.8, workers=0, save_every=2)
        return train_control(generator, Data(), tmp_path / folder, ControlTraining(loop, rank=rank, clips=4))

    before = {name: p.clone() for name, p in generator.denoiser.named_parameters()}
    straight, _, halting = run("b", 4), run("c", 2), run("c", 4)
    assert all(torch.equal(before[name], p) for name, p in generator.denoiser.named_parameters())
    for name, value in straight.state_dict().items():
        assert torch.equal(value, halting.state_dict()[name])
    read = read_control(tmp_path / "b", generator)
    torch.testing.assert_close(read.hint[3].weight, straight.hint[3].weight.half().float())
    assert read.rank == rank


def test_a_file_of_another_denoiser_or_kind_is_refused(generator, tmp_path):
    from latentlab.weights import save_weights

    network = ControlNetwork(generator.denoiser, 8, rank=2)
    for changed, said in (({"base": "0" * 64}, "another denoiser"), ({"kind": "known-region"}, "known-region")):
        save_weights(tmp_path / "control.safetensors", network, {**network.header(), **changed})
        with pytest.raises(ValueError, match=said):
            read_control(tmp_path, generator)
    with pytest.raises(FileNotFoundError):
        read_control(tmp_path / "nothing.safetensors", generator)


def test_a_clip_is_given_one_kind_at_least():
    given = np.stack([random_given(np.random.default_rng(seed)) for seed in range(200)])
    assert (given.sum(1) >= 1).all()
    assert 0.4 < (given.sum(1) == 1).mean() < 0.7
    assert given.mean(0).min() > 0.2


def test_controls_are_those_of_the_scene():
    item = MovingShapes(8, seed=3, objects=2, fixed={"blur": 0.0, "shape": 1, "shape.2": 3})[0]
    made, near = controls(DrawnControls.of(item)), sorted(item.layers, key=lambda layer: layer.depth)[0]
    seen = torch.from_numpy(near.seen)[None, None] > 0.5
    assert torch.equal(made["depth"] == 1, seen)
    assert set(made["classes"].unique().tolist()) == {0.0, 2.0, 4.0}
    torch.testing.assert_close(made["mask"], item.mask, atol=0.5 / 255, rtol=0)
    torch.testing.assert_close(made["flow"][:, :, :-1], item.flow, atol=0.5 / 32 + 1e-6, rtol=0)
    assert ((made["box"] == 1) | (made["mask"] <= 0.5)).all()  # a box holds its object
    assert (made["mask"][made["sketch"] == 1] > 0.25).all()  # lines are inside, along the edge
    thick = controls(DrawnControls.of(item), stroke=1)["sketch"]
    assert thick.sum() > 2 * made["sketch"].sum()
    empty = MovingShapes(2, seed=0, objects=0)
    assert not any(picture.any() for picture in controls(empty.drawn(0)).values())


def test_the_command_trains_on_moving_shapes_and_refuses_a_folder(tmp_path, capsys):
    words = ["--steps", "1", "--clips", "2", "--batch-size", "2", "--out", str(tmp_path / "run")]
    assert main(["train", "control", "--rank", "2", *words]) == 0
    assert "control.safetensors" in capsys.readouterr().out
    assert main(["train", "control", "--data", str(tmp_path), *words]) == 2
    assert "where things are" in capsys.readouterr().err


def test_a_picture_is_followed_by_one_command(tmp_path, capsys):
    from latentlab.video import write
    from latentlab.weights import save_weights

    generator = tiny.generator()
    generator.save(tmp_path / "model")
    network = tiny.awake(ControlNetwork(generator.denoiser, 8))
    save_weights(tmp_path / "control.safetensors", network, network.header())
    write(tmp_path / "mask.png", pictures()["mask"][:, :, :1].expand(-1, 3, -1, -1, -1) * 2 - 1)
    np.save(tmp_path / "flow.npy", np.ones((2, 3, 16, 16), np.float32))
    mask, flow = f"mask={tmp_path / 'mask.png'}", f"flow={tmp_path / 'flow.npy'}"

    def run(*controls: str, out: str = "a.mkv") -> int:
        said = [word for control in controls for word in ("--control", control)]
        where = ["--model", str(tmp_path / "model"), "--steps", "1", "--out", str(tmp_path / out)]
        return main(["generate", "a star", *said, "--control-network", str(tmp_path), *where])

    assert run(f"{mask}=0.8@1-0.5", flow) == 0
    assert run("box=0,0,8,8", f"classes={tmp_path / 'mask.png'}") == 2  # white is 255, and there are five classes
    assert "whole numbers" in capsys.readouterr().err
    for wrong, said in (
        (["mask"], "KIND=FILE"),
        ([mask, mask], "given twice"),
        (["mask=nowhere.png"], "nowhere.png"),
        (["flow=nowhere.npy"], "nowhere.npy"),
        ([f"flow={tmp_path / 'mask.png'}"], "numpy.save"),
        ([f"lines={tmp_path / 'mask.png'}"], "mask, sketch"),
        ([], "none is given"),
    ):
        assert run(*wrong, out="b.mkv") == 2
        assert said in capsys.readouterr().err
    assert not (tmp_path / "b.mkv").exists()
