"""Edits of one clip along directions found from labelled clips."""

from __future__ import annotations

import re
from dataclasses import replace

from latentlab.data.moving.factors import FACTORS, SIDE
from latentlab.directions.mask import Mask
from latentlab.generator.generator import Generator
from latentlab.shapes import Video
from latentlab.study.account import Account, account
from latentlab.study.edit_space import EditSpace
from latentlab.study.recipe import Edited, Recipe
from latentlab.study.steps import Step

STRONGEST = 100.0  # standard deviations


def check_edit(direction: str, strength: float) -> None:
    """Raises unless this is a direction of moving shapes and a strength, before minutes go into finding it.

    >>> check_edit("hue@240", 3.0)
    """
    name, mark, value = re.fullmatch(r"([^@=]*)([@=]?)(.*)", direction, re.DOTALL).groups()  # type: ignore[union-attr]
    factor = next((f for f in FACTORS if f.name == name), None)
    if factor is None:
        raise KeyError(f"no direction {direction!r}; the factors are {', '.join(f.name for f in FACTORS)}")
    good = {
        "circular": mark == "@" and bool(re.fullmatch(r"-?\d+\.?\d*", value)),
        "categorical": mark == "=" and value in factor.labels,
    }.get(factor.kind, not mark)
    if not good:
        ways = {
            "circular": f"{name}@ANGLE, in degrees",
            "categorical": f"{name}= and one of {', '.join(factor.labels)}",
        }
        raise KeyError(f"no direction {direction!r}; a direction of {name} is {ways.get(factor.kind, name)}")
    if not abs(strength) <= STRONGEST:
        raise ValueError(f"a strength is in standard deviations, up to {STRONGEST:g} either way, got {strength}")


def edit_clip(
    generator: Generator,
    clip: Video,
    direction: str,
    strength: float,
    *,
    space: str = "latent",
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
        space: "latent", "noise" or "h-space".
        profile, mask: over time and space, see `latentlab.edit`.
        seed: of the labelled clips.
        progress: show a bar.

    Returns:
        The clip, what the space itself loses, what moved, and the recipe that makes it again.

    Raises:
        KeyError: no such direction.
        ValueError: a strength that is not finite, or far outside of all codes.
    """
    check_edit(direction, strength)
    found = EditSpace(generator, space, clip).find(seed=seed, progress=progress)[direction]
    edited = Recipe(space, (Step(found, strength, profile, mask),)).apply(generator, clip)
    return replace(edited, account=accounted(edited, direction))


def accounted(edited: Edited, target: str) -> Account | None:
    """What an edit did; None where there is no reader of such clips, or no such factor."""
    if len(edited.video) != 1 or edited.video.shape[-2:] != (SIDE, SIDE):
        return None
    backwards = bool(edited.recipe.steps) and edited.recipe.steps[0].strength < 0
    before, after = (clip.float().clamp(-1, 1) for clip in (edited.unedited, edited.video))
    try:
        return account(before, after, target, towards=-1 if backwards else 1)
    except KeyError:
        return None
