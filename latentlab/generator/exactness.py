"""Inversion that gives the clip back: methods whose sampling run retraces the inversion run, step for step.

Single-state methods come from `solver.py`. The others need more than the noise to return: a second state (leapfrog,
EDICT) or one map for each step (DDPM). `invert_exactly` and `sample_exactly` treat all alike.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from latentlab.generator import solver
from latentlab.generator.implicit import TOLERANCE
from latentlab.generator.methods import check_method
from latentlab.generator.solver import Callback, SolverStep, Velocity, bar, full_precision, host_levels, solve

MIXING = 0.93  # p of EDICT; nearer 1 the pair drifts apart, further away rounding grows by (1 / p)^2 a step
GRID = 2.0**-40  # of leapfrog's states in float64: sums of its multiples are exact up to 2^12
DrawNoise = Callable[[int], Tensor]
IMPLICIT = {"ddim+anderson": solver.ddim_anderson, "implicit-midpoint": solver.implicit_midpoint}


@dataclass(frozen=True)
class Trace:
    """What an inversion run leaves.

    Attributes:
        noise: state at the last level.
        memory: what sampling needs beside it to retrace the run, first axis batch: leapfrog's last state but one,
            EDICT's second state, DDPM's maps `(batch, step, ...)`; None if nothing.
        residuals: of the implicit equation, one a step; none of them for algebraically exact methods; None for
            methods that are neither.
    """

    noise: Tensor
    memory: Tensor | None = None
    residuals: tuple[float, ...] | None = None

    @property
    def residual(self) -> float | None:
        """The largest residual; 0 for algebraically exact methods, None for those that are neither."""
        return None if self.residuals is None else max(self.residuals, default=0.0)

    @property
    def exact(self) -> bool:
        """Whether sampling returns the clip to rounding (of the residual's size, for implicit methods)."""
        converged = self.residual is not None and self.residual <= TOLERANCE
        return converged and bool(self.noise.isfinite().all())

    def __getitem__(self, rows: slice) -> Trace:
        return replace(self, noise=self.noise[rows], memory=None if self.memory is None else self.memory[rows])

    def scaled(self, by: float) -> Trace:
        """The same run with all states in another unit."""
        return replace(self, noise=by * self.noise, memory=None if self.memory is None else by * self.memory)


@torch.no_grad()
def invert_exactly(
    velocity: Velocity,
    clean: Tensor,
    levels: Float[Tensor, " level"],
    *,
    method: str,
    draw: DrawNoise | None = None,
    callback: Callback | None = None,
    progress: bool | str = False,
) -> Trace:
    """Carries clean latents to noise along rising levels.

    Args:
        velocity: `v(y, s)`.
        clean: first axis batch.
        levels: flow times, strictly rising.
        method: one of `methods.METHODS`.
        draw: independent unit noise of the shape of `clean` for step i; "ddpm" alone needs it.
        callback, progress: as in `solver.solve`.

    Returns:
        The trace, for `sample_exactly`.

    Raises:
        ValueError: unknown method or wrong levels.
    """
    times, clean = _times(levels, method, rising=True), full_precision(clean)
    if method in RETRACING:
        return RETRACING[method].invert(velocity, clean, draw, times, callback, progress)
    residuals: list[float] = []
    noise = solve(
        velocity, clean, levels, method=_single_state(method, residuals), callback=callback, progress=progress
    )
    return Trace(noise, residuals=tuple(residuals) if method in IMPLICIT else None)


@torch.no_grad()
def sample_exactly(
    velocity: Velocity,
    noise: Tensor,
    levels: Float[Tensor, " level"],
    *,
    method: str,
    memory: Tensor | None = None,
    callback: Callback | None = None,
    progress: bool | str = False,
) -> Tensor:
    """Carries noise to clean latents along falling levels; with the `memory` of an inversion it retraces that run.

    Without memory it starts afresh: leapfrog by a DDIM step, EDICT from a pair of equals, DDPM without noise maps,
    where it is DDIM.

    Warns:
        UserWarning: an implicit step was not solved to the tolerance at which it counts as exact.
    """
    times, noise = _times(levels, method, rising=False), full_precision(noise)
    if method in RETRACING:
        return RETRACING[method].sample(velocity, noise, memory, times, callback, progress)
    residuals: list[float] = []
    step = _single_state(method, residuals)
    clean = solve(velocity, noise, levels, method=step, callback=callback, progress=progress)
    if max(residuals, default=0.0) > TOLERANCE:
        warnings.warn(
            f"a step of {method} was solved to a relative residual of {max(residuals):.1e} only, where {TOLERANCE:.0e} "
            "counts as exact: take more steps, less guidance, or a network in float32",
            stacklevel=3,
        )
    return clean


def _single_state(method: str, residuals: list[float]) -> str | SolverStep:
    """A method of `solver.py`, which leaves the residuals of its equations, if it solves any."""
    return partial(IMPLICIT[method], residuals=residuals) if method in IMPLICIT else method


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


@dataclass(frozen=True)
class Retracing:
    """A method that takes each step back, both ways.

    Args:
        invert: `(velocity, clean, draw, times, callback, progress) -> Trace`.
        sample: `(velocity, noise, memory, times, callback, progress) -> clean`.
    """

    invert_exactly: Callable[[Velocity, Tensor, DrawNoise | None, list[float], Callback | None, bool | str], Trace]
    sample_exactly: Callable[[Velocity, Tensor, Tensor | None, list[float], Callback | None, bool | str], Tensor]


RETRACING = {
    "leapfrog": Retracing(_leapfrog_invert, _leapfrog_sample),
    "edict": Retracing(_edict_invert, _edict_sample),
    "ddpm": Retracing(_ddpm_invert, _ddpm_sample),
}


def _times(levels: Tensor, method: str, *, rising: bool) -> list[float]:
    check_method(method)
    times = host_levels(levels)
    if (times[1] > times[0]) != rising:
        way = "rise to invert" if rising else "fall to sample"
        raise ValueError(f"levels must {way}, got {times[0]} to {times[-1]}; turn them round with .flip(0)")
    return times


def _tell(callback: Callback | None, step: int, level: float, y: Tensor) -> None:
    if callback:
        callback(step, level, y)


def concatenate(traces: Sequence[Trace]) -> Trace:
    """The traces of several batches as one; residuals are the largest of the batches, step by step."""
    memories = [t.memory for t in traces if t.memory is not None]
    residuals = [t.residuals for t in traces if t.residuals is not None]
    return Trace(
        torch.cat([t.noise for t in traces]),
        torch.cat(memories) if memories else None,
        tuple(max(step) for step in zip(*residuals, strict=True)) if residuals else None,
    )
