"""Edits of one clip along directions found from labelled clips, in the space where each direction works best."""

from __future__ import annotations

from latentlab.data.moving.factors import NAMES
from latentlab.directions.mask import Mask
from latentlab.generator.generator import Generator
from latentlab.shapes import Video
from latentlab.study.edit_space import DIRECTION_SEED, LABELLED, SPACES, EditSpace
from latentlab.study.recipe import Edited, Recipe, Step

__all__ = ["DIRECTION_SEED", "LABELLED", "SPACES", "EditSpace", "Edited", "best_space", "edit_clip"]

BEST = {"hue": "latent", "size": "latent", "light": "latent", "direction": "latent"}


def best_space(direction: str) -> str:
    """The space in which a direction works best, by `benchmarks/edits.py`; "latent" for those it does not measure."""
    return BEST.get(direction.split("@")[0].split("=")[0], "latent")


def edit_clip(
    generator: Generator,
    clip: Video,
    direction: str,
    strength: float,
    *,
    space: str = "best",
    profile: str | tuple[float, ...] = "constant",
    mask: Mask | None = None,
    seed: int = 0,
    progress: bool = False,
) -> Edited:
    """Moves a clip along a named direction.

    Args:
        generator: the model; its clips are those of moving shapes, which the directions are found with.
        clip: `(1, 3, frame, height, width)`, of the generator's length and size.
        direction: a factor, as `Effect` names it: "light", "hue@240", "shape=star".
        strength: in standard deviations of the codes along the direction.
        space: "latent", "noise", or "best", the one where this factor works best.
        profile, mask: over time and space, see `latentlab.edit`.
        seed: of the labelled clips.
        progress: show a bar.

    Returns:
        The clip, what the space itself loses, and the recipe that makes it again.

    Raises:
        KeyError: no such direction.
    """
    if direction.split("@")[0].split("=")[0] not in NAMES:
        raise KeyError(f"no direction {direction!r}; the factors are {', '.join(NAMES)}")
    where = best_space(direction) if space == "best" else space
    found = EditSpace(generator, where, clip).find(seed=seed, progress=progress)[direction]
    return Recipe(where, (Step(found, strength, profile, mask),)).apply(generator, clip)
