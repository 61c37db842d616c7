"""What a vector VAE is trained for: seven objectives as functions of one batch, all in nats a clip, to be minimised.

Each takes a `Draw` and its one strength, by the paper's name, and returns the loss with figures to log. They are those
of the papers; training lets what stands beside the error grow over its first 60 %, unless `VectorVAETraining.warmup` is
0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from latentlab.generator.vector_vae import PERIOD
from latentlab.shapes import Codes

Figures = dict[str, Tensor]


@dataclass(frozen=True)
class Draw:
    """What an objective sees of a batch.

    Attributes:
        error: -log p(video | z), mean over the batch.
        kl: of each posterior from the prior, `(sample,)`.
        mean, logvar: of the posteriors, `(sample, dim)`; those of one frame where codes change from frame to frame.
        z: drawn from them.
        progress: share of the training that is over, 0 to 1.
        critic: tells codes from shuffled ones (`factor_vae_loss` only).
        generator: of randomness.
        rings: how many dims, the first ones, are angles of period `PERIOD`.
    """

    error: Tensor
    kl: Float[Tensor, " sample"]
    mean: Codes
    logvar: Codes
    z: Codes
    progress: float = 1.0
    critic: nn.Module | None = None
    generator: torch.Generator | None = None
    rings: int = 0


def reconstruction_loss(draw: Draw) -> tuple[Tensor, Figures]:
    """Reconstruction alone; its codes are means, not drawn."""
    return draw.error, {}


def beta_vae_loss(draw: Draw, beta: float = 4.0) -> tuple[Tensor, Figures]:
    """error + beta KL (Higgins et al. 2017, eq. 4)."""
    return draw.error + beta * draw.kl.mean(), {}


def annealed_vae_loss(draw: Draw, gamma: float = 100.0, capacity: float = 25.0) -> tuple[Tensor, Figures]:
    """error + gamma |KL - C|, C rising to `capacity` nats over the first third (Burgess et al. 2018, eq. 8)."""
    allowed = capacity * min(1.0, 3 * draw.progress)
    return draw.error + gamma * (draw.kl.mean() - allowed).abs(), {"capacity": torch.tensor(allowed)}


def beta_tcvae_loss(draw: Draw, beta: float = 6.0) -> tuple[Tensor, Figures]:
    """error + KL + (beta - 1) TC (Chen et al. 2018, eq. 4 with alpha = gamma = 1).

    KL is index-code information + total correlation + dimension-wise KL; only the middle one weighs more.
    """
    tc = mixture_total_correlation(draw.z, draw.mean, draw.logvar, draw.rings)
    return draw.error + draw.kl.mean() + (beta - 1) * tc, {"tc": tc.detach()}


def factor_vae_loss(draw: Draw, gamma: float = 10.0) -> tuple[Tensor, Figures]:
    """error + KL + gamma TC, TC from a critic's odds of codes against shuffled ones (Kim & Mnih 2018, eq. 2 and 3).

    The critic's own loss is added: its weights see that alone, and the codes see the odds alone, so one optimiser
    trains both.
    """
    if draw.critic is None:
        raise ValueError("factor_vae needs a critic")
    fixed = {name: weight.detach() for name, weight in draw.critic.named_parameters()}
    odds = torch.func.functional_call(draw.critic, fixed, (draw.z,))
    tc = (odds[:, 0] - odds[:, 1]).mean()
    codes = draw.z.detach()
    both = draw.critic(torch.cat([codes, shuffle_dims(codes, draw.generator)]))
    truth = torch.arange(2, device=both.device).repeat_interleave(len(codes))
    told = F.cross_entropy(both, truth)
    figures = {"tc": tc.detach(), "critic": told.detach()}
    return draw.error + draw.kl.mean() + gamma * tc + told, figures


def dip_vae_i_loss(draw: Draw, lambda_od: float = 10.0) -> tuple[Tensor, Figures]:
    """error + KL + lambda_od off(Cov[mean])^2 + 10 lambda_od (diag - 1)^2 (Kumar et al. 2018, eq. 6)."""
    penalty = _from_identity(_covariance(draw.mean), lambda_od, 10 * lambda_od)
    return draw.error + draw.kl.mean() + penalty, {"dip": penalty.detach()}


def dip_vae_ii_loss(draw: Draw, lambda_od: float = 10.0) -> tuple[Tensor, Figures]:
    """The same of the covariance of drawn codes, Cov[mean] + E[variance], equal weights (Kumar et al. 2018, eq. 7)."""
    covariance = _covariance(draw.mean) + torch.diag(draw.logvar.exp().mean(0))
    penalty = _from_identity(covariance, lambda_od, lambda_od)
    return draw.error + draw.kl.mean() + penalty, {"dip": penalty.detach()}


OBJECTIVES: dict[str, Callable[..., tuple[Tensor, Figures]]] = {
    "autoencoder": reconstruction_loss,
    "beta-vae": beta_vae_loss,
    "annealed-vae": annealed_vae_loss,
    "beta-tcvae": beta_tcvae_loss,
    "factor-vae": factor_vae_loss,
    "dip-vae-i": dip_vae_i_loss,
    "dip-vae-ii": dip_vae_ii_loss,
}


class Critic(nn.Sequential):
    """Two odds for a code: that its dims belong together, that they were shuffled (Kim & Mnih 2018, appendix A)."""

    def __init__(self, dims: int, width: int = 256, depth: int = 4) -> None:
        layers: list[nn.Module] = []
        for i in range(depth):
            layers += [nn.Linear(width if i else dims, width), nn.LeakyReLU(0.2)]
        super().__init__(*layers, nn.Linear(width, 2))


def mixture_total_correlation(z: Codes, mean: Codes, logvar: Codes, rings: int = 0) -> Tensor:
    """KL of q(z) from the product of q(z_j), q the mixture of the batch's posteriors (Chen et al. 2018, app. C.1).

    In nats. The weights of minibatch weighted sampling differ from these by a constant, which moves no gradient. The
    mixture is small, so the value is too high for codes of many sharp dims.
    """
    # log q(z_i,j | x_k) for every sample i, dim j and posterior k of the batch.
    apart = z[:, None] - mean[None]
    apart = torch.cat([torch.remainder(apart[..., :rings] + PERIOD / 2, PERIOD) - PERIOD / 2, apart[..., rings:]], 2)
    each = -0.5 * (apart**2 * (-logvar).exp()[None] + logvar[None] + math.log(2 * math.pi))
    joint = each.sum(2).logsumexp(1) - math.log(len(z))
    alone = (each.logsumexp(1) - math.log(len(z))).sum(1)
    return (joint - alone).mean()


def shuffle_dims(codes: Codes, generator: torch.Generator | None = None) -> Codes:
    """Each dim permuted over the batch on its own: draws from the product of q(z_j) (Kim & Mnih 2018, algorithm 1)."""
    return codes.gather(0, torch.rand(codes.shape, generator=generator, device=codes.device).argsort(0))


def _covariance(codes: Codes) -> Float[Tensor, "dim dim"]:
    centred = codes - codes.mean(0)
    return centred.T @ centred / len(codes)


def _from_identity(covariance: Tensor, off: float, diagonal: float) -> Tensor:
    on = torch.diagonal(covariance)
    return off * (covariance.square().sum() - on.square().sum()) + diagonal * (on - 1).square().sum()
