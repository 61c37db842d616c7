"""What the command line asks of a model of diffusers."""

import argparse
import json
from collections.abc import Iterator
from inspect import signature

import pytest
import tiny
import torch

from latentlab.asked import Asked, gathered
from latentlab.cli import main
from latentlab.commands import COMMANDS
from latentlab.parsers import parser
from latentlab.tour import tour
from latentlab.train.runs import RUNS


def asked(*words: str) -> Asked:
    return gathered(vars(parser().parse_args(words)))["model"]


def test_options_of_a_model_are_one_thing():
    model = asked(
        "invert", "a.mp4", "--model", "wan", "--num-frames", "33", "--size", "480x832", "--dtype", "bfloat16",
        "--tiling", "--image", "a.png", "--negative", "blurry",
    )  # fmt: skip
    assert model == Asked("wan", 33, (480, 832), "bfloat16", tiling=True, image="a.png", negative="blurry")
    assert asked("encode", "a.mp4") == Asked()


def test_a_command_with_frames_of_its_own_keeps_them():
    arguments = gathered(vars(parser().parse_args(["generate", "a star", "--num-frames", "48"])))
    assert (arguments["num_frames"], arguments["model"].num_frames) == (48, 48)


@pytest.mark.parametrize("size", ["480", "0x64", "480x832x3"])
def test_a_size_is_height_and_width(size, capsys):
    with pytest.raises(SystemExit):
        main(["encode", "a.mp4", "--size", size])
    assert f"such as 480x832, got '{size}'" in capsys.readouterr().err


def test_an_image_is_for_models_that_read_one(tmp_path, capsys):
    from latentlab.data import moving_shapes
    from latentlab.video import write

    write(tmp_path / "a.png", moving_shapes(1)[0][:, :, :1])
    assert main(["generate", "a red star", "--image", str(tmp_path / "a.png"), "--out", str(tmp_path / "b.mp4")]) == 2
    assert "--image is for pipelines of diffusers that read one, got a NativeGenerator" in capsys.readouterr().err


def test_an_image_of_a_pipeline_by_one_command(tmp_path, capsys):
    pytest.importorskip("diffusers")
    pytest.importorskip("transformers")
    from generator.pipelines.whole import stable_diffusion

    stable_diffusion().pipe.save_pretrained(tmp_path / "sd")
    words = ["--model", str(tmp_path / "sd"), "--size", "64x64", "--steps", "2", "--negative", "blurry", "--json"]
    assert main(["generate", "a red car", "--out", str(tmp_path / "car.png"), *words]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (tmp_path / "car.png").is_file()
    assert told["flicker"] == [None]  # of one frame there is none


LEAST = {  # what each command cannot do without
    "generate": ["a star"],
    "encode": ["a.mp4"],
    "invert": ["a.mp4"],
    "interpolate": ["a.mp4", "b.mp4"],
    "edit": ["a.mp4", "--to", "hue=blue"],
    "replay": ["a.safetensors", "a.mp4"],
    "extend": ["a.mp4", "--by", "16"],
    "inpaint": ["a.mp4", "--mask", "0,0,8,8"],
    "paint": ["a.mp4"],
    "flicker": ["a.mp4"],
    "score": ["a/"],
    "bench": ["inversion"],
    "batch": ["brief.toml"],
    "train": ["clip"],
    "why": ["a star"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_takes_what_its_parser_gives(name):
    arguments = gathered(vars(parser().parse_args([name, *LEAST.get(name, [])])))
    signature(COMMANDS[name]).bind(**{key: x for key, x in arguments.items() if key not in ("command", "traceback")})


@pytest.mark.parametrize("name", COMMANDS)
def test_a_folder_is_one_thing_with_a_slash_or_without(name):
    given = [name, *LEAST.get(name, [])]
    without, with_slash = (parser().parse_args([*given, "--out", out]).out for out in ("runs/mine", "runs/mine/"))
    assert without == with_slash == "runs/mine"


def options(p: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.Action]]:
    """Of a command and of those below it, by the command that they are of."""
    p.format_help()  # they are made when they are asked for
    for action in p._actions:
        yield p.prog, action
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from options(below)


def test_every_option_says_what_it_does_and_every_network_has_its_own():
    found = list(options(parser()))
    silent = [(prog, a.dest) for prog, a in found if not a.help and not isinstance(a, argparse._SubParsersAction)]
    assert silent == []
    assert {name for prog, a in found if prog.endswith("train") and a.choices for name in a.choices} == {
        *RUNS, "adapter", "slider",
    }  # fmt: skip
    dims = {prog for prog, a in found if "--dims" in a.option_strings}
    assert dims == {"latentlab train vector-vae"}


def test_the_tour_of_images_under_a_class_names_classes(tmp_path):
    assert tour(tmp_path, model=tiny.images(), num_steps=2).numbers["direction"]["name"] == "a > b"


@pytest.mark.parametrize(
    "words",
    [
        ["generate", "a star"], ["invert", "a.mp4"], ["extend", "a.mp4", "--by", "4"], ["edit", "a.mp4"],
        ["inpaint", "a.mp4", "--mask", "m.png"], ["paint", "a.mp4"], ["why", "a star"], ["coverage"],
        ["batch", "brief.toml"],
    ],
    ids=lambda words: words[0],
)  # fmt: skip
def test_what_draws_under_a_caption_takes_a_negative_one(words):
    assert asked(*words, "--negative", "blurry").negative == "blurry"
    assert asked(*words).negative is None


def test_a_negative_caption_of_a_generator_is_that_of_a_condition():
    generator = tiny.generator()
    away = generator.against("a blue star")
    run = {"num_steps": 2, "seed": 1, "guidance": 3.0, "method": "ddim"}
    told = generator.condition("a red star", negative="a blue star")
    assert torch.equal(away.generate("a red star", **run), generator.generate(told, **run))
    assert not torch.equal(generator.generate("a red star", **run), generator.generate(told, **run))
    own = away.condition("a red star", negative="a star")  # a condition's own comes first
    assert torch.equal(away.generate(own, **run), generator.generate(own, **run))
    assert away.fingerprint() != generator.fingerprint()
    with pytest.raises(ValueError, match="horse"):
        generator.against("a horse")
