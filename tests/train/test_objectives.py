"""The objectives against closed forms."""

import math
from typing import get_args

import pytest
import torch

from latentlab.cli import main
from latentlab.generator.vector_vae import PERIOD
from latentlab.names import VectorObjective
from latentlab.train.objectives import (
    OBJECTIVES,
    Critic,
    Draw,
    annealed_vae_loss,
    beta_tcvae_loss,
    beta_vae_loss,
    dip_vae_i_loss,
    dip_vae_ii_loss,
    factor_vae_loss,
    mixture_total_correlation,
    reconstruction_loss,
    shuffle_dims,
)


def test_the_command_line_knows_them_all():
    assert set(get_args(VectorObjective)) == set(OBJECTIVES)


def draw_of(mean: torch.Tensor, logvar: torch.Tensor, **rest) -> Draw:
    noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(1))
    kl = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).sum(1)
    return Draw(torch.tensor(5.0), kl, mean, logvar, mean + (0.5 * logvar).exp() * noise, **rest)


def correlated(rho: float, count: int = 2000) -> torch.Tensor:
    first, second = torch.randn(2, count, generator=torch.Generator().manual_seed(0))
    return torch.stack([first, rho * first + math.sqrt(1 - rho**2) * second], 1)


@pytest.fixture
def draw():
    return draw_of(correlated(0.8, 64), torch.full((64, 2), -1.0))


def test_beta_weighs_the_kl(draw):
    assert reconstruction_loss(draw)[0] == 5
    assert beta_vae_loss(draw, 1.0)[0] == pytest.approx(5 + draw.kl.mean().item())
    assert beta_vae_loss(draw, 4.0)[0] == pytest.approx(5 + 4 * draw.kl.mean().item())


@pytest.mark.parametrize(("progress", "allowed"), [(0.0, 0.0), (1 / 6, 10.0), (1 / 3, 20.0), (1.0, 20.0)])
def test_the_capacity_rises_over_the_first_third(draw, progress, allowed):
    at = Draw(draw.error, draw.kl, draw.mean, draw.logvar, draw.z, progress)
    expected = 5 + 3 * abs(draw.kl.mean().item() - allowed)
    assert annealed_vae_loss(at, gamma=3.0, capacity=20.0)[0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("rho", [0.0, 0.6, 0.9])
def test_total_correlation_of_gaussian_codes(rho):
    mean, logvar = correlated(rho), torch.full((2000, 2), math.log(0.25))
    r = rho / 1.25  # codes of variance 1 + 0.25
    found = mixture_total_correlation(draw_of(mean, logvar).z, mean, logvar)
    assert found == pytest.approx(-0.5 * math.log(1 - r**2), abs=0.05)  # a mixture of 2,000 is a little too high


def test_total_correlation_of_rings_does_not_see_the_cut():
    generator = torch.Generator().manual_seed(0)
    angle = (torch.rand(1000, 1, generator=generator) - 0.5) * PERIOD
    mean, logvar = torch.cat([angle, angle], 1), torch.full((1000, 2), -4.0)
    z = mean + 0.13 * torch.randn(mean.shape, generator=generator)
    around = torch.remainder(mean + 1.0 + PERIOD / 2, PERIOD) - PERIOD / 2
    found = mixture_total_correlation(z, mean, logvar, rings=2)
    assert mixture_total_correlation(z + 1.0, around, logvar, rings=2) == pytest.approx(found.item(), rel=1e-4)
    spread = 0.5 * math.log(2 * math.pi * math.e) - 2  # entropy of one dim given the angle
    assert found == pytest.approx(math.log(PERIOD) - spread - 0.5 * math.log(2), abs=0.1)


def test_beta_tcvae_of_one_is_a_vae(draw):
    assert beta_tcvae_loss(draw, 1.0)[0] == pytest.approx(beta_vae_loss(draw, 1.0)[0].item())
    tc = beta_tcvae_loss(draw, 6.0)[1]["tc"]
    assert beta_tcvae_loss(draw, 6.0)[0] == pytest.approx((5 + draw.kl.mean() + 5 * tc).item())


def test_dip_i_looks_at_means_and_dip_ii_at_drawn_codes():
    # Means +-1 in each dim, crossed: covariance is the identity.
    mean = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    draw = draw_of(mean, torch.full((4, 2), math.log(0.5)))
    vae = (5 + draw.kl.mean()).item()
    assert dip_vae_i_loss(draw, 10.0)[0] == pytest.approx(vae)
    assert dip_vae_ii_loss(draw, 10.0)[0] == pytest.approx(vae + 10 * 2 * 0.5**2)
    tied = draw_of(mean[:, :1].expand(-1, 2), torch.full((4, 2), -20.0))
    assert dip_vae_i_loss(tied, 10.0)[1]["dip"] == pytest.approx(10 * 2)  # two entries of 1 off the diagonal


def test_shuffled_dims_keep_their_values_and_lose_their_ties():
    codes = correlated(0.95)
    shuffled = shuffle_dims(codes, torch.Generator().manual_seed(0))
    assert torch.equal(shuffled.sort(0).values, codes.sort(0).values)
    assert abs(torch.corrcoef(shuffled.T)[0, 1]) < 0.1


def test_the_critic_learns_from_its_own_loss_and_codes_from_the_odds_alone():
    torch.manual_seed(0)
    critic = Critic(2, width=8, depth=2)
    mean = correlated(0.8, 64).requires_grad_()
    draw = draw_of(mean, torch.full((64, 2), -1.0), critic=critic, generator=torch.Generator().manual_seed(0))
    factor_vae_loss(draw, gamma=1.0)[0].backward()
    weights, codes = [p.grad.clone() for p in critic.parameters()], mean.grad.clone()
    critic.zero_grad()
    mean.grad = None
    draw = draw_of(mean, torch.full((64, 2), -1.0), critic=critic, generator=torch.Generator().manual_seed(0))
    factor_vae_loss(draw, gamma=0.0)[0].backward()
    assert all(torch.allclose(p.grad, w) for p, w in zip(critic.parameters(), weights, strict=True))
    assert not torch.allclose(mean.grad, codes)


def test_a_trained_critic_estimates_total_correlation():
    torch.manual_seed(0)
    critic, generator = Critic(2, width=64, depth=2), torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(critic.parameters(), lr=3e-3)
    codes = correlated(0.8, 4000)
    for _ in range(150):
        part = codes[torch.randint(4000, (512,), generator=generator)]
        draw = Draw(torch.zeros(()), torch.zeros(512), part, part, part, critic=critic, generator=generator)
        optimizer.zero_grad()
        factor_vae_loss(draw)[0].backward()
        optimizer.step()
    draw = Draw(torch.zeros(()), torch.zeros(4000), codes, codes, codes, critic=critic, generator=generator)
    assert factor_vae_loss(draw)[1]["tc"] == pytest.approx(-0.5 * math.log(1 - 0.64), abs=0.1)


def test_factor_vae_without_a_critic_is_told(draw):
    with pytest.raises(ValueError, match="critic"):
        factor_vae_loss(draw)


def test_the_command_line_offers_every_objective(capsys):
    with pytest.raises(SystemExit):
        main(["train", "vector-vae", "--help"])
    told = capsys.readouterr().out
    assert all(name in told for name in OBJECTIVES)
