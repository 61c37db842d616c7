"""The judge of edits, on exact renderings: what is done is kept, and what is not is named."""

import numpy as np
import pytest
import torch

from latentlab.data.moving.dataset import moving_shapes
from latentlab.data.moving.factors import NAMES
from latentlab.data.moving.measure import mask
from latentlab.study.change import Change
from latentlab.study.contract import TOLERANCE, Wanted, judge, outside_psnr

BASE = {
    "shape": 3, "hue": 10.0, "size": 7.0, "start_x": 30.0, "start_y": 32.0, "direction": 20.0, "speed": 0.5,
    "rotation": 2.0, "background_hue": 200.0, "light": 0.75, "blur": 0.0,
}  # fmt: skip
EDITS = {
    "hue": Change.of("hue", 100),
    "background_hue": Change.of("background_hue", 120),
    "light": Change.of("light", 0.2, "by"),
    "size": Change.of("size", "*1.25", "by"),
    "place": Change.of("place", (5, 0), "by"),
    "direction": Change.of("direction", 90, "by"),
    "speed": Change.of("speed", 0.2, "by"),
    "shape": Change.of("shape", "cross"),
    "rotation": Change.of("rotation", 3, "by"),
}


def clip(**changes) -> torch.Tensor:
    return moving_shapes(1, seed=0, fixed={**BASE, **changes})[0]


def rendered(change: Change) -> torch.Tensor:
    after = change.after(np.array([BASE[name] for name in NAMES]))
    return clip(**dict(zip(NAMES, after, strict=True)))


@pytest.mark.parametrize("name", EDITS)
def test_the_exact_rendering_keeps_its_contract_and_the_clip_itself_does_not(name):
    before, after = clip(), rendered(EDITS[name])
    exact = Wanted.of(np.array([[BASE[name] for name in NAMES]]))
    for known in (exact, Wanted.read(before)):
        wanted = known.after(EDITS[name])
        outside = outside_psnr(before, after, mask(before), mask(after)) if EDITS[name].of_the_object else None
        found = judge(after, wanted, outside=outside)
        assert found.kept.all(), found.broken()
        assert max(off[0] for off in found.off.values()) < 0.2
        assert name in judge(before, wanted).broken()


def test_an_edit_that_also_does_something_else_is_not_kept():
    wanted = Wanted.read(clip()).after(EDITS["hue"])
    assert judge(clip(hue=100), wanted).kept.all()
    for name, by in {"size": 1.2, "light": 0.1, "start_x": 3.0, "rotation": 2.5, "direction": 40.0}.items():
        broken = judge(clip(hue=100, **{name: BASE[name] + by}), wanted).broken()
        assert {"start_x": "place"}.get(name, name) in broken
    blank = judge(torch.zeros(1, 3, 16, 64, 64), wanted)
    assert not blank.kept.any()
    assert np.isinf(blank.off["hue"][0])


def test_nothing_is_kept_where_nothing_is_wanted():
    nobody = Wanted.read(torch.zeros(1, 3, 16, 64, 64))
    assert not judge(clip(), nobody).kept.any()


def test_a_circle_that_becomes_a_star_may_turn_as_it_likes():
    wanted = Wanted.read(clip(shape=0)).after(Change.of("shape", "star"))
    assert judge(clip(shape=3, rotation=5.0), wanted).kept.all()


def test_pixels_outside_count_and_those_of_the_object_do_not():
    before, after = clip(), clip(hue=100)
    covered = mask(before)
    assert outside_psnr(before, after, covered, mask(after))[0] > 60
    spoilt = after + 0.1
    assert outside_psnr(before, spoilt, covered, covered)[0] == pytest.approx(20 * np.log10(2 / 0.1), abs=0.1)
    assert not judge(after, Wanted.read(before).after(EDITS["hue"]), outside=np.array([30.0])).kept.any()


def test_the_tolerances_are_those_of_the_contract():
    assert TOLERANCE == {
        "hue": 15, "background_hue": 10, "light": 0.05, "size": 0.1, "place": 1.5, "direction": 20, "speed": 0.08,
        "shape": 0.5, "rotation": 1,
    }  # fmt: skip
