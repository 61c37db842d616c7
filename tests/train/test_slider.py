"""Sliders learn: what they are shown, that a field known in closed form is learned, and that runs go on exactly."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from latentlab.cli import main
from latentlab.generator.adapter import Adapter
from latentlab.train.lessons import Graded, Opposites
from latentlab.train.loop import LoopConfig
from latentlab.train.slider import SliderTraining, train_slider

LOOP = LoopConfig(steps=4, batch_size=2, learning_rate=1e-2, warmup=1, save_every=2, ema=0.5, workers=0)
FEW = SliderTraining(rank=2, clips=2, loop=LOOP)
COLOURS = Opposites.of("red", "blue", ["a red star", "a star moving left , blue"])


def graded(count: int = 8) -> Graded:
    video = torch.rand(count, 3, 4, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return Graded.of("light", video, np.arange(count), ["a star"] * count)


def test_opposites_take_each_others_place():
    assert COLOURS.captions[1] == ("a star moving left ,", "a star moving left , red", "a star moving left , blue")
    assert Opposites.of("a red star", "a blue star").captions == (("a star", "a red star", "a blue star"),)
    with pytest.raises(ValueError, match="neither"):
        Opposites.of("red", "blue", ["a reddish star"])
    with pytest.raises(ValueError, match="twice"):
        Opposites.of("red ", " red")


def test_levels_hold_clips_of_rising_values():
    shuffled = [3, 0, 7, 1, 6, 2, 5, 4]
    video = torch.tensor(shuffled)[:, None, None, None, None].expand(8, 3, 1, 2, 2) / 7.0
    found = Graded.of("light", video, shuffled, [str(v) for v in shuffled])
    assert (found.video[:, :, 0, 0, 0, 0] * 7).round().tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert found.captions[3] == ("6", "7")
    deviation = np.arange(8).std()
    assert np.allclose(found.strengths, [(v - 3.5) / deviation for v in (0.5, 2.5, 4.5, 6.5)])
    for values, said in ((np.zeros(8), "differ"), ([np.nan] * 8, "finite"), (range(3), "3 values")):
        with pytest.raises(ValueError, match=said):
            Graded.of("light", video, values, [""] * 8)


@pytest.mark.parametrize("target", ["size", "hue@240"])
def test_moving_shapes_of_a_level_differ_in_the_factor_alone(target):
    from latentlab.data import measure

    found = Graded.moving_shapes(target, count=2)
    assert found.captions[0] == found.captions[-1]
    low, high = measure(found.video[0]), measure(found.video[-1])
    name = target.split("@")[0]
    for spec in low.specs:
        if spec.name in ("shape", "hue", "size", "background_hue", "light"):
            assert np.allclose(low[spec.name], high[spec.name], atol=0.01) == (spec.name != name)
    if name == "size":
        assert np.allclose(low["size"], 6.85 - 1.6 * 4.7 / 12**0.5, atol=1e-3)
    else:
        assert np.allclose(low["hue"], 60, atol=0.01)
        assert np.allclose(high["hue"], 240, atol=0.01)
    with pytest.raises(ValueError, match="no more and less"):
        Graded.moving_shapes("shape=star")


@pytest.mark.parametrize("lesson", [COLOURS, pytest.param(graded(), marks=pytest.mark.slow)], ids=["captions", "clips"])
def test_it_is_an_adapter_and_a_run_that_stopped_goes_on_to_the_bit(tiny_generator, tmp_path, lesson):
    whole = train_slider(tiny_generator, lesson, tmp_path / "whole", FEW)
    steps = iter([None, None, None])
    with pytest.raises(StopIteration):
        train_slider(tiny_generator, lesson, tmp_path / "cut", FEW, tracker=lambda *_: next(steps))
    assert train_slider(tiny_generator, lesson, tmp_path / "cut", FEW).digest == whole.digest
    read = Adapter.read(tmp_path / "whole" / "adapter.safetensors")
    assert read.about["kind"] == "slider"
    assert read.about["slider"].keys() >= ({"from", "to"} if lesson is COLOURS else {"factor"})
    draw = {"captions": "a star", "num_steps": 1}
    ways = [tiny_generator.adapted({read: k}).generate(**draw) for k in (-1.0, 0.0, 1.0)]
    assert torch.equal(ways[1], tiny_generator.generate(**draw))
    assert not torch.equal(ways[0], ways[2])


def test_it_learns_to_lead_from_one_caption_to_the_other(tiny_generator, tmp_path):
    """The velocity at strength k against eq. 7, under noise that it was not trained on; 1 is the error of the base."""
    loop = replace(LOOP, steps=25, batch_size=4, learning_rate=3e-3, save_every=25, ema=0.8)
    config = replace(FEW, push=8.0, rank=8, caption_dropout=0.0, loop=loop)
    slider = train_slider(tiny_generator, Opposites.of("a red star", "a blue star"), tmp_path, config)
    clean = tiny_generator.sample(tiny_generator.noise(4, seed=5), "a red star", num_steps=2)
    y = torch.lerp(clean, tiny_generator.noise(4, seed=7), 0.7)

    def field(generator, caption="a star"):
        return generator.velocity(generator.condition(caption).expand(4))(y, 0.7)

    with torch.no_grad():
        lead = 4 * (field(tiny_generator, "a blue star") - field(tiny_generator, "a red star"))
        for k in (-1.0, 0.5, 1.0):
            found = field(tiny_generator.adapted({slider: k})) - field(tiny_generator)
            assert (found - k * lead).square().mean() < 0.9 * (k * lead).square().mean()


@pytest.mark.slow
def test_the_command(tiny_generator, tmp_path, capsys):
    tiny_generator.save(tmp_path / "model")
    model = ["--model", str(tmp_path / "model"), "--steps", "2", "--batch-size", "1", "--device", "cpu", "--json"]
    words = ["train", "slider", "--from", "red", "--to", "blue", "--out", str(tmp_path / "blue"), *model]
    (tmp_path / "said.txt").write_text("a red star\n\na blue star\n")
    assert main([*words, "--captions", str(tmp_path / "said.txt"), "--rank", "2"]) == 0
    assert json.loads(capsys.readouterr().out)["unit"] == "as trained"
    assert Adapter.read(tmp_path / "blue" / "adapter.safetensors").about["slider"]["to"] == "blue"
    for i in range(4):
        Image.new("RGB", (16, 16), (60 * i, 0, 0)).save(tmp_path / f"{i}.png")
    (tmp_path / "light.csv").write_text("name,light\n" + "".join(f"{i}.png,{60 * i}\n" for i in range(4)))
    shown = ["train", "slider", "--data", str(tmp_path), "--factor", "light", "--out", str(tmp_path / "light"), *model]
    assert main([*shown, "--labels", str(tmp_path / "light.csv")]) == 0
    assert json.loads(capsys.readouterr().out)["unit"] == "standard deviations of light"
    for asked, said in (
        (words[:4], "--from small --to large"),
        (["train", "slider"], "say what the slider is of"),
        (shown, "--labels FILE.csv"),
        ([*shown, "--labels", str(tmp_path / "said.txt")], "NAME,VALUE"),
    ):
        assert main([*asked, *([] if asked is shown else model)]) == 2
        assert said in capsys.readouterr().err


def test_what_cannot_be_learned_is_refused_before_the_work(tiny_generator, tmp_path):
    with pytest.raises(ValueError, match="horse"):
        train_slider(tiny_generator, Opposites.of("a red star", "a red horse"), tmp_path, FEW)
    with pytest.raises(ValueError, match="1000"):
        train_slider(tiny_generator, COLOURS, tmp_path, replace(FEW, rank=1000))
    assert not (tmp_path / "adapter.safetensors").exists()
