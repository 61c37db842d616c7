"""What sampling and inversion share: states on their way through the solver, batch by batch, as graphs if asked."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from latentlab.generator.condition import Condition
from latentlab.generator.graph import Tensors
from latentlab.generator.methods import METHODS, check_counts
from latentlab.generator.model import Model
from latentlab.generator.sampler import Sampler
from latentlab.generator.solver import Velocity
from latentlab.generator.trace import Trace

T = TypeVar("T")
Carry = Callable[[Velocity, Tensors, slice], T]


def in_batches(
    generator: Model,
    sampler: Sampler,
    levels: Float[Tensor, " level"],
    states: Mapping[str, Tensor | None],
    condition: Condition,
    carry: Carry[T],
    *,
    capturable: bool = True,
) -> list[T]:
    """`carry` of all clips, `sampler.batch_size` at a time.

    Args:
        generator: whose velocity carries.
        sampler: how, its guidance a number.
        levels: flow times, first to last.
        states: by name, at unit variance, first axis batch; None is left out.
        condition: for each clip.
        carry: `(velocity, states of a batch, its rows) -> T`, one run of the solver.
        capturable: False if `carry` reads from the device, calls back or draws.

    Raises:
        ValueError: a run ended in NaN or infinity.
    """
    guidance = 1.0 if sampler.guidance is None else sampler.guidance
    condition, start = generator.prepared(condition, guidance), spread(levels[0])
    capturable &= METHODS[sampler.method].exact != "residual"  # which asks the device whether it has converged
    key = sampler.method, guidance, *levels.tolist()
    ends = []
    for rows in batches(len(condition), sampler.batch_size):
        given = {
            name: start * as_state(generator, y[rows], sampler.method) for name, y in states.items() if y is not None
        }

        def run(given: Tensors, rows: slice = rows) -> T:
            told = Condition.from_tensors(given).expand(len(given["start"]))
            return carry(generator.velocity(told, guidance), given, rows)

        given |= condition[rows].tensors()
        ends.append(_captured(generator, key, run, given) if capturable else run(given))
        _check_finite(ends[-1], generator, sampler)
    return ends


def _check_finite(end: object, generator: Model, sampler: Sampler) -> None:
    """Raises where a network overflowed, as those in half precision may, or its weights are none."""
    state = end.noise if isinstance(end, Trace) else end
    if isinstance(state, Tensor) and not state.isfinite().all():
        raise ValueError(
            f"the network ({generator.dtype}) went to NaN or infinity on its way by {sampler.method} at guidance "
            f"{sampler.guidance:g}; load it with dtype=torch.bfloat16 or torch.float32, or ask for less guidance; if "
            "that does not help, its weights are damaged"
        )


def _captured(generator: Model, loop: tuple, run: Callable[[Tensors], T], given: Tensors) -> T:
    """`run(given)`; through a graph, if the generator has any and its guides read nothing from the device."""
    if generator.graphs is None or not all(guide.capturable for guide in generator.guides):
        return run(given)
    weights = tuple((p.data_ptr(), p.dtype) for network in generator.modules for p in network.parameters())
    key = *loop, json.dumps(generator.settings()), weights
    return generator.graphs(key, run, given)


def as_state(generator: Model, y: Tensor, method: str) -> Tensor:
    """A state as the solver takes it: in float64 where the method retraces its steps.

    A network in bfloat16 rounds its input; a state that differs in its last digit on the way back may round to
    another number, which the steps that follow make larger. Leapfrog's sums are exact in float64. Metal has none.
    """
    precise = METHODS[method].retraces and generator.device.type != "mps"
    return y.to(generator.device, torch.float64 if precise else None)


def drawing(
    seed: Sequence[int], rows: slice, shape: Sequence[int], device: torch.device
) -> Callable[[], Float[Tensor, "batch ..."]]:
    """Unit noise of some clips, fresh at each call; that of clip i depends on `(seed, i)` and the call alone."""
    rngs = [np.random.default_rng([*seed, i]) for i in range(rows.start, rows.stop)]

    def draw() -> Tensor:
        return torch.from_numpy(np.stack([rng.standard_normal(shape, np.float32) for rng in rngs])).to(device)

    return draw


def spread(s: Tensor | float) -> float:
    """Standard deviation of a state at level s, where data and noise have unit variance: 1 at both ends."""
    return math.hypot(1 - float(s), float(s))


def batched(f: Callable[[Tensor], Tensor], items: Tensor, size: int) -> Tensor:
    """`f` of all items, `size` at a time."""
    parts = [f(items[rows]) for rows in batches(len(items), size)]
    return parts[0] if len(parts) == 1 else torch.cat(parts)  # a long clip is not copied


def batches(count: int, size: int) -> list[slice]:
    """Rows of each batch.

    Raises:
        ValueError: a size that is no whole number of at least 1.
    """
    check_counts(batch_size=size)
    return [slice(first, min(count, first + size)) for first in range(0, count, size)]
