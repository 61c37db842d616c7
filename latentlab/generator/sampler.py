"""How a solver is run: one value for the five settings, and three that suit most."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Any, Self

from latentlab.checks import Count, clear_errors
from latentlab.generator.methods import METHODS, check_counts, check_method, check_purpose
from latentlab.names import LevelsFor


@clear_errors
@dataclass(frozen=True)
class Sampler:
    """The settings of a solver, both ways: for `sample`, `invert`, `generate` and the spaces.

    Args:
        method: see `METHODS`.
        num_steps: of the solver.
        levels: "sampling", the model's own; "analysis", dense near data, for noise that is near the true encoding;
            None is "sampling" to sample, and to invert what suits the method.
        guidance: weight of the caption, 1 is the model as trained; None is the generator's own, `config.guidance`.
        batch_size: clips at a time.

    Raises:
        ValueError: a method or levels that there are not, or numbers that are none.

    >>> EDIT.but(num_steps=50)
    Sampler(method='leapfrog', num_steps=50, levels='sampling', guidance=1.0, batch_size=16)
    """

    method: str = field(default="midpoint", metadata={"choices": tuple(METHODS)})
    num_steps: Count = 25
    levels: LevelsFor | None = None
    guidance: float | None = 1.0
    batch_size: Count = 16

    def __post_init__(self) -> None:
        check_method(self.method)
        check_counts(num_steps=self.num_steps, batch_size=self.batch_size)
        if self.levels is not None:
            check_purpose(self.levels)
        if self.guidance is not None and (isinstance(self.guidance, bool) or not isinstance(self.guidance, Real)):
            raise ValueError(f"guidance is a number, got {self.guidance!r}")
        if self.guidance is not None and not math.isfinite(self.guidance):
            raise ValueError(f"guidance must be finite, got {self.guidance}")

    def but(self, **settings: Any) -> Self:
        """The same, with other settings where they are not None."""
        return replace(self, **{name: value for name, value in settings.items() if value is not None})

    def guiding(self, own: float) -> float:
        """The guidance, where a generator's own is this."""
        return own if self.guidance is None else self.guidance

    @property
    def inverting(self) -> LevelsFor:
        """What its levels are for, on the way to noise."""
        return self.levels or METHODS[self.method].levels


DRAW = Sampler("ddim", levels="sampling", guidance=None)  # clips of captions: one call of the network a step
ANALYSE = Sampler("midpoint", levels="analysis")  # noise that is read: nearest to the true encoding
EDIT = Sampler("leapfrog", levels="sampling")  # noise that is edited: there and back bit for bit
