"""One call of a pipeline that is driven: what is put into it, where it stops, and what was seen on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from torch import Tensor

Until = Literal["schedule", "network", "step", "decode", "end"]


class Halt(BaseException):
    """The call has shown what was asked of it; no `except Exception` of a pipeline may hold it up."""


class Step(NamedTuple):
    """One step of a pipeline's own loop: its state, by which factor the network got it, timestep, sigma and output."""

    state: Tensor
    factor: float
    timestep: float
    sigma: float | None
    output: Tensor


@dataclass
class Visit:
    """One call of a pipeline: what is put into it, and what was seen on the way.

    Attributes:
        until: where it stops; the end is that of its steps, before anything is decoded.
        state: of the noise that the pipeline drew, what is put in its place.
        time: the one timestep and sigma that are visited; None are the first of the schedule.
        returned: what the step gives back.
        remembered: answers of encoders, in the order of their calls, in the place of asking them.
        outputs: of its networks, by name: what is known is given again in the place of a call, what is not is kept.
        scheduler: as the pipeline set it.
        made: the noise that the pipeline drew.
        heard, at: what the network said, after guidance, and of which state: what came to the step.
        steps: of each step, where the schedule is the pipeline's own.
        encoded: answers of encoders.
        decoded: what came to the autoencoder.
        options: arguments and options that came with it.
    """

    until: Until = "step"
    state: Callable[[Tensor], Tensor] | None = None
    time: tuple[float, float] | None = None
    returned: Tensor | None = None
    remembered: Sequence[tuple[str, Any]] | None = None
    outputs: dict[str, Any] | None = None
    scheduler: Any = None
    made: Tensor | None = None
    heard: Tensor | None = None
    at: Tensor | None = None
    steps: list[Step] = field(default_factory=list)
    encoded: list[tuple[str, Any]] = field(default_factory=list)
    decoded: list[Tensor] = field(default_factory=list)
    options: tuple[tuple, dict] = ((), {})
