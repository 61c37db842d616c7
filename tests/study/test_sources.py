"""Directions without exact factors, each saying what they were found from."""

import json

import numpy as np
import pytest
import torch

from latentlab.cli import main
from latentlab.data.labelled import Labelled
from latentlab.directions import Effect
from latentlab.factors import Factor, FactorTable
from latentlab.generator.sampler import Sampler
from latentlab.study.edits import edit_clip
from latentlab.study.sources import directions_of_captions, directions_of_clips, directions_of_labels, find_directions
from latentlab.video import write


@pytest.fixture(scope="module")
def known() -> Labelled:
    light = torch.linspace(-0.8, 0.8, 8)
    video = light[:, None, None, None, None].expand(-1, 3, 4, 16, 16).clone()
    table = FactorTable(light[:, None].double().numpy(), (Factor("light", "continuous", -1, 1),))
    return Labelled(video, table, tuple(map(str, range(8))), "the table light.csv")


def test_labels_of_ones_own(generator, known):
    found = directions_of_labels(generator, known)
    assert found.names == ("light",)
    assert found.provenance["given"] == "labels of 8 clips, the table light.csv"
    codes = torch.cat([generator.encode(clip).flatten(1) for clip in known.video.split(1)])
    by_hand = Effect().fit(codes, known.factors)
    np.testing.assert_array_equal(found["light"].vector, by_hand["light"].vector)
    assert (found["light"].t, found["light"].p) == (by_hand["light"].t, by_hand["light"].p)
    edited = edit_clip(generator, known.video[:1], "light", 1.0, directions=found)
    assert edited.given == "labels of 8 clips, the table light.csv"
    with pytest.raises(ValueError, match="labels of 3 clips say little"):
        directions_of_labels(generator, Labelled(known.video[:3], known.factors[:3], known.names[:3], ""))


def test_two_captions(generator):
    options = {"count": 2, "sampler": Sampler("ddim", 2)}
    found = directions_of_captions(generator, "a red star", "a blue star", **options)
    assert found.names == ("a red star > a blue star",)
    noise = generator.noise(2, seed=0)
    red, blue = (generator.sample(noise, c, sampler=options["sampler"]) for c in ("a red star", "a blue star"))
    away = (blue - red).mean(0).flatten()
    vector = torch.from_numpy(found[found.names[0]].vector).float()
    torch.testing.assert_close(vector, away / away.norm(), atol=1e-5, rtol=1e-5)
    with pytest.raises(ValueError, match="draws the same under 'a red star' and 'a red  star'"):
        directions_of_captions(generator, "a red star", "a red  star", **options)


def test_clips_alone(generator, known):
    found = directions_of_clips(generator, known.video, count=2)
    assert found.names == ("pca0", "pca1")
    assert found.provenance["given"] == "no labels: principal components of 8 clips"


def test_a_model_whose_factors_nobody_knows_says_what_to_do(generator):
    with pytest.raises(ValueError, match="this model makes 4 of 16 x 16; find directions from your own labels"):
        find_directions(generator)


def test_labels_at_the_command_line_on_a_pipeline(tmp_path, capsys):
    pytest.importorskip("diffusers")
    from generator.pipelines.whole import wan

    wan().pipe.save_pretrained(tmp_path / "wan")
    for name, value in (("night", -0.8), ("day", 0.8)):
        for i in range(2):
            write(tmp_path / "clips" / name / f"{i}.png", torch.full((1, 3, 1, 16, 16), value + 0.1 * i))
    model = ["--model", str(tmp_path / "wan"), "--num-frames", "5", "--size", "16x16", "--device", "cpu", "--json"]
    out = str(tmp_path / "d.safetensors")
    assert main(["directions", "--labels", str(tmp_path / "clips"), "--out", out, *model]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["directions"] == ["class=day", "class=night"]
    assert told["given"] == "labels of 4 clips, the folders of clips"
    source = str(tmp_path / "clips" / "night" / "0.png")
    edit = ["edit", source, "--direction", "class=day", "--directions", out, "--out", str(tmp_path / "e.mp4")]
    assert main([*edit, *model]) == 0
    assert json.loads(capsys.readouterr().out)["given"] == "labels of 4 clips, the folders of clips"
    assert main(["directions", "--out", out, *model]) == 2
    assert "find directions from your own labels (--labels table.csv" in capsys.readouterr().err
