"""Noise levels: the flow times that a solver visits."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from latentlab.generator.methods import check_counts
from latentlab.quoted import shown


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


def analysis_levels(num_steps: int, *, high: float = 1.0, low: float = 0.0) -> Float[Tensor, " level"]:
    """Flow times from noise down to data, dense near data: even steps of sqrt(s). They lead to the true encoding.

    Along the exact flow a component of the data of standard deviation sigma has that of sqrt(((1 - s) sigma)^2 + s^2):
    it turns from data into noise around s = sigma, and an error made there grows 1 / sigma times on the way to s = 1.
    Fine detail is a small sigma, so the steps towards noise must begin small. Even steps of sqrt(s) begin with
    1 / num_steps^2 of the way; `sampling_levels` of shift 3 with nearly 3 / num_steps.

    Args:
        num_steps: steps, so `num_steps + 1` levels.
        high, low: where noise and data are, of a schedule that does not reach 1 or 0.

    Returns:
        Descending levels, float64.

    >>> analysis_levels(4).tolist()
    [1.0, 0.5625, 0.25, 0.0625, 0.0]
    """
    check_counts(num_steps=num_steps)
    if not 0 <= low < high <= 1:
        raise ValueError(f"levels lie in [0, 1] and fall from high to low, got high={high}, low={low}")
    levels = torch.linspace(high**0.5, low**0.5, num_steps + 1, dtype=torch.float64).square()
    levels[0], levels[-1] = high, low  # the square of a root is not the number
    return levels


def halved(levels: Float[Tensor, " level"]) -> Float[Tensor, " finer"]:
    """The same way in steps of half the size, twice as many.

    >>> halved(torch.tensor([0.0, 0.5, 1.0])).tolist()
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    middles = [(a + b) / 2 for a, b in pairwise(levels.tolist())]
    return torch.cat([levels, levels.new_tensor(middles)]).sort(descending=bool(levels[0] > levels[-1])).values


def check_flow_times(levels: Sequence[float]) -> None:
    """Raises unless they are flow times in [0, 1], one at least.

    >>> check_flow_times(())
    Traceback (most recent call last):
    ValueError: levels are flow times in [0, 1], one at least, got ()
    """
    if not len(levels) or not all(0 <= s <= 1 for s in levels):
        raise ValueError(f"levels are flow times in [0, 1], one at least, got {shown(levels)}")
