"""What is asked of clips, and the two judges of it, on exact renderings."""

import numpy as np
import pytest
import torch

from latentlab.data.moving.dataset import moving_shapes
from latentlab.data.moving.edits import EDITS
from latentlab.data.moving.factors import FACTORS, NAMES, FactorSampler
from latentlab.study.change import Change
from latentlab.study.contract_clips import ContractClips, wish

BASE = {
    "shape": 3, "hue": 10.0, "size": 7.0, "start_x": 30.0, "start_y": 32.0, "direction": 20.0, "speed": 0.5,
    "rotation": 2.0, "background_hue": 200.0, "light": 0.75, "blur": 0.0,
}  # fmt: skip
ROW = np.array([BASE[name] for name in NAMES])


def clip(row: np.ndarray) -> torch.Tensor:
    return moving_shapes(1, seed=0, fixed=dict(zip(NAMES, row, strict=True)))[0]


def asked_of_a_star(change: Change) -> ContractClips:
    return ContractClips(torch.zeros(1), clip(ROW), ROW[None], (change,), lambda video: video)


@pytest.mark.parametrize("change", [Change.of("shape", "square"), Change.of("hue", 90), Change.of("light", 0.1, "by")])
def test_both_judges_keep_the_exact_rendering_and_nothing_else(change):
    asked, wanted = asked_of_a_star(change), clip(change.after(ROW))
    assert asked.exactly_judged(wanted)[0].all()
    assert asked.accounted(wanted).all()
    undone, found = asked.exactly_judged(asked.unedited)
    assert not undone.any()
    assert change.name in found.broken()
    assert not asked.accounted(asked.unedited).any()
    disc = 0.5 * wanted + 0.5 * clip(change.after(ROW) * np.where(np.arange(len(ROW)) == 0, 0, 1))
    assert not asked.exactly_judged(disc)[0].any()


@pytest.mark.parametrize("factor", EDITS)
def test_what_is_asked_is_in_the_worlds_ranges_and_far_from_what_is_there(factor):
    sampler, rng = FactorSampler(0), np.random.default_rng(0)
    found = [(row, change) for row in map(sampler, range(40)) if (change := wish(factor, row, rng)) is not None]
    assert len(found) > 2
    for row, change in found:
        after = change.after(row)
        for spec, value in zip(FACTORS, after, strict=True):
            assert spec.kind == "circular" or spec.low <= value <= spec.high
        changed = {name for name, one, other in zip(NAMES, row, after, strict=True) if one != other}
        assert changed <= set(change.columns)
        assert changed
        if factor == "hue":
            for other in (row[NAMES.index("hue")], row[NAMES.index("background_hue")]):
                assert abs((after[NAMES.index("hue")] - other + 180) % 360 - 180) >= 60
