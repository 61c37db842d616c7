"""The judge of edits of one of two objects, on exact renderings."""

import numpy as np
import pytest
import torch

from latentlab.data.moving.dataset import MovingShapes
from latentlab.data.moving.factors import NAMES
from latentlab.data.moving.render import draw_scene
from latentlab.data.moving.scene import Scene
from latentlab.study.change import Change
from latentlab.study.contract_scenes import WantedScene, judge_scene, two_objects

LEFT = {
    "shape": 3, "hue": 10.0, "size": 6.0, "start_x": 18.0, "start_y": 30.0, "direction": 60.0, "speed": 0.4,
    "rotation": 2.0,
}  # fmt: skip
RIGHT = {
    "shape": 1, "hue": 130.0, "size": 5.0, "start_x": 44.0, "start_y": 36.0, "direction": 200.0, "speed": 0.3,
    "rotation": -1.0,
}  # fmt: skip
WHOLE = {"background_hue": 240.0, "light": 0.75, "blur": 0.0, "front": 0}
BASE = {**LEFT, **{f"{name}.2": value for name, value in RIGHT.items()}, **WHOLE}
EDITS = {
    "hue": (60, "to"), "hue.2": (60, "to"), "light": (0.2, "by"), "background_hue": (300, "to"),
    "size": ("*1.25", "by"),
    "size.2": ("*1.25", "by"), "place": ((5, 0), "by"), "place.2": ((-5, 0), "by"), "direction.2": (90, "by"),
    "speed": (0.2, "by"), "shape.2": ("cross", "to"), "rotation": (3, "by"),
}  # fmt: skip


def clip(**changes) -> torch.Tensor:
    pixels, _, _ = draw_scene(Scene.of({**BASE, **changes}), np.arange(16))
    return torch.from_numpy(pixels).float().mul(2).sub(1).permute(3, 0, 1, 2)[None].contiguous()


def rendered(change: Change, **also) -> torch.Tensor:
    end = ".2" if change.object else ""
    keys = [name + end if name in LEFT else name for name in NAMES]
    after = change.after(np.array([BASE[key] for key in keys]))
    return clip(**{**dict(zip(keys, after, strict=True)), **also})


def read(video: torch.Tensor) -> WantedScene:
    (seen,) = two_objects(video)
    assert seen is not None
    return WantedScene.read([seen])


@pytest.fixture(scope="module")
def known() -> WantedScene:
    return read(clip())


@pytest.mark.parametrize("name", EDITS)
def test_the_exact_rendering_is_kept_and_the_clip_itself_is_not(known, name):
    change = Change.of(name, *EDITS[name])
    table = MovingShapes(1, 0, objects=2, fixed=BASE).factors()
    after = rendered(change)
    for what in (known, WantedScene.of(table)):
        found = judge_scene(after, what.after(change))
        assert found.kept.all(), found.broken()
        assert np.nanmax([off[0] for off in found.off.values()]) < 0.2
        assert found.overlap.min() > 0.98
    assert name in judge_scene(clip(), known.after(change)).broken()


@pytest.mark.parametrize(
    ("also", "broken"),
    [
        ({"hue.2": 160.0}, "hue.2"),
        ({"start_x.2": 46.0}, "place.2"),
        ({"size.2": 5.8}, "size.2"),
        ({"shape.2": 4}, "shape.2"),
        ({"rotation.2": 1.0}, "rotation.2"),
        ({"direction.2": 240.0}, "direction.2"),
        ({"light": 0.85}, "light"),
        ({"size": 7.0}, "size"),
    ],
)
def test_an_edit_that_also_changes_something_else_is_not_kept(known, also, broken):
    change = Change.of("hue", 60)
    found = judge_scene(rendered(change, **also), known.after(change))
    assert broken in found.broken()
    assert "hue" not in found.broken()


def test_the_other_object_edited_instead_and_objects_that_changed_places_are_not_kept(known):
    other = judge_scene(clip(**{"hue.2": 60.0}), known.after(Change.of("hue", 60)))
    assert {"hue", "hue.2"} <= set(other.broken())
    swapped = {**RIGHT, **{f"{name}.2": value for name, value in LEFT.items()}, "start_x": 18.0, "start_y": 30.0}
    swapped |= {"start_x.2": 44.0, "start_y.2": 36.0}
    found = judge_scene(clip(**swapped), known)
    assert not found.kept.any()
    assert judge_scene(clip(), known).kept.all()


def test_a_clip_that_lost_an_object_or_shows_none_is_not_kept(known):
    one = clip(**{"shape.2": np.nan})
    for video in (one, torch.full_like(one, -0.2)):
        found = judge_scene(video, known)
        assert not found.kept.any()
        assert np.isinf(found.off["hue.2"][0])
    assert two_objects(one) == [None]


def test_an_object_whose_end_is_bent_is_not_kept_whichever_it_is(known):
    for bent in ({"shape": 0}, {"shape.2": 3}):
        video, disc = clip(), clip(**bent)
        video[:, :, 10:] = 0.2 * video[:, :, 10:] + 0.8 * disc[:, :, 10:]
        assert "overlap" in judge_scene(video, known).broken()


MEET = {"start_x": 26.0, "start_x.2": 33.0, "start_y": 30.0, "start_y.2": 33.0, "speed": 0.1, "speed.2": 0.1}


@pytest.mark.parametrize("front", [0, 1])
def test_what_hides_the_other_stays_in_front_and_the_hidden_part_is_not_asked_for(front):
    known, change = read(clip(**MEET, front=front)), Change.of("hue.2", 60)
    good = judge_scene(clip(**MEET, **{"hue.2": 60.0}, front=front), known.after(change))
    assert good.kept.all(), good.broken()
    assert good.overlap.min() > 0.9
    turned = judge_scene(clip(**MEET, **{"hue.2": 60.0}, front=1 - front), known.after(change))
    assert "front" in turned.broken()


def test_an_edit_may_turn_left_and_right_about():
    near = {"start_x": 24.0, "start_x.2": 28.0, "start_y": 18.0, "start_y.2": 46.0}
    seen = two_objects(clip(**near))
    assert seen is not None
    found = judge_scene(
        clip(**{**near, "start_x": 34.0}), WantedScene.read(seen).after(Change.of("place", (10, 0), "by"))
    )
    assert found.kept.all(), found.broken()
    assert found.read["hue"][0] == pytest.approx(10, abs=1)


def test_short_clips_of_which_one_shows_nothing_are_judged_and_not_kept():
    three = clip()[:, :, :3]
    wanted = read(three)
    empty = torch.full_like(three, -0.5)
    found = judge_scene(empty, wanted)
    assert not found.kept.any()
    assert found.overlap.shape == (1, 2, 3)
    assert judge_scene(three, wanted).kept.all()
