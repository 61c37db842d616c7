"""What an edit asks for: its words, its values, and what it refuses."""

import numpy as np
import pytest

from latentlab.data.moving.factors import NAMES
from latentlab.study.change import Change, changes, parse, parse_all

ROW = {
    "shape": 3, "hue": 0.0, "size": 6.0, "start_x": 32.0, "start_y": 32.0, "direction": 350.0, "speed": 0.5,
    "rotation": 2.0, "background_hue": 240.0, "light": 0.7, "blur": 0.0,
}  # fmt: skip


def row(**other) -> np.ndarray:
    return np.array([{**ROW, **other}[name] for name in NAMES], dtype=float)


@pytest.mark.parametrize(
    ("name", "value", "how", "column", "reached"),
    [
        ("hue", "green", "to", "hue", 120),
        ("colour", -30, "by", "hue", 330),
        ("background", "yellow", "to", "background_hue", 60),
        ("size", "*1.25", "by", "size", 7.5),
        ("size", -1, "by", "size", 5),
        ("light", "+0.2", "by", "light", 0.9),
        ("place", "+5,0", "by", "start_x", 37),
        ("place", (30, 36), "to", "start_y", 36),
        ("direction", 90, "by", "direction", 80),
        ("direction", "up-left", "to", "direction", 135),
        ("speed", "*1.5", "by", "speed", 0.75),
        ("rotation", 3, "by", "rotation", 5),
        ("shape", "cross", "to", "shape", 4),
    ],
)
def test_a_change_reaches_its_value_and_no_other(name, value, how, column, reached):
    change = Change.of(name, value, how)
    change.check(row())
    after = change.after(row())
    assert after[NAMES.index(column)] == pytest.approx(reached)
    moved = {name for name, a, b in zip(NAMES, row(), after, strict=True) if a != b}
    assert moved <= set(change.columns)


def test_a_strength_of_half_goes_half_the_way_and_round_the_circle():
    back = Change.of("direction", 30)
    assert back.after(row(), strength=0.5)[NAMES.index("direction")] == pytest.approx(10)  # from 350 over 0
    assert Change.of("size", "*1.21", "by").after(row(), strength=0.5)[NAMES.index("size")] == pytest.approx(6.6)
    assert (back.after(row(), strength=0.0) == row()).all()


@pytest.mark.parametrize(
    ("name", "value", "how", "said"),
    [
        ("light", 2.0, "to", r"light 2 is out of its range, 0\.5 to 1"),
        ("size", "*0", "by", "multiplied by a number above 0"),
        ("hue", "mauve", "to", "one of red, yellow"),
        ("hue", float("nan"), "to", "finite"),
        ("shape", 2.5, "to", "circle, square"),
        ("shape", "star", "by", "no distance"),
        ("place", 5, "by", "two numbers"),
        ("place", (60, 32), "to", "start_x 60 is out of its range, 11 to 53"),
    ],
)
def test_values_that_there_are_not_are_refused(name, value, how, said):
    with pytest.raises(ValueError, match=said):
        Change.of(name, value, how)


@pytest.mark.parametrize(
    ("change", "clip", "said"),
    [
        (("size", "*2", "by"), {}, "size 12 is out of its range"),
        (("place", (50, 32), "to"), {}, r"start_x 50 is out of its range, 26\.5 to 37\.5"),
        (("rotation", 3, "by"), {"shape": 0}, "circle"),
        (("direction", 90, "by"), {"speed": 0.01}, "rests"),
        (("light", 0.1, "by"), {"shape": np.nan}, "no object"),
        (("hue", 245, "to"), {}, "only 5 degrees from the hue of the background"),
        (("background_hue", 10, "to"), {}, "only 10 degrees from the hue of the object"),
    ],
)
def test_what_a_clip_does_not_allow_is_told(change, clip, said):
    with pytest.raises(ValueError, match=said):
        Change.of(*change).check(row(**clip))


def test_several_changes_may_not_contradict():
    assert [c.name for c in changes(to={"hue": 120, "shape": "star"}, by={"light": 0.1})] == ["hue", "shape", "light"]
    with pytest.raises(ValueError, match="contradict"):
        changes(to={"hue": 120}, by={"colour": 10})
    with pytest.raises(ValueError, match="needs a target"):
        changes()
    with pytest.raises(KeyError, match="no factor 'glow'"):
        changes(to={"glow": 1})


def test_targets_of_the_command_line():
    assert parse("hue=blue", "to") == {"hue": "blue"}
    assert parse_all(["size*1.25", "light-0.2", "direction+90", "place=+5,0"], "by") == {
        "size": "*1.25", "light": "-0.2", "direction": "+90", "place": "+5,0",
    }  # fmt: skip
    for text, how in (("blue", "to"), ("", "by"), ("*2", "by")):
        with pytest.raises(ValueError, match="cannot read"):
            parse(text, how)
    with pytest.raises(ValueError, match="asked for twice"):
        parse_all(["light+0.1", "light+0.2"], "by")


def test_a_change_of_the_second_object_says_so_and_one_of_both_is_none_of_the_same():
    change = Change.of("hue.2", "blue")
    assert (change.name, change.object, str(change)) == ("hue", 1, "hue.2 to 240")
    assert change.after(row())[NAMES.index("hue")] == 240
    assert [str(one) for one in changes(to={"hue": 60, "hue.2": 240})] == ["hue to 60", "hue.2 to 240"]
    with pytest.raises(ValueError, match=r"ask for one change of hue\.2"):
        changes(to={"hue.2": 240}, by={"hue.2": 20})
    for name in ("light.2", "background.2"):
        with pytest.raises(KeyError, match="is of the whole clip"):
            Change.of(name, 0.9)
    with pytest.raises(KeyError, match=r"no factor 'smell\.2'"):
        Change.of("smell.2", 1)


def test_of_two_objects_each_may_be_anywhere_in_the_frame():
    change = Change.of("place.2", (50, 32))
    change.check(row(), several=True)
    with pytest.raises(ValueError, match=r"place\.2 to 50, 32: start_x 50 is out of its range, 26"):
        change.check(row())


@pytest.mark.parametrize(
    ("text", "how", "said"),
    [
        ("hue.2=blue", "to", {"hue.2": "blue"}),
        ("size.2*1.25", "by", {"size.2": "*1.25"}),
        ("place.2=+5,0", "by", {"place.2": "+5,0"}),
        ("light.25", "by", {"light": ".25"}),
        ("light=.2", "by", {"light": ".2"}),
    ],
)
def test_the_second_object_on_the_command_line(text, how, said):
    assert parse(text, how) == said
