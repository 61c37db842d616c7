"""The rows of scenes: full marks for a model that draws what is told, and the null level for one that draws another."""

from pathlib import Path

import pytest
import torch

from latentlab.bench.script import load_script
from latentlab.data.moving.captions import hue_name
from latentlab.data.moving.dataset import MovingShapes
from latentlab.data.moving.render import render

script = load_script(Path(__file__).parents[1] / "benchmarks" / "quality_scenes.py")
KINDS = ({"objects": 0}, {"objects": 2, "named": True}, {"objects": 1, "changes": 1.0, "half": True})
COUNT = 3


@pytest.fixture(scope="module")
def drawn():
    """The clips of all scenes that are asked for, by caption."""
    scenes = [scene for kind in KINDS for scene in script.told(12 if kind["objects"] == 2 else COUNT, **kind)]
    return {script.scene_caption(scene, 0): video(scene) for scene in scenes}


def video(scene):
    return torch.from_numpy(render(scene).rgb).float().mul(2).sub(1).permute(3, 0, 1, 2)[None]


def test_a_model_that_draws_what_is_told_has_full_marks(drawn):
    rows = script.scenes(lambda captions: torch.cat([drawn[caption] for caption in captions]), COUNT)
    assert {name: row["value"] for name, row in rows.items() if isinstance(row, dict)} == dict.fromkeys(
        list(rows)[1:], 100
    )


def test_a_model_that_draws_something_else_has_none(drawn):
    clips = torch.cat([MovingShapes(40, 7).clip(i) for i in range(COUNT)])  # one steady object each
    rows = script.scenes(lambda captions: clips[: len(captions)], COUNT)
    assert {row["value"] for row in rows.values() if isinstance(row, dict)} == {0}


def test_captions_are_of_scenes_that_say_what_is_asked():
    for scene in script.told(4, objects=2, named=True):
        assert all(hue_name(shape.hue, tolerance=20) for shape in scene.objects)
    for scene in script.told(4, objects=1, changes=1.0, half=True):
        assert scene.objects[0].change in ("stops", "turns")
        assert scene.objects[0].change_at <= 6 or scene.objects[0].change_at >= 9
