"""What sampling and inversion share: states on their way through the solver, batch by batch, as graphs if asked."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from latentlab.generator.condition import Condition
from latentlab.generator.exactness import IMPLICIT, RETRACING, Trace
from latentlab.generator.graph import Tensors
from latentlab.generator.levels import check_counts
from latentlab.generator.solver import Callback, Velocity

if TYPE_CHECKING:
    from latentlab.generator.generator import Generator

T = TypeVar("T")
Carry = Callable[[Velocity, Tensors, slice], T]


@dataclass(frozen=True)
class Way:
    """How the solver carries states.

    Attributes:
        method, guidance, batch_size, callback, progress: as in `Generator.sample`.
        levels: flow times, first to last.

    Raises:
        ValueError: guidance that is no finite number.
    """

    method: str
    levels: Float[Tensor, " level"]
    guidance: float
    batch_size: int
    callback: Callback | None = None
    progress: bool | str = False

    def __post_init__(self) -> None:
        if not isinstance(self.guidance, Real):
            raise ValueError(f"guidance is a number, got {self.guidance!r}")
        if not math.isfinite(self.guidance):
            raise ValueError(f"guidance must be finite, got {self.guidance}")

    @property
    def capturable(self) -> bool:
        """Whether the loop reads nothing from the device, so that it can be a graph."""
        return self.callback is None and self.method not in IMPLICIT


def in_batches(
    generator: Generator,
    way: Way,
    states: Mapping[str, Tensor | None],
    condition: Condition,
    carry: Carry[T],
    *,
    capturable: bool = True,
) -> list[T]:
    """`carry` of all clips, `way.batch_size` at a time.

    Args:
        generator: whose velocity carries.
        way: how.
        states: by name, at unit variance, first axis batch; None is left out.
        condition: for each clip.
        carry: `(velocity, states of a batch, its rows) -> T`, one run of the solver.
        capturable: False if `carry` reads from the device or draws.

    Raises:
        ValueError: a run ended in NaN or infinity.
    """
    condition, start = generator.told(condition, way.guidance), spread(way.levels[0])
    ends = []
    for rows in batches(len(condition), way.batch_size):
        given = {name: start * _state(generator, y[rows], way.method) for name, y in states.items() if y is not None}

        def run(given: Tensors, rows: slice = rows) -> T:
            told = Condition.from_tensors(given).expand(len(given["start"]))
            return carry(generator.velocity(told, way.guidance), given, rows)

        given |= condition[rows].tensors()
        ends.append(_captured(generator, way, run, given) if capturable and way.capturable else run(given))
        _check_finite(ends[-1], generator, way)
    return ends


def _check_finite(end: object, generator: Generator, way: Way) -> None:
    """Raises where a network overflowed, as those in half precision may, or its weights are none."""
    state = end.noise if isinstance(end, Trace) else end
    if isinstance(state, Tensor) and not state.isfinite().all():
        raise ValueError(
            f"the network ({generator.dtype}) went to NaN or infinity on its way by {way.method} at guidance "
            f"{way.guidance:g}; load it with dtype=torch.bfloat16 or torch.float32, or ask for less guidance; if that "
            "does not help, its weights are damaged"
        )


def _captured(generator: Generator, way: Way, run: Callable[[Tensors], T], given: Tensors) -> T:
    """`run(given)`; through a graph, if the generator has any and its guides read nothing from the device."""
    if generator.graphs is None or not all(guide.capturable for guide in generator.guides):
        return run(given)
    weights = tuple((p.data_ptr(), p.dtype) for network in generator.modules for p in network.parameters())
    key = way.method, way.guidance, *way.levels.tolist(), json.dumps(generator.settings()), weights
    return generator.graphs(key, run, given)


def _state(generator: Generator, y: Tensor, method: str) -> Tensor:
    """A state as the solver takes it: in float64 where the method retraces its steps.

    A network in bfloat16 rounds its input; a state that differs in its last digit on the way back may round to
    another number, which the steps that follow make larger. Leapfrog's sums are exact in float64. Metal has none.
    """
    precise = method in RETRACING and generator.device.type != "mps"
    return y.to(generator.device, torch.float64 if precise else None)


def spread(s: Tensor | float) -> float:
    """Standard deviation of a state at level s, where data and noise have unit variance: 1 at both ends."""
    return math.hypot(1 - float(s), float(s))


def batched(f: Callable[[Tensor], Tensor], items: Tensor, size: int) -> Tensor:
    """`f` of all items, `size` at a time."""
    return torch.cat([f(items[rows]) for rows in batches(len(items), size)])


def batches(count: int, size: int) -> list[slice]:
    """Rows of each batch.

    Raises:
        ValueError: a size that is no whole number of at least 1.
    """
    check_counts(batch_size=size)
    return [slice(first, min(count, first + size)) for first in range(0, count, size)]
