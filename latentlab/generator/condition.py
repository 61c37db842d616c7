"""What the denoiser is told beside the noise: the tokens of a caption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class Condition:
    """Caption tokens of a batch of clips.

    Attributes:
        tokens: last layer of the text tower.
        mask: which tokens count.
    """

    tokens: Float[Tensor, "batch token width"]
    mask: Bool[Tensor, "batch token"]

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, rows: slice) -> Condition:
        return Condition(self.tokens[rows], self.mask[rows])

    def to(self, device: torch.device, dtype: torch.dtype) -> Condition:
        """The same condition on a device, tokens as `dtype`."""
        return Condition(self.tokens.to(device, dtype), self.mask.to(device))

    def expand(self, count: int) -> Condition:
        """One for each of `count` clips: repeated if it is one, unchanged if it is that many.

        Raises:
            ValueError: it is neither.
        """
        if len(self) == count:
            return self
        if len(self) != 1:
            raise ValueError(f"{len(self)} captions for {count} clips; give one, or one for each")
        return Condition(self.tokens.expand(count, -1, -1), self.mask.expand(count, -1))

    @staticmethod
    def cat(conditions: Sequence[Condition]) -> Condition:
        """Several batches after one another."""
        return Condition(torch.cat([c.tokens for c in conditions]), torch.cat([c.mask for c in conditions]))
