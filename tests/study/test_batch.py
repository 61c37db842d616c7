"""Briefs, and batches of them without a generator."""

import json

import pytest
import torch

from latentlab.record import frame_hash
from latentlab.study.batch import Batches, read_ratings
from latentlab.study.brief import Brief
from latentlab.video import read

TEXT = """
caption = "a {size} {hue} star"
forbidden = ["green"]
batch = 4
ratings = 12
[axes]
size = ["small", "large"]
hue = ["red", "cyan"]
guidance = [2, 4.5]
"""


def brief(tmp_path, text=TEXT):
    path = tmp_path / "brief.toml"
    path.write_text(text)
    return Brief.read(path)


def draw(setting, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.full((1, 3, 4, 16, 16), float(setting["hue"] == "red")) - 0.1 * torch.rand(1, generator=generator)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("caption =", "captoin =", "is it 'caption'"),
        ("{hue}", "{hues}", "is it 'hue'"),
        ("guidance =", "guidence =", "is it 'guidance'"),
        ("[2, 4.5]", '["two"]', "numbers from 0 on, got ['two']"),
        ("[2, 4.5]", "[2, 2]", "a value twice"),
        ("batch = 4", "batch = 0", "batch must be a whole number from 1 on, got 0"),
        ('["green"]', '["cyan"]', "'cyan' is forbidden"),
        ('["green"]', '"green"', "a list of words"),
        ("[axes]", "[axes", "is no TOML"),
        ('["red", "cyan"]', "[]", "must be a list of values"),
        ("{hue}", "{hue", "slots are words in braces"),
        ("guidance = [2, 4.5]", 'control = ["a.mp4"]', "{ clip ="),
    ],
)
def test_a_typo_is_a_clear_line(tmp_path, old, new, said):
    with pytest.raises(ValueError) as error:
        brief(tmp_path, TEXT.replace(old, new, 1))
    assert said in str(error.value)
    assert "brief.toml" in str(error.value)


def test_batches_are_drawn_rated_and_proposed(tmp_path):
    given = brief(tmp_path)
    batches = Batches(given, tmp_path / "out", draw, lambda video, caption, words: list(words))
    while batches.state in ("draw", "rate"):
        drawn = list(batches.step())
        assert all(clip.shows == ("green",) for clip in drawn)
        batches.rate({clip.name: clip.setting["hue"] == "red" for clip in drawn})
    assert batches.state in ("settled", "ended")
    assert batches.taste().best()["hue"] == "red"
    late = [clip.setting["hue"] == "red" for clip in batches.clips[4:]]
    assert sum(late) / len(late) > 0.7
    assert batches.clips[0].caption == f"a {batches.clips[0].setting['size']} {batches.clips[0].setting['hue']} star"


def test_a_killed_run_goes_on_to_the_same_batches(tmp_path):
    given = brief(tmp_path)

    class Killed(Exception):
        pass

    drawn = []

    def dies(setting, seed):
        if len(drawn) == 2:
            raise Killed
        drawn.append(seed)
        return draw(setting, seed)

    with pytest.raises(Killed):
        list(Batches(given, tmp_path / "killed", dies).step())
    again, whole = Batches(given, tmp_path / "killed", draw), Batches(given, tmp_path / "whole", draw)
    assert len(list(again.step())) == 2  # of four
    list(whole.step())
    assert again.clips == whole.clips
    assert [clip.frames for clip in whole.clips] == [frame_hash(read(whole.file(clip)).video) for clip in whole.clips]
    assert again.state == "rate"
    (tmp_path / "whole" / "001.mp4").unlink()  # a clip whose file went is drawn again
    assert [clip.name for clip in Batches(given, tmp_path / "whole", draw).step()] == ["001"]


def test_a_folder_of_another_brief_or_model_is_refused(tmp_path):
    list(Batches(brief(tmp_path), tmp_path / "out", draw, model="one").step())
    with pytest.raises(ValueError, match="another model"):
        Batches(brief(tmp_path), tmp_path / "out", draw, model="two")
    with pytest.raises(ValueError, match="another brief"):
        Batches(brief(tmp_path, TEXT.replace("star", "circle")), tmp_path / "out", draw, model="one")
    Batches(brief(tmp_path, TEXT.replace("ratings = 12", "ratings = 40")), tmp_path / "out", draw, model="one")
    (tmp_path / "out" / "manifest.json").write_text(json.dumps({"clips": [{}]}))
    with pytest.raises(ValueError, match="no manifest"):
        Batches(brief(tmp_path), tmp_path / "out", draw, model="one")


def test_ratings_are_of_clips_that_there_are(tmp_path):
    batches = Batches(brief(tmp_path), tmp_path / "out", draw)
    list(batches.step())
    with pytest.raises(ValueError, match="no clip '007'"):
        batches.rate({"007": True})
    batches.rate({"000": True})
    batches.rate({"001": False, "000": False})
    assert read_ratings(tmp_path / "out" / "ratings.csv") == {"000": False, "001": False}
    for text, said in (("a,b\n", "clip,liked"), ("clip,liked\n000,yes\n", "got '000,yes'")):
        (tmp_path / "bad.csv").write_text(text)
        with pytest.raises(ValueError, match=said):
            read_ratings(tmp_path / "bad.csv")


def test_seeds_on_an_axis_are_not_shown_twice(tmp_path):
    given = brief(tmp_path, TEXT.replace("guidance = [2, 4.5]", "seed = [5, 6, 7]"))
    batches = Batches(given, tmp_path / "out", draw)
    for _ in range(2):
        drawn = list(batches.step())
        batches.rate({clip.name: True for clip in drawn})
    settings = [tuple(clip.setting.values()) for clip in batches.clips]
    assert len(set(settings)) == len(settings) == 8
    assert all(clip.seed == clip.setting["seed"] for clip in batches.clips)
