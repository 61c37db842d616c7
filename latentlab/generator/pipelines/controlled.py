"""Calls of a pipeline beside which a control branch runs: which call it is, and what that is told of pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from latentlab.generator.condition import Condition
from latentlab.generator.pipelines.call import Call

_CONTROLLED: ContextVar[ControlledCall | None] = ContextVar("controlled", default=None)


@dataclass(frozen=True)
class ControlledCall:
    """The call in the place of a generator's own, for as long as a branch is on.

    Attributes:
        of: the denoiser of that generator.
        call: that runs the branch.
        told: tensors by name, first axis batch: pictures, or answers of encoders, which are parts of the condition.
        scales: of the branch, one for each of its networks.
    """

    of: Any
    call: Call
    told: Mapping[str, Tensor]
    scales: Sequence[float]

    def of_row(self, i: int) -> ControlledCall:
        """For one row of a batch, which guidance may have repeated."""
        return replace(self, told={name: t[i % len(t)][None] for name, t in self.told.items()})

    def arguments(self, count: int) -> dict[str, Any]:
        """Further arguments of the call, of `count` clips: those of the batch, as often as guidance repeats them."""
        picture, scale = self.call.control or ("", "")
        one = len(self.scales) == 1
        found: dict[str, Any] = {scale: self.scales[0] if one else list(self.scales)}
        if picture != "video":
            cards = [t[:, :, 0].repeat(count // len(t), 1, 1, 1) for t in self.told.values()]
            found[picture] = cards[0] if one else cards
        return found

    def condition(self, condition: Condition) -> Condition:
        """With the answers of encoders to its clips, where those hear them."""
        if (self.call.control or ("",))[0] != "video":
            return condition
        told = {name: t.repeat(len(condition) // len(t), *[1] * (t.ndim - 1)) for name, t in self.told.items()}
        return replace(condition, parts={**condition.parts, **{k: t.to(condition.tokens) for k, t in told.items()}})


def controlled(denoiser: Any) -> ControlledCall | None:
    """The call that is on for a denoiser in this thread; None where it is the generator's own."""
    found = _CONTROLLED.get()
    return found if found is not None and found.of is denoiser else None


@contextmanager
def calling(call: ControlledCall) -> Iterator[None]:
    """Calls of its generator are this one for as long as the block lasts."""
    token = _CONTROLLED.set(call)
    try:
        yield
    finally:
        _CONTROLLED.reset(token)
