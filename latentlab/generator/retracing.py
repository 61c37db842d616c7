"""Methods that take each step back: leapfrog, EDICT and DDPM's maps, towards noise and towards data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from latentlab.generator import solver
from latentlab.generator.solver import Callback, Velocity, bar, full_precision, solve
from latentlab.generator.trace import Trace

MIXING = 0.93  # p of EDICT; nearer 1 the pair drifts apart, further away rounding grows by (1 / p)^2 a step
GRID = 2.0**-40  # of leapfrog's states in float64: sums of its multiples are exact up to 2^12
DrawNoise = Callable[[int], Tensor]


def _leapfrog(
    velocity: Velocity,
    first: Tensor,
    second: Tensor | None,
    times: list[float],
    callback: Callback | None,
    progress: bool | str,
) -> tuple[Tensor, Tensor]:
    """y_{i+1} = y_{i-1} + (s_{i+1} - s_{i-1}) v(y_i, s_i): BDIA (Zhang et al. 2023) at gamma 1, in flow time.

    One call a step; without a second state the first step is DDIM's. Read from right to left, the same line is the way
    back. In float64 all states lie on a grid and sums are exact, so that the way back is the same bit for bit (Levesque
    & Verlet 1993): rounding, which leapfrog doubles at every step, never begins. Returns the last state but one, and
    the last.
    """
    last = _on_grid(first)
    y = _on_grid(solver.ddim(velocity, last, times[0], times[1]) if second is None else full_precision(second))
    _tell(callback, 0, times[1], y)
    for i in bar(list(range(1, len(times) - 1)), progress):
        last, y = y, _leap(last, velocity(y, times[i]), times[i + 1] - times[i - 1])
        _tell(callback, i, times[i + 1], y)
    return last, y


def _leap(y: Tensor, v: Tensor, step: float) -> Tensor:
    """y + step v, from grid point to grid point."""
    if y.dtype != torch.float64:
        return torch.add(y, v, alpha=step)
    return torch.add(y, (v * (step / GRID)).round_(), alpha=GRID)


def _on_grid(y: Tensor) -> Tensor:
    """The nearest multiple of the grid; states in float32 have no digits to spare and stay as they are."""
    return (y / GRID).round() * GRID if y.dtype == torch.float64 else y


def _leapfrog_invert(
    velocity: Velocity,
    clean: Tensor,
    draw: DrawNoise | None,
    times: list[float],
    callback: Callback | None,
    progress: bool | str,
) -> Trace:
    del draw
    last, noise = _leapfrog(velocity, clean, None, times, callback, progress)
    return Trace(noise, last, residuals=())


def _leapfrog_sample(
    velocity: Velocity,
    noise: Tensor,
    memory: Tensor | None,
    times: list[float],
    callback: Callback | None,
    progress: bool | str,
) -> Tensor:
    return _leapfrog(velocity, noise, memory, times, callback, progress)[1]


def _edict_invert(
    velocity: Velocity,
    clean: Tensor,
    draw: DrawNoise | None,
    times: list[float],
    callback: Callback | None,
    progress: bool | str,
) -> Trace:
    """EDICT (Wallace et al. 2023, eq. 15) with DDIM's coefficients in flow time; two calls a step."""
    del draw
    x = y = clean
    for i, (s, s_next) in enumerate(bar(list(pairwise(times)), progress)):
        y = (y - (1 - MIXING) * x) / MIXING
        x = (x - (1 - MIXING) * y) / MIXING
        y = torch.add(y, velocity(x, s_next), alpha=s_next - s)
        x = torch.add(x, velocity(y, s_next), alpha=s_next - s)
        _tell(callback, i, s_next, x)
    return Trace(x, y, residuals=())


def _edict_sample(
    velocity: Velocity,
    noise: Tensor,
    memory: Tensor | None,
    times: list[float],
    callback: Callback | None,
    progress: bool | str,
) -> Tensor:
    """EDICT (Wallace et al. 2023, eq. 14): two states, each stepped by the other's velocity, then mixed."""
    x, y = noise, noise if memory is None else full_precision(memory)
    for i, (s, s_next) in enumerate(bar(list(pairwise(times)), progress)):
        x = torch.add(x, velocity(y, s), alpha=s_next - s)
        y = torch.add(y, velocity(x, s), alpha=s_next - s)
        x = MIXING * x + (1 - MIXING) * y
        y = MIXING * y + (1 - MIXING) * x
        _tell(callback, i, s_next, x)
    return x


def _ddpm_invert(
    velocity: Velocity,
    clean: Tensor,
    draw: DrawNoise | None,
    times: list[float],
    callback: Callback | None,
    progress: bool | str,
) -> Trace:
    """Edit-friendly DDPM (Huberman-Spiegelglas et al. 2024, algorithm 1): the states are drawn independently around the
    clip, and each map holds what the posterior mean misses of the next one."""
    if draw is None:
        raise ValueError("method 'ddpm' draws noise for every step; give draw=")
    states = [clean, *((1 - s) * clean + s * draw(i) for i, s in enumerate(times[1:]))]
    maps = []
    for i in bar(list(range(len(times) - 1, 0, -1)), progress):
        mean = _posterior_mean(velocity, states[i], times[i], times[i - 1])
        maps.append(states[i - 1] - mean)
        # The next mean starts from what sampling will have there, so that rounding does not add up.
        states[i - 1] = mean + maps[-1]
        _tell(callback, len(maps) - 1, times[i], states[i])
    return Trace(states[-1], torch.stack(maps, 1), residuals=())


def _ddpm_sample(
    velocity: Velocity,
    noise: Tensor,
    memory: Tensor | None,
    times: list[float],
    callback: Callback | None,
    progress: bool | str,
) -> Tensor:
    """The same from right to left; without maps it is DDIM."""
    if memory is None:
        return solve(
            velocity,
            noise,
            torch.tensor(times, dtype=torch.float64),
            method="ddim",
            callback=callback,
            progress=progress,
        )
    y = noise
    for i, (s, s_next) in enumerate(bar(list(pairwise(times)), progress)):
        y = _posterior_mean(velocity, y, s, s_next) + memory[:, i]
        _tell(callback, i, s_next, y)
    return y


def _posterior_mean(velocity: Velocity, y: Tensor, s: float, s_next: float) -> Tensor:
    """(1 - s') x + r s' n with r = s' (1 - s) / (s (1 - s')): mean of DDPM's posterior (Ho et al. 2020, eq. 7).

    x and n are the data and the noise that the velocity at `y` speaks of.
    """
    v = velocity(y, s)
    clean, noise = torch.add(y, v, alpha=-s), torch.add(y, v, alpha=1 - s)
    ratio = s_next * (1 - s) / (s * (1 - s_next))
    return (1 - s_next) * clean + ratio * s_next * noise


def _tell(callback: Callback | None, step: int, level: float, y: Tensor) -> None:
    if callback:
        callback(step, level, y)


@dataclass(frozen=True)
class Retracing:
    """A method that takes each step back, both ways.

    Args:
        invert: `(velocity, clean, draw, times, callback, progress) -> Trace`.
        sample: `(velocity, noise, memory, times, callback, progress) -> clean`.
    """

    invert: Callable[[Velocity, Tensor, DrawNoise | None, list[float], Callback | None, bool | str], Trace]
    sample: Callable[[Velocity, Tensor, Tensor | None, list[float], Callback | None, bool | str], Tensor]


RETRACING = {
    "leapfrog": Retracing(_leapfrog_invert, _leapfrog_sample),
    "edict": Retracing(_edict_invert, _edict_sample),
    "ddpm": Retracing(_ddpm_invert, _ddpm_sample),
}
