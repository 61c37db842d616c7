"""The command line on adapters and words."""

import json

import pytest
from PIL import Image

from latentlab.cli import main
from latentlab.generator.adapter import Adapter


@pytest.fixture
def model(tiny_generator, tmp_path):
    tiny_generator.save(tmp_path / "model")
    return str(tmp_path / "model")


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(2):
        Image.new("RGB", (20, 20), (200, 90 * i, 0)).save(folder / f"{i}.png")
        (folder / f"{i}.txt").write_text("a red star")
    return str(folder)


def run_json(capsys, *arguments):
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_an_adapter_is_trained_and_drawn_with(model, pictures, tmp_path, capsys):
    out = tmp_path / "ink"
    few = ["--steps", "2", "--batch-size", "2", "--rank", "2", "--prior", "0", "--trigger", "ink"]
    asked = ["train", "adapter", "--data", pictures, "--model", model, "--out", str(out), *few]
    assert main(asked) == 2
    assert "the autoencoder gives back" in capsys.readouterr().err  # one of random weights holds nothing
    assert not out.exists()
    told = run_json(capsys, *asked, "--anyway")
    assert told["pictures"] == 2
    assert set(told["kept"]) == {"all", "fine", "middle", "coarse"}
    file = str(out / "adapter.safetensors")
    assert Adapter.read(file).about["trigger"] == "ink"
    draw = ["generate", "a red star", "--model", model, "--steps", "1"]
    clips = [
        run_json(capsys, *draw, *more, "--out", str(tmp_path / f"{i}.mkv"))
        for i, more in enumerate(([], ["--adapter", f"{file}=0"], ["--adapter", file], ["--negative", "a blue star"]))
    ]
    records = [json.loads((tmp_path / f"{i}.record.json").read_text()) for i in range(len(clips))]
    assert main([*draw[:1], "a (red:1.5) star", *draw[2:], "--out", str(tmp_path / "w.mkv")]) == 0
    assert json.loads((tmp_path / "w.record.json").read_text())["weights"] != records[0]["weights"]
    weights = [record["weights"] for record in records]
    assert len({weights[0], weights[1], weights[2]}) == 3  # strengths are part of what made a clip
    assert weights[3] == weights[0]
    assert records[3]["settings"]["negative"] == "a blue star"


def test_bad_adapters_are_one_line(model, pictures, tmp_path, capsys):
    for arguments, said in (
        (["generate", "a red star", "--model", model, "--adapter", "none.safetensors"], "none.safetensors"),
        (["train", "adapter", "--model", model], "--data FOLDER"),
        (["train", "adapter", "--model", model, "--data", str(tmp_path / "none")], "none"),
        (["train", "adapter", "--model", model, "--data", pictures, "--trigger", "red", "--anyway"], "red"),
    ):
        assert main([*arguments, "--out", str(tmp_path / "out")]) == 2
        told = capsys.readouterr().err.strip().splitlines()[-1]
        assert said in told
    assert not (tmp_path / "out" / "adapter.safetensors").exists()
