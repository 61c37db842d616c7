"""What is asked of one of two objects, and the two judges of it, on exact renderings."""

import numpy as np
import pytest
import torch

from latentlab.data.moving.dataset import MovingShapes
from latentlab.data.moving.edits import EDITS
from latentlab.data.moving.render import draw_scene
from latentlab.data.moving.scene import Scene
from latentlab.study.change import Change
from latentlab.study.contract_scene_clips import SceneClips, left_to_right, row_after, scene_wish

DATA = MovingShapes(200, 3, objects=2, fixed={"blur": 0.0})
NAMES = [spec.name for spec in DATA.sampler.specs]


def row(index: int) -> dict[str, float]:
    return left_to_right(dict(zip(NAMES, map(float, DATA.sampler(index)), strict=True)))


def clip(row: dict[str, float]) -> torch.Tensor:
    pixels, _, _ = draw_scene(Scene.of(row), np.arange(16))
    return torch.from_numpy(pixels).float().mul(2).sub(1).permute(3, 0, 1, 2)[None].contiguous()


@pytest.mark.slow
@pytest.mark.parametrize("factor", ["hue", "shape"])
def test_both_judges_keep_the_exact_rendering_and_neither_the_clip_itself_nor_the_other_object(factor):
    rng = np.random.default_rng(0)
    one, change = next((r, c) for r in map(row, range(40)) if (c := scene_wish(factor, r, rng)))
    asked = SceneClips(torch.zeros(1), clip(one), (one,), (change,), lambda video: video)
    wanted = clip(row_after(one, change))
    kept, found = asked.exactly_judged(wanted)
    assert kept.all(), found.broken()
    assert asked.accounted(wanted).all()
    assert asked.unedited_kept().all()
    undone, found = asked.exactly_judged(asked.unedited)
    assert not undone.any()
    assert change.told in found.broken()
    assert not asked.accounted(asked.unedited).any()
    end = "" if change.object else ".2"  # the other one
    spoilt = clip(row_after(one, change) | {f"hue{end}": one[f"hue{end}"] + 40})
    assert not asked.exactly_judged(spoilt)[0].any()
    assert not asked.accounted(spoilt).any()


@pytest.mark.parametrize("factor", EDITS)
def test_what_is_asked_keeps_objects_apart_and_tells_their_hues_apart(factor):
    rng = np.random.default_rng(1)
    found = [(r, c) for r in map(row, range(40)) if (c := scene_wish(factor, r, rng))]
    assert len(found) > 3
    for before, change in found:
        after = row_after(before, change)
        moved = {name for name in before if before[name] != after[name] and np.isfinite(before[name])}
        assert moved <= {f"{name}{'.2' * change.object}" for name in change.columns}
        hues = [after[name] for name in ("hue", "hue.2", "background_hue")]
        if factor in ("hue", "background_hue"):
            apart = [abs((a - b + 180) % 360 - 180) for a, b in zip(hues, hues[1:] + hues[:1], strict=True)]
            assert min(apart) >= 60
        places = [thing.centre(np.arange(16)) for thing in Scene.of(after).objects]
        if factor in ("place", "direction", "speed"):
            assert np.linalg.norm(places[0] - places[1], axis=1).min() > 5


def test_the_first_object_of_a_row_is_the_one_further_left():
    for index in range(4):
        one, other = (thing.centre(np.arange(16)).mean(0) for thing in Scene.of(row(index)).objects)
        assert one[0] <= other[0]
        assert torch.allclose(clip(row(index)), DATA.clip(index), atol=1e-6)


def test_a_change_of_the_whole_clip_is_of_no_object():
    after = row_after(row(0), Change.of("light", 0.9))
    assert {name for name in after if after[name] != row(0)[name] and np.isfinite(after[name])} == {"light"}
