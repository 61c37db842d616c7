"""Noise levels: the flow times that a solver visits."""

from __future__ import annotations

from numbers import Integral

import torch
from jaxtyping import Float
from torch import Tensor


def sampling_levels(num_steps: int, *, shift: float = 1.0) -> Float[Tensor, " level"]:
    """Flow times from noise (1) down to data (0); their `flip(0)` leads from data to noise.

    Args:
        num_steps: steps, so `num_steps + 1` levels.
        shift: above 1 spends more steps near noise, `s' = shift * s / (1 + (shift - 1) * s)` (Esser et al. 2024,
            eq. 23); 1 is uniform.

    Returns:
        Descending levels, float64.

    >>> sampling_levels(4).tolist()
    [1.0, 0.75, 0.5, 0.25, 0.0]
    """
    check_counts(num_steps=num_steps)
    if not shift > 0:
        raise ValueError(f"shift must be above 0 (1 is uniform), got {shift}")
    s = torch.linspace(1, 0, num_steps + 1, dtype=torch.float64)
    return shift * s / (shift * s + (1 - s))  # so written, it ends at exactly 1 and 0 for every shift


def check_counts(**counts: int) -> None:
    """Raises unless each is a whole number of at least 1."""
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, Integral):
            raise ValueError(f"{name} is a whole number, got {count!r}")
        if count < 1:
            raise ValueError(f"{name} must be at least 1, got {count}")
