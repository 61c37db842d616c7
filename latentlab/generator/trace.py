"""What an inversion leaves behind, by which sampling retraces it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from latentlab.generator.anderson import TOLERANCE
from latentlab.shapes import in_a_line


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

    __repr__ = in_a_line

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


def concatenate(traces: Sequence[Trace]) -> Trace:
    """The traces of several batches as one; residuals are the largest of the batches, step by step."""
    memories = [t.memory for t in traces if t.memory is not None]
    residuals = [t.residuals for t in traces if t.residuals is not None]
    return Trace(
        torch.cat([t.noise for t in traces]),
        torch.cat(memories) if memories else None,
        tuple(max(step) for step in zip(*residuals, strict=True)) if residuals else None,
    )
