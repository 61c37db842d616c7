"""Where a word acts: where the network says something else without it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from latentlab.checks import Seed, clear_errors
from latentlab.generator.generator import Generator
from latentlab.generator.levels import check_flow_times
from latentlab.shapes import Latents
from latentlab.spaces.attention import LEVELS


@torch.no_grad()
@clear_errors
def word_effect(
    generator: Generator,
    latents: Latents,
    caption: str,
    other: str,
    *,
    levels: Sequence[float] = LEVELS,
    seed: Seed = 0,
) -> Float[Tensor, "batch 1 frame height width"]:
    """Where the network says something else under another caption: |v(caption) - v(other)|, mean over channels.

    With one word swapped it is where that word acts; with one left out it is where the network is then unsure, which is
    the object whatever the word. Measure each word above the level where it is decided (see `why`), for below it the
    clip says it already.

    Args:
        generator: any that reads captions.
        latents: of the clips.
        caption, other: that of the clips, and the one that it is held against.
        levels: flow times; their maps are averaged.
        seed: of the noise; item i depends on `(seed, i)` alone.

    >>> import latentlab as ll
    >>> generator, (clips, _) = ll.load(device="cpu"), ll.data.moving_shapes(1, seed=5)
    >>> word_effect(generator, generator.encode(clips), "a red star", "a blue star", levels=(0.9,)).shape
    torch.Size([1, 1, 16, 8, 8])
    """
    generator.check_latents(latents)
    check_flow_times(levels)
    told, held = (generator.condition(text).expand(len(latents)) for text in (caption, other))
    first, second = generator.velocity(told), generator.velocity(held)
    clean, total = latents.to(generator.device), torch.zeros(())
    noise = noise_of(clean, seed)
    for s in levels:
        y = (1 - s) * clean + s * noise
        total = total + (first(y, float(s)) - second(y, float(s))).abs().mean(1, keepdim=True).cpu()
    return total / len(levels)


def noise_of(like: Latents, seed: int) -> Latents:
    """Noise of each clip by `(seed, its number)`, of the size of latents."""
    rngs = [np.random.default_rng([seed, 3, i]) for i in range(len(like))]
    return torch.from_numpy(np.stack([rng.standard_normal(like.shape[1:], np.float32) for rng in rngs])).to(like)
