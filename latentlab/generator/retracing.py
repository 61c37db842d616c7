"""Methods that take each step back: leapfrog, EDICT and DDPM's maps, towards noise and towards data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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


@dataclass(frozen=True)
class Run:
    """One way through the flow.

    Args:
        velocity: `v(y, s)`.
        times: flow times of the states, rising to invert, falling to sample.
        callback, progress: as in `solver.solve`.
    """

    velocity: Velocity
    times: list[float]
    callback: Callback | None = None
    progress: bool | str = False

    def steps(self) -> Iterator[tuple[int, float, float]]:
        """Number of each step, and the flow times that it goes from and to."""
        pairs = bar(list(pairwise(self.times)), self.progress)
        return ((i, s, s_next) for i, (s, s_next) in enumerate(pairs))

    def tell(self, step: int, level: float, y: Tensor) -> None:
        if self.callback:
            self.callback(step, level, y)


def _leapfrog(run: Run, first: Tensor, second: Tensor | None) -> tuple[Tensor, Tensor]:
    """y_{i+1} = y_{i-1} + (s_{i+1} - s_{i-1}) v(y_i, s_i): BDIA (Zhang et al. 2023) at gamma 1, in flow time.

    One call a step; without a second state the first step is DDIM's. Read from right to left, the same line is the way
    back. In float64 all states lie on a grid and sums are exact, so that the way back is the same bit for bit (Levesque
    & Verlet 1993): rounding, which leapfrog doubles at every step, never begins. Returns the last state but one, and
    the last.
    """
    velocity, times = run.velocity, run.times
    last = _on_grid(first)
    y = _on_grid(solver.ddim(velocity, last, times[0], times[1]) if second is None else full_precision(second))
    run.tell(0, times[1], y)
    for i in bar(list(range(1, len(times) - 1)), run.progress):
        last, y = y, _leap(last, velocity(y, times[i]), times[i + 1] - times[i - 1])
        run.tell(i, times[i + 1], y)
    return last, y


def _leap(y: Tensor, v: Tensor, step: float) -> Tensor:
    """y + step v, from grid point to grid point."""
    if y.dtype != torch.float64:
        return torch.add(y, v, alpha=step)
    return torch.add(y, (v * (step / GRID)).round_(), alpha=GRID)


def _on_grid(y: Tensor) -> Tensor:
    """The nearest multiple of the grid; states in float32 have no digits to spare and stay as they are."""
    return (y / GRID).round() * GRID if y.dtype == torch.float64 else y


def _leapfrog_invert(run: Run, clean: Tensor, draw: DrawNoise | None) -> Trace:
    del draw
    last, noise = _leapfrog(run, clean, None)
    return Trace(noise, last, residuals=())


def _leapfrog_sample(run: Run, noise: Tensor, memory: Tensor | None) -> Tensor:
    return _leapfrog(run, noise, memory)[1]


def _edict_invert(run: Run, clean: Tensor, draw: DrawNoise | None) -> Trace:
    """EDICT (Wallace et al. 2023, eq. 15) with DDIM's coefficients in flow time; two calls a step."""
    del draw
    x = y = clean
    for i, s, s_next in run.steps():
        y = (y - (1 - MIXING) * x) / MIXING
        x = (x - (1 - MIXING) * y) / MIXING
        y = torch.add(y, run.velocity(x, s_next), alpha=s_next - s)
        x = torch.add(x, run.velocity(y, s_next), alpha=s_next - s)
        run.tell(i, s_next, x)
    return Trace(x, y, residuals=())


def _edict_sample(run: Run, noise: Tensor, memory: Tensor | None) -> Tensor:
    """EDICT (Wallace et al. 2023, eq. 14): two states, each stepped by the other's velocity, then mixed."""
    x, y = noise, noise if memory is None else full_precision(memory)
    for i, s, s_next in run.steps():
        x = torch.add(x, run.velocity(y, s), alpha=s_next - s)
        y = torch.add(y, run.velocity(x, s), alpha=s_next - s)
        x = MIXING * x + (1 - MIXING) * y
        y = MIXING * y + (1 - MIXING) * x
        run.tell(i, s_next, x)
    return x


def _ddpm_invert(run: Run, clean: Tensor, draw: DrawNoise | None) -> Trace:
    """Edit-friendly DDPM (Huberman-Spiegelglas et al. 2024, algorithm 1): the states are drawn independently around the
    clip, and each map holds what the posterior mean misses of the next one."""
    if draw is None:
        raise ValueError("method 'ddpm' draws noise for every step; give draw=")
    times = run.times
    states = [clean, *((1 - s) * clean + s * draw(i) for i, s in enumerate(times[1:]))]
    maps = []
    for i in bar(list(range(len(times) - 1, 0, -1)), run.progress):
        mean = _posterior_mean(run.velocity, states[i], times[i], times[i - 1])
        maps.append(states[i - 1] - mean)
        # The next mean starts from what sampling will have there, so that rounding does not add up.
        states[i - 1] = mean + maps[-1]
        run.tell(len(maps) - 1, times[i], states[i])
    return Trace(states[-1], torch.stack(maps, 1), residuals=())


def _ddpm_sample(run: Run, noise: Tensor, memory: Tensor | None) -> Tensor:
    """The same from right to left; without maps it is DDIM."""
    if memory is None:
        levels = torch.tensor(run.times, dtype=torch.float64)
        return solve(run.velocity, noise, levels, method="ddim", callback=run.callback, progress=run.progress)
    y = noise
    for i, s, s_next in run.steps():
        y = _posterior_mean(run.velocity, y, s, s_next) + memory[:, i]
        run.tell(i, s_next, y)
    return y


def _posterior_mean(velocity: Velocity, y: Tensor, s: float, s_next: float) -> Tensor:
    """(1 - s') x + r s' n with r = s' (1 - s) / (s (1 - s')): mean of DDPM's posterior (Ho et al. 2020, eq. 7).

    x and n are the data and the noise that the velocity at `y` speaks of.
    """
    v = velocity(y, s)
    clean, noise = torch.add(y, v, alpha=-s), torch.add(y, v, alpha=1 - s)
    ratio = s_next * (1 - s) / (s * (1 - s_next))
    return (1 - s_next) * clean + ratio * s_next * noise


@dataclass(frozen=True)
class Retracing:
    """A method that takes each step back, both ways.

    Args:
        invert: `(run, clean, draw) -> Trace`.
        sample: `(run, noise, memory) -> clean`.
    """

    invert: Callable[[Run, Tensor, DrawNoise | None], Trace]
    sample: Callable[[Run, Tensor, Tensor | None], Tensor]


RETRACING = {
    "leapfrog": Retracing(_leapfrog_invert, _leapfrog_sample),
    "edict": Retracing(_edict_invert, _edict_sample),
    "ddpm": Retracing(_ddpm_invert, _ddpm_sample),
}
