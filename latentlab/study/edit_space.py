"""The spaces of a generator that clips are edited in, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from latentlab.checks import clear_errors
from latentlab.generator.generator import Generator
from latentlab.generator.sampler import EDIT
from latentlab.spaces import BottleneckSpace, LatentSpace, NoiseSpace
from latentlab.spaces.space import Described

DIRECTION_SEED = 2_000_003  # clips that find directions; neither trained on nor held out
SPACES: dict[str, Callable[..., Described]] = {"latent": LatentSpace, "noise": NoiseSpace, "h-space": BottleneckSpace}
LABELLED = {"latent": 1536, "noise": 128, "h-space": 128}  # clips that find directions; inverting one takes seconds


@clear_errors
def edit_space(generator: Generator, kind: str, **way: Any) -> Described:
    """A space to edit in, on the levels of sampling: around clips, each edit goes along the very way that they came.

    So without an edit only the autoencoder loses anything, and directions are found in codes of the same way.

    Args:
        generator: the model.
        kind: "latent", "noise" or "h-space".
        way: how noise and h-space invert and draw, settings of `NoiseSpace`; default is `EDIT`. Latents need none.

    Raises:
        ValueError: no such space.

    >>> import latentlab as ll
    >>> edit_space(ll.load(), "latent")
    LatentSpace(6144 dims: channel 6, frame 16, height 8, width 8)
    """
    if kind not in SPACES:
        raise ValueError(f"no space {kind!r} to edit in; there are {', '.join(SPACES)}")
    return SPACES[kind](generator, **({} if kind == "latent" else {"sampler": EDIT, **way}))
