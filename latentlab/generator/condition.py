"""What the denoiser is told beside the noise: the tokens of a caption."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class Condition:
    """Caption tokens of a batch of clips.

    Attributes:
        tokens: last layer of the text tower.
        mask: which tokens count.
        more: what else a model is told, by name, first axis batch: a pooled caption, an image's latents.
        against: what guidance leads away from; None is the empty caption.
    """

    tokens: Float[Tensor, "batch token width"]
    mask: Bool[Tensor, "batch token"]
    more: Mapping[str, Tensor] = field(default_factory=dict)
    against: Condition | None = None

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, rows: slice) -> Condition:
        return self._each(lambda t: t[rows])

    def to(self, device: torch.device, dtype: torch.dtype) -> Condition:
        """The same condition on a device, what is not a mask as `dtype`."""
        return self._each(lambda t: t.to(device, dtype if t.is_floating_point() else t.dtype))

    def expand(self, count: int) -> Condition:
        """One for each of `count` clips: repeated if it is one, unchanged if it is that many.

        Raises:
            ValueError: it is neither.
        """
        if len(self) not in (1, count):
            raise ValueError(f"{len(self)} captions for {count} clips; give one, or one for each")
        against = None if self.against is None else self.against.expand(count)
        if len(self) == count and against is self.against:
            return self
        return replace(replace(self, against=None)._each(lambda t: t.expand(count, *t.shape[1:])), against=against)

    def tensors(self) -> dict[str, Tensor]:
        """All tensors by name, for a file; `from_tensors` reads them back."""
        found = {"tokens": self.tokens, "mask": self.mask, **{f"more.{k}": t for k, t in self.more.items()}}
        return found if self.against is None else found | {f"against.{k}": t for k, t in self.against.tensors().items()}

    @staticmethod
    def from_tensors(tensors: Mapping[str, Tensor]) -> Condition:
        """The condition that `tensors` wrote."""
        against = _under("against.", tensors)
        return Condition(
            tensors["tokens"],
            tensors["mask"],
            more=_under("more.", tensors),
            against=Condition.from_tensors(against) if against else None,
        )

    @staticmethod
    def cat(conditions: Sequence[Condition]) -> Condition:
        """Several batches after one another; what they are against is left out."""
        return Condition(
            torch.cat([c.tokens for c in conditions]),
            torch.cat([c.mask for c in conditions]),
            {name: torch.cat([c.more[name] for c in conditions]) for name in conditions[0].more},
        )

    def _each(self, f: Callable[[Tensor], Tensor]) -> Condition:
        against = None if self.against is None else self.against._each(f)
        return Condition(f(self.tokens), f(self.mask), {k: f(t) for k, t in self.more.items()}, against)


Caption = str | Sequence[str] | Tensor | Condition  # what becomes a condition; a tensor is an image, for what reads one


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
