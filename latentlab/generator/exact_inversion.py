"""Inversion that gives the clip back: methods whose sampling run retraces the inversion run, step for step.

Single-state methods come from `solver.py`. The others, of `retracing.py`, need more than the noise to return: a second
state (leapfrog, EDICT) or one map for each step (DDPM). `invert_exactly` and `sample_exactly` treat all alike.
"""

from __future__ import annotations

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from latentlab.generator import solver
from latentlab.generator.anderson import TOLERANCE
from latentlab.generator.methods import check_method
from latentlab.generator.retracing import RETRACING, DrawNoise, Run
from latentlab.generator.solver import Callback, SolverStep, Velocity, full_precision, host_levels, solve
from latentlab.generator.trace import Trace
from latentlab.warning import warn

IMPLICIT = {"ddim+anderson": solver.ddim_anderson, "implicit-midpoint": solver.implicit_midpoint}


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
        return RETRACING[method].invert(Run(velocity, times, callback, progress), clean, draw)
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
        return RETRACING[method].sample(Run(velocity, times, callback, progress), noise, memory)
    residuals: list[float] = []
    step = _single_state(method, residuals)
    clean = solve(velocity, noise, levels, method=step, callback=callback, progress=progress)
    if max(residuals, default=0.0) > TOLERANCE:
        warn(
            f"a step of {method} was solved to a relative residual of {max(residuals):.1e} only, where {TOLERANCE:.0e} "
            "counts as exact: take more steps, less guidance, or a network in float32",
        )
    return clean


def _single_state(method: str, residuals: list[float]) -> str | SolverStep:
    """A method of `solver.py`, which leaves the residuals of its equations, if it solves any."""
    return partial(IMPLICIT[method], residuals=residuals) if method in IMPLICIT else method


def _times(levels: Tensor, method: str, *, rising: bool) -> list[float]:
    check_method(method)
    times = host_levels(levels)
    if (times[1] > times[0]) != rising:
        way = "rise to invert" if rising else "fall to sample"
        raise ValueError(f"levels must {way}, got {times[0]} to {times[-1]}; turn them round with .flip(0)")
    return times
