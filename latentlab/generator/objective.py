"""What a network was asked for in training, and how its answer is read as the velocity.

A state is `y = (1 - s) clean + s noise`, data and noise of unit variance, and `n(s)^2 = (1 - s)^2 + s^2` its variance.
Diffusion that preserves variance has the same state in another unit: `x = alpha clean + sigma noise = y / n`, with
alpha = (1 - s) / n and sigma = s / n. Whatever a network answers is linear in data and noise, so two pure functions say
it: `target(clean, noise, s)`, what is asked, and `velocity(output, y, s)`, the `noise - clean` that it amounts to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from latentlab.generator.levels import sampling_levels
from latentlab.generator.methods import check_counts

Level = Tensor | float  # flow time, one number or what broadcasts with a state
STEPS = 1000  # T of DDPM
NEAR = 0.05  # flow time below which the error of clean data weighs no more (Li & He 2025, their clip of 1 - t)


@dataclass(frozen=True)
class Objective:
    """One way to ask a denoiser, with the flow times that it is asked at.

    Attributes:
        target: `(clean, noise, s) -> F`, what the network should answer.
        velocity: `(F, y, s) -> noise - clean`.
        times: flow times of training from numbers uniform in [0, 1).
        levels: flow times from noise down to data for a number of steps.
        weight: `s -> w`, of the squared error of F in the loss.
        guess: `s -> (skip, out)`: for data of unit variance `skip y` is the best linear guess at F, and `out` the
            standard deviation of what it leaves. Layers that answer G, that remainder at unit variance, make
            F = skip y + out G (Karras et al. 2022, appendix B.6, for any objective).

    >>> flow, ddpm = OBJECTIVES["flow"], OBJECTIVES["ddpm"]
    >>> clean, noise, s = torch.tensor([1.0]), torch.tensor([3.0]), 0.5
    >>> y = (1 - s) * clean + s * noise
    >>> [o.velocity(o.target(clean, noise, s), y, s).item() for o in (flow, ddpm)]
    [2.0, 2.0]
    """

    target: Callable[[Tensor, Tensor, Level], Tensor]
    velocity: Callable[[Tensor, Tensor, Level], Tensor]
    times: Callable[[Tensor], Tensor]
    levels: Callable[[int], Float[Tensor, " level"]]
    weight: Callable[[Level], Level]
    guess: Callable[[Level], tuple[Level, Level]]


def deviation(s: Level) -> Level:
    """n(s), the standard deviation of a state."""
    return ((1 - s) ** 2 + s**2) ** 0.5


# epsilon: the noise (Ho et al. 2020, eq. 14)


def noise_target(clean: Tensor, noise: Tensor, s: Level) -> Tensor:
    """F = noise."""
    del clean, s
    return noise


def noise_velocity(output: Tensor, y: Tensor, s: Level) -> Tensor:
    """v = (F - y) / (1 - s); at s = 1 there is no clean data in y, and noise tells nothing of it.

    Raises:
        ValueError: s is 1.
    """
    if isinstance(s, float | int) and s == 1:
        raise ValueError(
            "a network that answers with the noise leaves the velocity open at flow time 1, where a state is nothing "
            "but noise; take the levels of its training, which begin at 0.9937 for the linear schedule of DDPM"
        )
    return (output - y) / (1 - s)


# x0: the clean data (Li & He 2025, "JiT", table 1)


def clean_target(clean: Tensor, noise: Tensor, s: Level) -> Tensor:
    """F = clean."""
    del noise, s
    return clean


def clean_velocity(output: Tensor, y: Tensor, s: Level) -> Tensor:
    """v = (y - F) / s; at s = 0, where y is clean and tells nothing of the noise, whose mean is 0, v = -y."""
    if isinstance(s, float | int) and s == 0:
        return -y
    return (y - output) / s


# v: the velocity of variance-preserving diffusion in its angle (Salimans & Ho 2022, appendix D)


def angular_target(clean: Tensor, noise: Tensor, s: Level) -> Tensor:
    """F = alpha noise - sigma clean."""
    return ((1 - s) * noise - s * clean) / deviation(s)


def angular_velocity(output: Tensor, y: Tensor, s: Level) -> Tensor:
    """v = ((2 s - 1) y / n + F) / n, from clean = alpha x - sigma F and noise = sigma x + alpha F."""
    n = deviation(s)
    return ((2 * s - 1) * y / n + output) / n


# flow: the velocity of the straight path (Lipman et al. 2023, eq. 23)


def flow_target(clean: Tensor, noise: Tensor, s: Level) -> Tensor:
    """F = noise - clean."""
    del s
    return noise - clean


def flow_velocity(output: Tensor, y: Tensor, s: Level) -> Tensor:
    """v = F."""
    del y, s
    return output


# edm: what is left of clean data once c_skip y is taken off (Karras et al. 2022, eq. 7)


def preconditioned_target(clean: Tensor, noise: Tensor, s: Level, spread: Level = 1.0) -> Tensor:
    """F = (s clean - (1 - s) spread^2 noise) / (spread n), so that clean = c_skip y + c_out F.

    c_skip = (1 - s) spread^2 / n^2 and c_out = s spread / n, with n^2 = (1 - s)^2 spread^2 + s^2 for data of standard
    deviation `spread`.
    """
    n = ((1 - s) ** 2 * spread**2 + s**2) ** 0.5
    return (s * clean - (1 - s) * spread**2 * noise) / (spread * n)


def preconditioned_velocity(output: Tensor, y: Tensor, s: Level, spread: Level = 1.0) -> Tensor:
    """v = (s - (1 - s) spread^2) y / n^2 - spread F / n, which divides by nothing that can be 0."""
    n = ((1 - s) ** 2 * spread**2 + s**2) ** 0.5
    return (s - (1 - s) * spread**2) * y / n**2 - spread * output / n


# flow times


@cache
def linear_beta() -> Float[Tensor, " time"]:
    """Flow times of DDPM's 1,000 steps, betas from 1e-4 to 0.02 (Ho et al. 2020, section 4): 0.01 up to 0.9937."""
    kept = torch.cumprod(1 - torch.linspace(1e-4, 0.02, STEPS, dtype=torch.float64), 0)
    alpha, sigma = kept.sqrt(), (1 - kept).sqrt()
    return sigma / (alpha + sigma)


def linear_beta_times(u: Tensor) -> Tensor:
    """A step of DDPM at random, each as likely."""
    return linear_beta().to(u.device, torch.float32)[(u * STEPS).long().clamp(max=STEPS - 1)]


def linear_beta_levels(num_steps: int) -> Float[Tensor, " level"]:
    """Flow times from DDPM's last step down to data, evenly spaced in its steps ("trailing"; Lin et al. 2024).

    Raises:
        ValueError: more steps than there are.

    >>> linear_beta_levels(4).shape, round(float(linear_beta_levels(4)[0]), 4)
    (torch.Size([5]), 0.9937)
    """
    check_counts(num_steps=num_steps)
    if num_steps > STEPS:
        raise ValueError(f"DDPM has {STEPS} steps, got num_steps={num_steps}")
    at = torch.linspace(STEPS, 0, num_steps + 1, dtype=torch.float64)[:-1].round().long() - 1
    return torch.cat([linear_beta()[at], torch.zeros(1, dtype=torch.float64)])


def cosine_times(u: Tensor) -> Tensor:
    """The angle of alpha and sigma at random, each as likely (Nichol & Dhariwal 2021, eq. 17, without their offset)."""
    angle = torch.pi / 2 * u
    return angle.sin() / (angle.sin() + angle.cos())


def sigmoid_normal(u: Tensor, mean: float, spread: float) -> Tensor:
    """sigmoid(N(mean, spread^2)) (Esser et al. 2024, eq. 19)."""
    return torch.sigmoid(mean + spread * torch.special.ndtri(u.clamp(1e-6, 1 - 1e-6)))


def _even(s: Level) -> Level:
    return s * 0 + 1


def _velocity_error(s: Level) -> Level:
    """The error of v is that of clean data over s^2 (Li & He 2025, eq. 6), held down near clean data."""
    return 1 / (s.clamp(min=NEAR) if isinstance(s, Tensor) else max(s, NEAR)) ** 2


OBJECTIVES: dict[str, Objective] = {
    "ddpm": Objective(
        noise_target,
        noise_velocity,
        linear_beta_times,
        linear_beta_levels,
        _even,
        lambda s: (s / deviation(s) ** 2, (1 - s) / deviation(s)),
    ),
    "x0": Objective(
        clean_target,
        clean_velocity,
        lambda u: sigmoid_normal(u, 0.6, 1.2),  # wider than their 0.8, 0.8, which never comes near data
        sampling_levels,
        _velocity_error,
        lambda s: ((1 - s) / deviation(s) ** 2, s / deviation(s)),
    ),
    "v": Objective(
        angular_target,
        angular_velocity,
        cosine_times,
        sampling_levels,
        _even,
        lambda s: (s * 0, _even(s)),
    ),
    "flow": Objective(
        flow_target,
        flow_velocity,
        lambda u: sigmoid_normal(u, 0.0, 1.0),
        sampling_levels,
        _even,
        lambda s: ((2 * s - 1) / deviation(s) ** 2, 1 / deviation(s)),
    ),
    "edm": Objective(
        preconditioned_target,
        preconditioned_velocity,
        lambda u: sigmoid_normal(u, -0.5, 1.2),  # log sigma of N(-1.2, 1.2^2) at data of 0.5, in units of that
        sampling_levels,
        _even,
        lambda s: (s * 0, _even(s)),
    ),
}


def objective(name: str) -> Objective:
    """An objective by name.

    Raises:
        ValueError: there is none of that name.

    >>> objective("epsilon")
    Traceback (most recent call last):
    ValueError: no objective 'epsilon'; there are ddpm, x0, v, flow, edm
    """
    if name not in OBJECTIVES:
        raise ValueError(f"no objective {name!r}; there are {', '.join(OBJECTIVES)}")
    return OBJECTIVES[name]
