"""Labels of the user's own clips: a table, or a folder for each class."""

import numpy as np
import pytest
import torch

from latentlab.cli import main
from latentlab.data import labelled
from latentlab.data.labelled import clips_in
from latentlab.video import write


def grey(value: float, frames: int = 1) -> torch.Tensor:
    return torch.full((1, 3, frames, 8, 8), value)


def test_a_table_of_numbers_and_words(tmp_path):
    write(tmp_path / "dark.png", grey(-1.0))
    write(tmp_path / "far" / "bright.mkv", grey(1.0, 3))
    (tmp_path / "t.csv").write_text("\ufefffile, age ,colour\ndark.png,3,red\n\nfar/bright.mkv,,blue\n", "utf-8")
    found = labelled(tmp_path / "t.csv", 2, (8, 8))
    assert found.factors.names == ("age", "colour")
    assert found.factors.spec("colour").labels == ("blue", "red")
    np.testing.assert_array_equal(found.factors.values, [[3, 1], [np.nan, 0]])
    assert (found.names, found.source) == (("dark.png", "bright.mkv"), "the table t.csv")
    assert [round(float(clip.mean())) for clip in found.video] == [-1, 1]
    assert found.video.shape == (2, 3, 2, 8, 8)


def test_a_folder_for_each_class(tmp_path):
    for name, value in (("night", -1.0), ("day", 1.0)):
        for i in (2, 10):
            write(tmp_path / name / f"{i}.png", grey(value))
    found = labelled(tmp_path, 1, (8, 8))
    assert found.factors.spec("class").labels == ("day", "night")
    assert found.factors["class"].tolist() == [0, 0, 1, 1]
    assert found.names == ("2.png", "10.png", "2.png", "10.png")
    assert [file.name for file in clips_in(tmp_path / "day")] == ["2.png", "10.png"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("file,age\n", "name a file and a factor in its first line"),
        ("file\na.png\n", "name a file and a factor in its first line"),
        ("file,age\na.png,3,4\n", "line 2 of .* has 3 cells, its first line 2"),
        ("file,age,age\na.png,3,4\n", "a name each, got file, age, age"),
        ("file,age\nb.png,3\n", r"names b.png, which is not in .* \(1 such files\)"),
        ("file,age\na.png,\n", "column 'age' says nothing of any clip"),
    ],
)
def test_tables_that_are_none(tmp_path, text, said):
    write(tmp_path / "a.png", grey(0.0))
    (tmp_path / "t.csv").write_text(text, "utf-8")
    with pytest.raises((ValueError, FileNotFoundError), match=said):
        labelled(tmp_path / "t.csv", 1, (8, 8))


def test_one_class_is_none(tmp_path):
    write(tmp_path / "day" / "a.png", grey(0.0))
    with pytest.raises(ValueError, match="two classes or more, got day"):
        labelled(tmp_path, 1, (8, 8))
    with pytest.raises(ValueError, match="holds no video and no image"):
        clips_in(tmp_path)


def test_labels_and_another_source_at_once(tmp_path, capsys):
    assert main(["directions", "--labels", "a.csv", "--clips", "b", "--out", str(tmp_path / "d.safetensors")]) == 2
    assert "found from one thing, got --labels and --clips" in capsys.readouterr().err
    assert main(["edit", "a.mp4", "--caption", "a star", "--labels", "t.csv", "--out", str(tmp_path / "b.mp4")]) == 2
    assert "--labels go with --direction NAME" in capsys.readouterr().err
