"""What the denoiser is told beside the noise: the tokens of a caption, a class, an image; or nothing at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from latentlab.shapes import in_a_line

TEXT = ("tokens", "mask")


@dataclass(frozen=True, init=False)
class Condition:
    """What a model is told of each clip of a batch: tensors by name, first axis batch. Any of them may be absent.

    Args:
        tokens: of captions, last layer of the text tower `(batch, token, width)`.
        mask: which tokens count `(batch, token)`; None is all of them.
        extras: what else, by name: a pooled caption, an image's latents, `{"class": labels}`.
        negative: what guidance leads away from; None is what the model takes for nothing said, the empty caption.
        parts: all tensors by name, those above among them.
        count: clips, of a condition that says nothing.
        more, against: older names of `extras` and `negative`.

    Attributes:
        parts, negative, count: see above.

    >>> labels = Condition(extras={"class": torch.tensor([3])})
    >>> len(labels.expand(4)), list(labels.parts), len(Condition(count=2))
    (4, ['class'], 2)
    """

    parts: Mapping[str, Tensor]
    negative: Condition | None
    count: int

    __repr__ = in_a_line

    def __init__(
        self,
        tokens: Float[Tensor, "batch token width"] | None = None,
        mask: Bool[Tensor, "batch token"] | None = None,
        extras: Mapping[str, Tensor] | None = None,
        negative: Condition | None = None,
        *,
        parts: Mapping[str, Tensor] | None = None,
        count: int = 1,
        more: Mapping[str, Tensor] | None = None,
        against: Condition | None = None,
    ) -> None:
        named, extras = dict(parts or {}), more if extras is None else extras
        if extras is not None:
            named = {name: named[name] for name in TEXT if name in named} | dict(extras)
        named |= {name: t for name, t in (("tokens", tokens), ("mask", mask)) if t is not None}
        if "tokens" in named and "mask" not in named:
            named["mask"] = torch.ones(named["tokens"].shape[:2], dtype=torch.bool, device=named["tokens"].device)
        object.__setattr__(self, "parts", {name: named[name] for name in (*TEXT, *named) if name in named})
        object.__setattr__(self, "negative", negative if against is None else against)
        object.__setattr__(self, "count", next((len(t) for t in named.values()), count))

    @property
    def tokens(self) -> Float[Tensor, "batch token width"]:
        """Of captions.

        Raises:
            ValueError: this condition holds none; what it holds is named.
        """
        return self._part("tokens")

    @property
    def mask(self) -> Bool[Tensor, "batch token"]:
        """Which tokens count; errors as in `tokens`."""
        return self._part("mask")

    @property
    def extras(self) -> Mapping[str, Tensor]:
        """What is told beside captions, by name."""
        return {name: tensor for name, tensor in self.parts.items() if name not in TEXT}

    @property
    def more(self) -> Mapping[str, Tensor]:
        """An older name of `extras`."""
        return self.extras

    @property
    def against(self) -> Condition | None:
        """An older name of `negative`."""
        return self.negative

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, rows: slice) -> Condition:
        return self._each(lambda t: t[rows], len(range(self.count)[rows]))

    def to(self, device: torch.device, dtype: torch.dtype) -> Condition:
        """The same condition on a device, what is floating point as `dtype`."""
        return self._each(lambda t: t.to(device, dtype if t.is_floating_point() else t.dtype), self.count)

    def expand(self, count: int) -> Condition:
        """One for each of `count` clips: repeated if it is one, unchanged if it is that many.

        Raises:
            ValueError: it is neither.
        """
        if len(self) not in (1, count):
            raise ValueError(f"{len(self)} captions for {count} clips; give one, or one for each")
        negative = None if self.negative is None else self.negative.expand(count)
        if len(self) == count and negative is self.negative:
            return self
        parts = {name: t.expand(count, *t.shape[1:]) for name, t in self.parts.items()}
        return Condition(parts=parts, negative=negative, count=count)

    def tensors(self) -> dict[str, Tensor]:
        """All tensors by name, for a file; `from_tensors` reads them back."""
        found = {name if name in TEXT else f"more.{name}": tensor for name, tensor in self.parts.items()}
        if self.negative is None:
            return found
        return found | {f"against.{name}": tensor for name, tensor in self.negative.tensors().items()}

    @staticmethod
    def from_tensors(tensors: Mapping[str, Tensor]) -> Condition:
        """The condition that `tensors` wrote."""
        text = {name: tensors[name] for name in TEXT if name in tensors}
        negative = _under("against.", tensors)
        return Condition(
            parts=text | _under("more.", tensors), negative=Condition.from_tensors(negative) if negative else None
        )

    @staticmethod
    def cat(conditions: Sequence[Condition]) -> Condition:
        """Several batches after one another; their negatives are left out."""
        parts = {name: torch.cat([c._part(name) for c in conditions]) for name in conditions[0].parts}
        return Condition(parts=parts, count=sum(map(len, conditions)))

    def _part(self, name: str) -> Tensor:
        if name not in self.parts:
            said = ", ".join(self.parts) or "nothing"
            raise ValueError(f"this condition has no {name!r}, which this model reads; it holds {said}")
        return self.parts[name]

    def _each(self, f: Callable[[Tensor], Tensor], count: int) -> Condition:
        negative = None if self.negative is None else self.negative._each(f, count)
        return Condition(parts={name: f(t) for name, t in self.parts.items()}, negative=negative, count=count)


# What becomes a condition: captions, an image for what reads one, tensors by name, or one made before.
Caption = str | Sequence[str] | Tensor | Mapping[str, Tensor] | Condition


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
