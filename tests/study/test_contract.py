"""The judge of edits, on exact renderings: what is done is kept, and what is not is named."""

import numpy as np
import pytest
import torch

from latentlab.data.moving.dataset import moving_shapes
from latentlab.data.moving.factors import NAMES
from latentlab.data.moving.measure import mask
from latentlab.study.change import Change
from latentlab.study.contract import TOLERANCE, Wanted, judge, outside_psnr, unedited_overlap

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
        assert found.overlap[0].min() > 0.99
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


def bent(share: float) -> torch.Tensor:
    """A star between a star and a disc of its size."""
    return (1 - share) * clip() + share * clip(shape=0)


def test_a_star_bent_to_a_blob_is_not_kept_though_its_class_is_a_star():
    known = Wanted.read(clip())
    blob = bent(0.4)
    found = judge(blob, known)
    assert found.read["shape"] == 3
    assert found.broken() == ["overlap"]
    assert found.overlap[0].mean() == pytest.approx(0.87, abs=0.01)
    assert judge(bent(0.2), known).kept.all()
    assert judge(blob, known, floor=np.full((1, 16), 0.95)).kept.all()  # of a space that bends it nearly so by itself


def test_a_clip_whose_end_alone_is_bent_is_not_kept():
    known, late = Wanted.read(clip()), clip()
    late[:, :, 12:] = bent(0.8)[:, :, 12:]
    found = judge(late, known)
    assert found.read["shape"] == 3
    assert found.broken() == ["overlap"]
    assert found.overlap[0].mean() > 0.92
    assert found.lost[0] == pytest.approx(1 - found.overlap[0, 12:].mean())


@pytest.mark.parametrize(
    ("changes", "kept"),
    [({"start_x": 31.2}, True), ({"size": 7.5}, True), ({"rotation": 2.9}, True), ({"blur": 1.0}, True)],
)
def test_place_size_and_turning_are_judged_by_themselves(changes, kept):
    found = judge(clip(**changes), Wanted.read(clip()))
    assert found.kept.all() == kept
    assert found.overlap[0].min() > 0.98


def test_a_star_that_is_turned_covers_less_and_a_square_turned_onto_itself_as_much():
    star, square = clip(rotation=0.0), clip(shape=1, rotation=0.0)
    for video, turn, least, most in ((star, 36, 0.4, 0.6), (star, 72, 0.99, 1), (square, 90, 0.99, 1)):
        known = Wanted.read(video)
        turned = Wanted(known.rows, known.centre, known.pose + turn)
        assert least < turned.overlap(video).mean() <= most


def test_a_new_shape_is_held_against_what_the_space_makes_of_it():
    before, after, change = clip(shape=0), bent(0.4), Change.of("shape", "star")
    known = Wanted.read(before)
    wanted = known.after(change)
    assert unedited_overlap(known, wanted, before, after).min() > 0.99  # of the disc, which no space bends
    blurs = lambda video: torch.nn.functional.avg_pool3d(video, (1, 3, 3), 1, (0, 1, 1))  # noqa: E731
    floor = unedited_overlap(known, wanted, before, after, blurs)
    assert 0.7 < floor.min() < floor.max() < 0.95
    assert judge(after, wanted, floor=floor).kept.all()
    same = known.after(Change.of("hue", 100))
    assert unedited_overlap(known, same, before, after, blurs).min() > 0.99


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
