"""Steering against the closed form, and what it refuses."""

import math

import pytest
import torch

from latentlab.generator.solver import solve
from latentlab.generator.steer import steered


def test_a_quadratic_energy_adds_a_pull_that_is_known():
    """v = 0 and E = k |x|^2 / 2 give dy/ds = k y: from 1 at s = 1 to exp(-k)."""
    start, levels = torch.ones(1, 1, 1, 1, 1, dtype=torch.float64), torch.linspace(1, 0, 201)
    field = steered(lambda y, s: torch.zeros_like(y), lambda x: 0.5 * x.square().sum(), 2.0)
    assert solve(field, start, levels, method="midpoint").item() == pytest.approx(math.exp(-2), rel=1e-4)


def test_the_gradient_stops_at_the_estimate():
    calls = []

    def velocity(y, s):
        calls.append(torch.is_grad_enabled())
        return y

    with torch.no_grad():
        steered(velocity, lambda x: x.sum(), 1.0)(torch.ones(2, 1, 1, 1, 1), 0.5)
    assert calls == [False]


def test_what_is_no_energy_is_told():
    y = torch.ones(2, 1, 1, 1, 1)
    with pytest.raises(ValueError, match=r"one number.*\(2,\)"):
        steered(lambda y, s: y, lambda x: x.flatten(1).sum(1), 1.0)(y, 0.5)
    with pytest.raises(ValueError, match="without a gradient"):
        steered(lambda y, s: y, lambda x: torch.tensor(1.0), 1.0)(y, 0.5)
