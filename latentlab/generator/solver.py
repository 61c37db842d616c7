"""One solver for sampling and for inversion: the probability-flow ODE dy/ds = v(y, s) along a list of levels.

Descending levels sample, ascending ones invert; in flow time DDIM, Euler on EDM's sigmas and flow-matching Euler are
all the same first-order step. Methods whose latent is more than one state are in `retracing.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from tqdm.auto import tqdm

from latentlab.generator.anderson import fixed_point

Velocity = Callable[[Tensor, float], Tensor]
SolverStep = Callable[[Velocity, Tensor, float, float], Tensor]
Callback = Callable[[int, float, Tensor], None]


def ddim(velocity: Velocity, y: Tensor, s: float, s_next: float) -> Tensor:
    """y' = y + (s' - s) v(y, s): DDIM (Song et al. 2021, eq. 13) in flow time, which is Euler's; order 1, one call."""
    return torch.add(y, velocity(y, s), alpha=s_next - s)


def midpoint(velocity: Velocity, y: Tensor, s: float, s_next: float) -> Tensor:
    """y' = y + (s' - s) v(y_mid, s_mid), the explicit midpoint rule; order 2, two calls.

    RF-Solver's released update (Wang et al. 2024) is algebraically this rule.
    """
    middle = torch.add(y, velocity(y, s), alpha=0.5 * (s_next - s))
    return torch.add(y, velocity(middle, 0.5 * (s + s_next)), alpha=s_next - s)


def heun(velocity: Velocity, y: Tensor, s: float, s_next: float) -> Tensor:
    """y' = y + (s' - s) (v(y, s) + v(y_euler, s')) / 2 (Karras et al. 2022, algorithm 1); order 2, two calls."""
    here = velocity(y, s)
    there = velocity(torch.add(y, here, alpha=s_next - s), s_next)
    return torch.add(y, here + there, alpha=0.5 * (s_next - s))


def implicit_midpoint(
    velocity: Velocity, y: Tensor, s: float, s_next: float, residuals: list[float] | None = None
) -> Tensor:
    """y' = y + (s' - s) v((y + y') / 2, s_mid); order 2, and symmetric: the step back solves the same equation.

    Both ways it is exact to the residual of that equation, which is appended to `residuals`.
    """
    step, middle = s_next - s, 0.5 * (s + s_next)
    guess = torch.add(y, velocity(y, s), alpha=step)
    return _solved(lambda z: torch.add(y, velocity(0.5 * (y + z), middle), alpha=step), guess, residuals)


def ddim_anderson(
    velocity: Velocity, y: Tensor, s: float, s_next: float, residuals: list[float] | None = None
) -> Tensor:
    """DDIM towards data; towards noise, the solution y' of y' = y + (s' - s) v(y', s'), which DDIM carries back to y.

    AIDI (Pan et al. 2023) with Anderson's acceleration; exact to the residual, which is appended to `residuals`.
    """
    guess = ddim(velocity, y, s, s_next)
    if s_next < s:
        return guess
    return _solved(lambda z: torch.add(y, velocity(z, s_next), alpha=s_next - s), guess, residuals)


def ancestral(draw: Callable[[], Tensor], churn: float = 1.0) -> SolverStep:
    """DDIM with fresh noise (Song et al. 2021, eq. 12 and 16, their eta), a step for `solve`.

    y' = (1 - s') clean + sqrt(s'^2 - q^2) noise + q z, with q = churn s' sqrt(1 - r^2), r = s' (1 - s) / (s (1 - s')).

    Args:
        draw: z, unit noise of the state's shape, fresh at each call.
        churn: 0 is DDIM, 1 ancestral sampling of DDPM, whose posterior variance (Ho et al. 2020, eq. 7) is then q^2.

    Raises:
        ValueError: churn is outside of 0 to 1.
    """
    if not 0 <= churn <= 1:
        raise ValueError(f"churn is 0 to 1, from DDIM to DDPM, got {churn}")

    def step(velocity: Velocity, y: Tensor, s: float, s_next: float) -> Tensor:
        v = velocity(y, s)
        clean, noise = torch.add(y, v, alpha=-s), torch.add(y, v, alpha=1 - s)
        fresh = churn * s_next * math.sqrt(max(0.0, 1 - (s_next * (1 - s) / (s * (1 - s_next))) ** 2))
        return (1 - s_next) * clean + math.sqrt(s_next**2 - fresh**2) * noise + fresh * draw()

    return step


def _solved(f: Callable[[Tensor], Tensor], guess: Tensor, residuals: list[float] | None) -> Tensor:
    y, residual = fixed_point(f, guess)
    if residuals is not None:
        residuals.append(residual)
    return y


METHODS: dict[str, SolverStep] = {
    "ddim": ddim,
    "ddim+anderson": ddim_anderson,
    "midpoint": midpoint,
    "heun": heun,
    "implicit-midpoint": implicit_midpoint,
}


@torch.no_grad()
def solve(
    velocity: Velocity,
    y: Tensor,
    levels: Float[Tensor, " level"],
    *,
    method: str | SolverStep = "midpoint",
    callback: Callback | None = None,
    progress: bool | str = False,
) -> Tensor:
    """Carries `y` along `levels`, first to last.

    Args:
        velocity: `v(y, s)`, the network under its condition and guidance.
        y: state at `levels[0]`; kept in float32 (float64 stays), whatever the network computes in.
        levels: flow times in [0, 1], strictly rising or falling.
        method: "ddim", "ddim+anderson", "midpoint", "heun", "implicit-midpoint", or a step of your own.
        callback: called after each step as `callback(step, level, y)`.
        progress: show a bar; a string names it.

    Returns:
        The state at `levels[-1]`.

    Raises:
        ValueError: unknown method, or levels that are not monotone in [0, 1].

    >>> solve(lambda y, s: torch.ones_like(y), torch.zeros(1), torch.tensor([0.0, 0.5, 1.0]))
    tensor([1.])
    """
    if isinstance(method, str) and method not in METHODS:
        raise ValueError(f"unknown method {method!r}; there are {', '.join(METHODS)}")
    step, y = METHODS[method] if isinstance(method, str) else method, full_precision(y)
    for i, (s, s_next) in enumerate(bar(list(pairwise(host_levels(levels))), progress)):
        y = step(velocity, y, s, s_next)
        if callback:
            callback(i, s_next, y)
    return y


def full_precision(y: Tensor) -> Tensor:
    """The state in float32, or in float64 if it is that."""
    return y if y.dtype == torch.float64 else y.float()


def host_levels(levels: Tensor) -> list[float]:
    """Levels as host numbers, read once, so that the loop never waits for the device."""
    times = [float(s) for s in torch.as_tensor(levels, dtype=torch.float64).tolist()]
    steps = [b - a for a, b in pairwise(times)]
    monotone = all(d > 0 for d in steps) or all(d < 0 for d in steps)
    if not steps or not monotone or min(times) < 0 or max(times) > 1:
        raise ValueError(f"levels must be two or more, strictly rising or falling, in [0, 1]; got {times}")
    return times


def bar(steps: list[Any], progress: bool | str) -> tqdm:
    """Progress over steps; a string names it."""
    return tqdm(steps, desc=progress if isinstance(progress, str) else "solving", disable=not progress or None)
