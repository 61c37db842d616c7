"""Edits: codes moved along directions."""

import numpy as np
import pytest
import torch

from latentlab.directions import Direction, Effect, edit

LIGHT = Direction("light", np.array([0.6, 0.8, 0.0]), scale=2.5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_strength_counts_standard_deviations(dtype):
    codes = torch.zeros(2, 3, dtype=dtype)
    moved = edit(codes, LIGHT, 2.0)
    torch.testing.assert_close(moved, torch.tensor([[3.0, 4.0, 0.0]] * 2, dtype=dtype))
    assert codes.abs().max() == 0


def test_no_strength_is_no_edit_and_strengths_add():
    codes = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(edit(codes, LIGHT, 0.0), codes)
    torch.testing.assert_close(edit(edit(codes, LIGHT, 3.0), LIGHT, -1.0), edit(codes, LIGHT, 2.0))


def test_one_unit_along_a_found_direction_is_the_spread_of_the_codes():
    rng = np.random.default_rng(0)
    light = rng.uniform(size=(300, 1))
    codes = torch.from_numpy(light @ np.array([[4.0, 1.0, 0.0]]) + 0.1 * rng.standard_normal((300, 3)))
    found = Effect(names=["light"]).fit(codes, light)["light"]
    along = (edit(codes, found, 1.0) - codes) @ torch.from_numpy(found.vector)
    torch.testing.assert_close(along, torch.full((300,), float((codes.numpy() @ found.vector).std())).double())


def test_a_direction_of_another_space_is_an_error():
    with pytest.raises(ValueError, match=r"'light' has 3 dims, codes have shape \(2, 4\); find the direction in"):
        edit(torch.zeros(2, 4), LIGHT, 1.0)
    with pytest.raises(ValueError, match=r"codes have shape \(3,\)"):
        edit(torch.zeros(3), LIGHT, 1.0)


@pytest.mark.parametrize("strength", [float("nan"), float("inf")])
def test_the_strength_must_be_finite(strength):
    with pytest.raises(ValueError, match=f"strength must be finite, got {strength}"):
        edit(torch.zeros(1, 3), LIGHT, strength)
