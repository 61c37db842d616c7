from dataclasses import replace
from itertools import pairwise

import pytest

from latentlab.data.moving.captions import captions
from latentlab.data.moving.dataset import MovingShapes
from latentlab.data.moving.scene import Camera, Object, Scene
from latentlab.data.moving.scene_captions import relation, scene_caption, scene_captions, scene_vocabulary

STAR = Object(3, hue=0, size=5, x=20, y=32, direction=90, speed=0.0, rotation=0)
CIRCLE = Object(0, hue=240, size=6.5, x=44, y=32, direction=0, speed=0, rotation=0)
SCENE = Scene((STAR, CIRCLE), background_hue=120, light=0.75)
WORLD = MovingShapes(250, seed=0, objects=(0, 1, 2), changes=0.5, camera=0.3)


def test_every_word_of_a_caption_is_in_the_vocabulary_and_every_entry_is_said():
    said = {word for i in range(len(WORLD)) for text in scene_captions(WORLD.scene(i)) for word in text.split()}
    assert said == set(scene_vocabulary())


def test_captions_leave_no_holes():
    for i in range(60):
        for text in scene_captions(WORLD.scene(i)):
            assert text == " ".join(text.split())
            assert not text.startswith(",")
            assert not text.endswith((" a", " on", ",", " moving", " then"))
            assert not {("in", "light"), ("a", "background"), (",", "and"), (",", "on")} & set(pairwise(text.split()))


def test_a_steady_object_before_a_plain_background_is_told_as_it_always_was():
    old = MovingShapes(40, seed=3)
    for i in range(40):
        assert scene_captions(old.scene(i)) == captions(old.sampler(i))


@pytest.mark.parametrize(
    ("x", "y", "word"),
    [(44, 32, "left of"), (0, 32, "right of"), (20, 56, "above"), (20, 8, "below"), (44, 60, "above")],
)
def test_the_order_is_that_of_the_wider_gap(x, y, word):
    assert relation(replace(SCENE, objects=(STAR, replace(CIRCLE, x=x, y=y)))) == word


def test_an_order_that_is_not_clear_all_the_time_is_not_told():
    closer = replace(CIRCLE, direction=180, speed=0.75)
    assert relation(replace(SCENE, objects=(STAR, closer))) == "and"
    edge = STAR.x + 5 * 1.4623 * 0.9511 + 4.0 + CIRCLE.size  # of a star's arm, four pixels and a radius away
    assert relation(replace(SCENE, objects=(STAR, replace(CIRCLE, x=edge + 0.1)))) == "left of"
    assert relation(replace(SCENE, objects=(STAR, replace(CIRCLE, x=edge - 0.1)))) == "and"


@pytest.mark.parametrize(("front", "word"), [(0, "in front of"), (1, "behind")])
def test_what_hides_the_other_is_in_front(front, word):
    assert relation(replace(SCENE, objects=(STAR, replace(CIRCLE, x=26)), front=front)) == word


def test_both_orders_say_the_same():
    texts = scene_captions(SCENE)
    assert texts[0].startswith("a small red star resting , left of a large blue circle resting")
    assert texts[1].startswith("a large blue circle resting , right of a small red star resting")
    assert texts[3] == "a red star left of a blue circle"
    assert texts[4] == "a blue circle right of a red star on a green background"


@pytest.mark.parametrize(
    ("change", "at", "text"),
    [
        ("stops", 5, "moving up quickly then stops early"),
        ("starts", 10, "resting then starts late moving up quickly"),
        ("turns", 7, "moving up quickly then turns left"),
        ("bounces", 9, "moving up quickly then bounces late"),
    ],
)
def test_changes_of_motion_are_told(change, at, text):
    star = replace(STAR, speed=0.7, change=change, change_at=at, turn=90)
    assert scene_caption(replace(SCENE, objects=(star,)), 3) == f"a small red star {text}"


def test_a_camera_is_told():
    scene = replace(SCENE, objects=(), checked=True, camera=Camera(direction=180, speed=0.4))
    assert scene_caption(scene) == "on a green checked background as the camera pans left"
    assert scene_caption(replace(scene, camera=Camera(zoom=-1))).endswith("as the camera zooms out")


def test_where_nothing_can_be_said_there_is_nothing():
    assert set(scene_captions(Scene((), background_hue=30, light=0.75))) == {"nothing"}
