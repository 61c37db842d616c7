"""Side effects of edits on clips where they are planted."""

import numpy as np
import pytest
import torch

from latentlab.data.moving.dataset import moving_shapes
from latentlab.data.moving.measure import mask, measure
from latentlab.directions import Direction
from latentlab.metrics.flow import still
from latentlab.scoreboard.direction_score import Testbed
from latentlab.scoreboard.side_effects import measure_side_effects
from latentlab.spaces import Around

VIDEO, FACTORS = moving_shapes(4, seed=0, fixed={"speed": 0.0, "rotation": 0.0, "shape": 1})
_, REFERENCE = moving_shapes(200, seed=1)
BRIGHTER = Direction("light", np.array([1.0, 0.0]), 1.0)
FLICKER = Direction("light", np.array([0.0, 1.0]), 1.0)


def decode(codes: torch.Tensor) -> torch.Tensor:
    """The first code turns the light down, the second lets it jump from frame to frame."""
    gain = codes[:, :1] + 0.1 * codes[:, 1:] * (-1.0) ** torch.arange(16)
    return (VIDEO + 1) * torch.exp(-0.2 * gain.abs()).view(4, 1, 16, 1, 1).float() - 1


def bed(decode, back: torch.Tensor | None = None) -> Testbed:
    """The way back finds the codes `back`."""
    around = None if back is None else lambda video: Around(back, decode)
    return Testbed(torch.zeros(4, 2), decode, measure, REFERENCE, around=around, mask=mask)


def test_no_edit_has_no_side_effects():
    found = measure_side_effects(bed(decode, torch.zeros(4, 2)), BRIGHTER, 0.0, flow=still)
    assert found.background == found.cycle == float("inf")
    assert found.flicker_added == found.drift_added == found.by_frame == 0


def test_light_changes_the_background_evenly_and_goes_back():
    found = measure_side_effects(bed(decode, torch.tensor([[1.0, 0]] * 4)), BRIGHTER, 1.0, flow=still)
    assert 5 < found.background < 40
    assert found.cycle == float("inf")
    assert found.flicker_added == pytest.approx(0, abs=0.2)
    assert found.drift_added == pytest.approx(0, abs=0.01)
    light = REFERENCE["light"].std()
    moved = np.abs(FACTORS["light"] * (1 - np.exp(-0.2))).mean() / light
    assert found.by_frame == pytest.approx(moved / 5, rel=0.05)  # one of five factors of appearance


def test_light_that_jumps_is_drift_and_flicker():
    def flat(codes: torch.Tensor) -> torch.Tensor:
        gain = 1 - 0.1 * codes[:, 1:] * (torch.arange(16) % 2)
        return (VIDEO + 1) * gain.view(4, 1, 16, 1, 1).float() - 1

    found = measure_side_effects(bed(flat), FLICKER, 1.0, flow=still)
    assert found.flicker_added > 1
    step = 0.1 * np.sqrt((FACTORS["light"] ** 2).mean() / 2) / REFERENCE["light"].std()
    assert found.drift_added == pytest.approx(step / 5, rel=0.1)
    assert np.isnan(found.cycle)


def test_any_move_stands_in_for_an_edit_and_a_mask_is_needed():
    def move(codes, direction, strength):
        return codes + strength * torch.tensor([[1.0, 0.0]])

    here = bed(decode, torch.tensor([[1.0, 0]] * 4))
    assert measure_side_effects(here, FLICKER, 1.0, flow=still, move=move) == measure_side_effects(
        here, BRIGHTER, 1.0, flow=still
    )
    with pytest.raises(ValueError, match="where it is: Testbed"):
        measure_side_effects(Testbed(torch.zeros(4, 2), decode, measure, REFERENCE), BRIGHTER, 1.0)


def test_what_is_kept_is_that_the_target_moves_and_nothing_else_does():
    def brighter(codes: torch.Tensor) -> torch.Tensor:
        return (VIDEO + 1) * torch.exp(0.2 * (codes[:, :1] - 1)).view(4, 1, 1, 1, 1).float() - 1

    def other_colours(codes: torch.Tensor) -> torch.Tensor:
        return brighter(codes).roll(int(codes[0, 0] > 0), dims=1)  # red for green: light moves as before, hues as well

    assert measure_side_effects(bed(brighter), BRIGHTER, 1.0, flow=still).kept == 1
    assert measure_side_effects(bed(brighter), BRIGHTER, 0.0, flow=still).kept == 0
    assert measure_side_effects(bed(brighter), BRIGHTER, -1.0, flow=still).kept == 0  # the other way
    assert measure_side_effects(bed(other_colours), BRIGHTER, 1.0, flow=still).kept == 0
