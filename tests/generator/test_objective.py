"""What networks are asked: one velocity behind five objectives."""

from typing import get_args

import pytest
import torch

from latentlab.generator.objective import (
    OBJECTIVES,
    linear_beta_levels,
    preconditioned_target,
    preconditioned_velocity,
)
from latentlab.generator.solver import ancestral, ddim, solve
from latentlab.names import ImageObjective

NAMES = sorted(OBJECTIVES)
SHAPE = (4, 1, 1, 3, 3)


def test_the_command_line_knows_them_all():
    assert set(get_args(ImageObjective)) == set(OBJECTIVES)


def gaussian(seed=0, *, mean=0.3, spread=0.8):
    """Clean data N(mean, spread^2), a state, and what is known of both parts of it: `E[. | y]`."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda: torch.randn(SHAPE, generator=generator, dtype=torch.float64)  # noqa: E731
    clean, noise = mean + spread * draw(), draw()

    def known(s):
        y = (1 - s) * clean + s * noise
        variance = (1 - s) ** 2 * spread**2 + s**2
        residual = (y - (1 - s) * mean) / variance
        return y, mean + (1 - s) * spread**2 * residual, s * residual

    return clean, noise, known


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("s", [1e-3, 0.01, 0.3, 0.5, 0.9, 0.9937])
def test_all_objectives_give_the_velocity_of_a_gaussian(name, s):
    known = gaussian()[2]
    y, clean, noise = known(s)
    own = OBJECTIVES[name]
    answer = own.target(clean, noise, s)  # the best answer is the mean, as what is asked is linear
    assert torch.allclose(own.velocity(answer, y, s), noise - clean, rtol=0, atol=1e-9)


@pytest.mark.parametrize("s", [0.0, 1.0])
@pytest.mark.parametrize("name", ["v", "flow", "edm"])
def test_three_have_a_velocity_at_both_ends(name, s):
    y, clean, noise = gaussian()[2](s)
    own = OBJECTIVES[name]
    assert torch.allclose(own.velocity(own.target(clean, noise, s), y, s), noise - clean, rtol=0, atol=1e-12)


def test_where_noise_or_data_alone_say_nothing():
    y, clean, noise = gaussian()[2](0.0)
    assert torch.allclose(OBJECTIVES["x0"].velocity(clean, y, 0.0), noise - clean, rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match=r"flow time 1"):
        OBJECTIVES["ddpm"].velocity(y, y, 1.0)


@pytest.mark.parametrize("spread", [0.1, 1.0, 3.0])
def test_preconditioning_for_data_of_any_spread(spread):
    y, clean, noise = gaussian(spread=spread)[2](0.4)
    answer = preconditioned_target(clean, noise, 0.4, spread)
    assert torch.allclose(preconditioned_velocity(answer, y, 0.4, spread), noise - clean, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_an_error_of_the_answer_is_one_of_the_velocity(name):
    """Factors of the errors: (1 - s)^2, s^2, n^2, 1, 1 / n^2 at unit spread."""
    s, n2 = 0.3, 0.3**2 + 0.7**2
    factor = {"ddpm": (1 - s) ** 2, "x0": s**2, "v": n2, "flow": 1.0, "edm": n2}[name]
    clean, noise, _ = gaussian()
    y, own = (1 - s) * clean + s * noise, OBJECTIVES[name]
    wrong = own.target(clean, noise, s) + 0.1
    error = (own.velocity(wrong, y, s) - (noise - clean)).pow(2).mean()
    assert float(error) * factor == pytest.approx(0.01, rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_times_and_weights_are_within(name):
    own = OBJECTIVES[name]
    s = own.times((torch.arange(1000) + 0.5) / 1000)
    assert 0 <= float(s.min()) < 0.1 < 0.9 < float(s.max()) <= 1
    assert (s.diff() >= 0).all()
    assert (own.weight(s) > 0).all()
    assert s.dtype == torch.float32


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("s", [0.01, 0.4, 0.9937])
def test_the_guess_is_the_best_for_data_of_unit_variance(name, s):
    generator = torch.Generator().manual_seed(0)
    clean, noise = torch.randn(2, 200_000, generator=generator, dtype=torch.float64)
    own, y = OBJECTIVES[name], (1 - s) * clean + s * noise
    skip, out = own.guess(s)
    left = own.target(clean, noise, s) - skip * y
    assert abs(float((left * y).mean())) < 0.01 * out  # what is left has nothing to do with the state
    assert float(left.std()) == pytest.approx(out, rel=0.01)


def test_levels_of_ddpm_begin_where_its_training_ends():
    levels = linear_beta_levels(1000)
    assert len(levels) == 1001
    assert levels[-1] == 0
    assert float(levels[0]) == pytest.approx(0.9937, abs=1e-4)
    assert torch.equal(linear_beta_levels(10)[:-1], levels[:-1:100])
    with pytest.raises(ValueError, match="1001"):
        linear_beta_levels(1001)


@pytest.mark.parametrize("step", [0, 1, 400, 998, 999])
def test_the_mean_of_an_ancestral_step_is_that_of_diffusers(step, monkeypatch):
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.DDPMScheduler(1000, 1e-4, 0.02, "linear", clip_sample=False)
    scheduler.set_timesteps(1000)
    betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)  # its own are float32: 1 - alpha has four digits
    scheduler.betas, scheduler.alphas, scheduler.alphas_cumprod = betas, 1 - betas, (1 - betas).cumprod(0)
    monkeypatch.setattr(scheduler, "_get_variance", lambda *args, **kwargs: torch.tensor(0.0))
    x, answer = gaussian()[:2]
    theirs = scheduler.step(answer, int(scheduler.timesteps[step]), x).prev_sample

    levels = linear_beta_levels(1000).tolist()
    s, s_next = levels[step], levels[step + 1]
    unit = lambda s: (s**2 + (1 - s) ** 2) ** 0.5  # noqa: E731 - y = n x
    velocity = lambda y, s: OBJECTIVES["ddpm"].velocity(answer, y, s)  # noqa: E731
    silent = ancestral(lambda: torch.zeros(SHAPE, dtype=torch.float64))
    ours = silent(velocity, unit(s) * x, s, s_next) / unit(s_next)
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-6)


def test_ancestral_sampling_keeps_the_variance_of_a_gaussian():
    """Whatever the churn, data N(0, 0.5^2) comes out of unit noise, as it does from DDIM without any."""
    spread = 0.5

    def velocity(y, s):
        return (s - (1 - s) * spread**2) / ((1 - s) ** 2 * spread**2 + s**2) * y

    generator = torch.Generator().manual_seed(0)
    draw = lambda: torch.randn(10_000, generator=generator)  # noqa: E731
    levels = linear_beta_levels(1000)
    start = draw() * float((levels[0] ** 2 + (1 - levels[0]) ** 2) ** 0.5)
    for churn in (0.5, 1.0):
        end = solve(velocity, start, levels, method=ancestral(draw, churn))
        assert float(end.std()) == pytest.approx(spread, rel=0.03)


def test_no_churn_is_ddim():
    y, levels = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0)), linear_beta_levels(5)
    velocity = lambda y, s: torch.sin(y + s)  # noqa: E731
    ours = solve(velocity, y, levels, method=ancestral(lambda: torch.zeros(SHAPE), churn=0.0))
    assert torch.allclose(ours, solve(velocity, y, levels, method=ddim), atol=1e-5)


@pytest.mark.parametrize("churn", [-0.1, 1.5, float("nan")])
def test_churn_is_from_none_to_ddpm(churn):
    with pytest.raises(ValueError, match="0 to 1"):
        ancestral(lambda: torch.zeros(SHAPE), churn)
