"""Edits: codes moved along a direction."""

from __future__ import annotations

import torch

from latentlab.directions.supervised import Direction
from latentlab.shapes import Codes


def edit(codes: Codes, direction: Direction, strength: float) -> Codes:
    """Moves codes along a direction.

    Args:
        codes: `(sample, dim)`.
        direction: as a finder gives it.
        strength: in standard deviations of the codes along the direction; negative goes the other way.

    Returns:
        The moved codes.

    Raises:
        ValueError: the direction is of another space, or the strength is not finite.

    >>> import numpy as np
    >>> edit(torch.zeros(1, 2), Direction("light", np.array([1.0, 0.0]), scale=0.5), strength=2.0)
    tensor([[1., 0.]])
    """
    if codes.ndim != 2 or codes.shape[1] != len(direction.vector):
        raise ValueError(
            f"direction {direction.name!r} has {len(direction.vector)} dims, codes have shape {tuple(codes.shape)}; "
            "find the direction in the space of these codes"
        )
    if not torch.isfinite(torch.tensor(strength)):
        raise ValueError(f"strength must be finite, got {strength}")
    move = torch.as_tensor(strength * direction.scale * direction.vector, dtype=codes.dtype, device=codes.device)
    return codes + move
