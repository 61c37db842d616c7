"""The solver against data whose flow is known exactly."""

import math
from itertools import pairwise

import pytest
import torch
from oracles import Gaussian

from latentlab.generator.levels import sampling_levels
from latentlab.generator.solver import METHODS, solve
from latentlab.study.mixture import GaussianMixture

ORDER = {"ddim": 1, "ddim+anderson": 1, "midpoint": 2, "heun": 2, "implicit-midpoint": 2}
# The variance of y is quadratic in s, and on a single Gaussian the terms in h^2 of the midpoint rule's error cancel.
ORDER_ON_ONE_GAUSSIAN = {"ddim": 1, "ddim+anderson": 1, "midpoint": 3, "heun": 2, "implicit-midpoint": 2}
POINTS = torch.linspace(-2, 3, 11, dtype=torch.float64)


def orders(errors):
    return [math.log2(a / b) for a, b in pairwise(errors)]


def test_every_method_has_its_order_here():
    assert ORDER.keys() == ORDER_ON_ONE_GAUSSIAN.keys() == METHODS.keys()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("towards", ["data", "noise"])
def test_halving_the_steps_shows_the_order_on_gaussian_data(method, towards):
    data = Gaussian(mean=1.0, sd=0.5)
    start, end = (1.0, 0.0) if towards == "data" else (0.0, 1.0)
    errors = []
    for steps in (32, 64, 128, 256):
        levels = sampling_levels(steps) if towards == "data" else sampling_levels(steps).flip(0)
        errors.append((solve(data.velocity, POINTS, levels, method=method) - data.flow(POINTS, start, end)).abs().max())
    assert orders(errors)[-1] == pytest.approx(ORDER_ON_ONE_GAUSSIAN[method], abs=0.1)
    assert orders(errors)[-2] == pytest.approx(ORDER_ON_ONE_GAUSSIAN[method], abs=0.2)


@pytest.mark.parametrize(("method", "order"), [("ddim", 1), ("midpoint", 3), ("heun", 3)])
def test_a_round_trip_closes_with_its_order(method, order):
    """Second-order steps there and back cancel their leading errors, so the round trip gains one order."""
    data = Gaussian(mean=1.0, sd=0.5)
    errors = []
    for steps in (32, 64, 128, 256):
        levels = sampling_levels(steps)
        noise = solve(data.velocity, POINTS, levels.flip(0), method=method)
        errors.append((solve(data.velocity, noise, levels, method=method) - POINTS).abs().max())
    assert orders(errors)[-1] == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize("method", METHODS)
def test_shifted_levels_reach_the_same_end(method):
    data = Gaussian(mean=-0.5, sd=0.8)
    ends = [solve(data.velocity, POINTS, sampling_levels(400, shift=shift), method=method) for shift in (1.0, 3.0)]
    assert (ends[0] - ends[1]).abs().max() < (0.05 if method.startswith("ddim") else 1e-4)


def test_the_mixture_oracle_agrees_with_autograd_and_with_its_own_score():
    mixture = GaussianMixture.random(16, 8)
    y = mixture.draw(5).requires_grad_()
    for s in (0.1, 0.5, 0.9):
        (by_autograd,) = torch.autograd.grad(mixture.log_density(y, s).sum(), y)
        torch.testing.assert_close(mixture.score(y, s), by_autograd)
        torch.testing.assert_close(mixture.velocity(y, s), -(y + s * by_autograd) / (1 - s))


def test_the_mixture_oracle_is_the_mean_of_noise_less_data():
    """By brute force: among many draws, the mean of n - x weighted by how well each explains y."""
    mixture, s = GaussianMixture.random(4, 2, seed=3), 0.6
    x = mixture.draw(400_000)
    y = torch.tensor([[0.2, -0.1]], dtype=torch.float64)
    weight = (-0.5 * ((y - (1 - s) * x) / s).square().sum(1)).softmax(0)
    expected = (weight[:, None] * ((y - (1 - s) * x) / s - x)).sum(0)
    torch.testing.assert_close(mixture.velocity(y, s)[0], expected, atol=0.02, rtol=0)


@pytest.mark.parametrize("dim", [8, 64])
@pytest.mark.parametrize("method", METHODS)
def test_halving_the_steps_shows_the_order_on_a_mixture(method, dim):
    mixture = GaussianMixture.random(16, dim)
    clips = mixture.draw(8)
    exact = solve(mixture.velocity, clips, sampling_levels(1600).flip(0), method="midpoint")
    errors = [
        (solve(mixture.velocity, clips, sampling_levels(steps).flip(0), method=method) - exact).norm()
        for steps in (64, 128, 256)
    ]
    assert orders(errors)[-1] == pytest.approx(ORDER[method], abs=0.35)


def test_midpoint_encodes_much_nearer_the_truth_than_ddim_at_equal_cost():
    mixture = GaussianMixture.random(16, 32)
    clips = mixture.draw(16)
    exact = solve(mixture.velocity, clips, sampling_levels(1600).flip(0), method="midpoint")
    error = {
        method: (solve(mixture.velocity, clips, sampling_levels(steps).flip(0), method=method) - exact).norm()
        for method, steps in (("ddim", 50), ("midpoint", 25))
    }
    assert error["midpoint"] < 0.25 * error["ddim"]


@pytest.mark.parametrize(("method", "calls"), [("ddim", 1), ("midpoint", 2), ("heun", 2)])
def test_a_step_costs_what_the_docstring_says(method, calls):
    seen = []
    solve(lambda y, s: seen.append(s) or y, torch.zeros(1), sampling_levels(5), method=method)
    assert len(seen) == 5 * calls
    assert all(0 <= s <= 1 for s in seen)


def test_the_callback_follows_the_steps():
    seen = []
    end = solve(
        lambda y, s: torch.ones_like(y),
        torch.zeros(2),
        torch.tensor([0.0, 0.25, 1.0]),
        callback=lambda step, level, y: seen.append((step, level, y.tolist())),
    )
    assert seen == [(0, 0.25, [0.25, 0.25]), (1, 1.0, [1.0, 1.0])]
    assert end.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("given", "kept"), [(torch.bfloat16, torch.float32), (torch.float32, torch.float32), (torch.float64, torch.float64)]
)
def test_the_state_keeps_full_precision(given, kept):
    dtypes = set()
    end = solve(lambda y, s: dtypes.add(y.dtype) or torch.zeros_like(y), torch.ones(2, dtype=given), sampling_levels(3))
    assert dtypes == {kept}
    assert end.dtype == kept


def test_many_small_steps_from_bfloat16_add_up():
    """In bfloat16 itself, 1 + 1/1000 would be 1 for ever."""
    end = solve(lambda y, s: torch.ones_like(y), torch.ones(1, dtype=torch.bfloat16), torch.linspace(0, 1, 1001))
    assert end.item() == pytest.approx(2.0, abs=1e-4)


def test_the_start_is_left_as_it_was():
    start = torch.ones(3)
    solve(lambda y, s: y, start, sampling_levels(4))
    assert start.tolist() == [1.0, 1.0, 1.0]


def test_an_unknown_method_names_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown method 'euler'; there are ddim, ddim\+anderson, midpoint, heun"):
        solve(lambda y, s: y, torch.zeros(1), sampling_levels(2), method="euler")


@pytest.mark.parametrize(
    "levels", [[0.0, 0.5, 0.4, 1.0], [0.0, 0.0], [0.5], [], [-0.1, 0.5], [0.5, 1.1], [0.0, float("nan")]]
)
def test_levels_must_be_monotone_within_zero_and_one(levels):
    with pytest.raises(ValueError, match="strictly rising or falling, in \\[0, 1\\]"):
        solve(lambda y, s: y, torch.zeros(1), torch.tensor(levels))
