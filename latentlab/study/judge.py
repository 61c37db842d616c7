"""One cell of the scoreboard: a finder finds, and its directions are tried on clips that it has not seen."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np

from latentlab.directions import Direction
from latentlab.directions.edit import Moves
from latentlab.directions.manipulate import Manipulator
from latentlab.shapes import Codes
from latentlab.spaces.hooks import counted
from latentlab.study.collateral import collateral
from latentlab.study.finders import find
from latentlab.study.scoreboard import match_targets, score_directions
from latentlab.study.sweep import STRENGTHS
from latentlab.study.worlds import World

UNLABELLED = 1000  # codes that finders without labels get


def score_cell(
    world: World,
    finder: str,
    *,
    labels: int,
    variant: str = "independent",
    shuffled: bool = False,
    seed: int = 0,
    strengths: Sequence[float] = STRENGTHS,
    count: int = 20,
    steps: int = 300,
    side_effects: bool = False,
) -> dict[str, Any]:
    """What a finder finds in a world, and what its directions do.

    Args:
        world: a space with clips, labelled and to try on.
        finder: by its name in `latentlab.study.finders`.
        labels: that it gets; 0 is for finders without, whose directions are matched with targets on one half of the
            clips and tried on the other.
        variant, shuffled: of the labels, see `World.labelled`.
        seed: of the labelled clips and of the finder.
        strengths: rising, through 0.
        count: directions of a finder without labels.
        steps: of contrastive learning.
        side_effects: whether background, flicker and the way back are measured too.

    Returns:
        A cell of `latentlab.study.cells`, with seconds, clips decoded and denoiser passes.

    >>> from latentlab.study.worlds import OracleWorld
    >>> cell = score_cell(OracleWorld(mix=0), "effect", labels=1000, strengths=(-2.0, 0.0, 2.0))
    >>> cell["scores"][0]["precision"] > 0.9
    True
    """
    codes, factors = world.labelled(labels or UNLABELLED, variant, seed, shuffled=shuffled)
    truth: dict[str, np.ndarray] | None = world.truth(seed)
    options: dict[str, Any] = {"strengths": strengths}
    decoded = 0
    with counted(world.networks) as passes:
        began = time.perf_counter()
        found = find(finder, codes, factors, world, seed=seed, count=count, steps=steps)
        seconds = time.perf_counter() - began
        if isinstance(found, Manipulator):
            ground, truth, options["move"] = world.ground(seed), None, partial(_network_move, found)
            chosen: list[Moves] = [Direction(target, np.zeros(codes.shape[1]), 1.0) for target in world.targets]
        elif labels:
            ground = world.ground(seed)
            chosen = [towards(found, target) for target in world.targets]
        else:
            halves = np.array_split(np.arange(world.clips), 2)
            first, ground = (world.ground(seed, half.tolist()) for half in halves)
            each = list(found)
            decoded += len(first.codes) * (1 + 2 * len(each))
            chosen = [
                replace(each[i], name=target, vector=sign * each[i].vector)
                for target, (i, sign) in match_targets(first, each, world.targets).items()
            ]
        rows = [asdict(score) for score in score_directions(ground, chosen, truth=truth, **options)]
        decoded += len(ground.codes) * (1 + len(chosen) * (len(strengths) - 1))
        if ground.mask is not None and side_effects:
            for row, direction in zip(rows, chosen, strict=True):
                row |= asdict(collateral(ground, direction, row["strength"], move=options.get("move")))
                decoded += 2 * len(ground.codes)
    made = {"fit_seconds": seconds, "decoded": decoded, "passes": passes.clips, "factors": ground.ruler.names}
    return {**made, "scores": rows}


def towards(found: Any, target: str) -> Direction:
    """The direction of a target; one that does nothing where it could not be found, as with no star among few clips."""
    try:
        return found[target]
    except KeyError:
        return Direction(target, np.zeros(found.directions_.shape[1]), 1.0)


def _network_move(network: Manipulator, codes: Codes, direction: Moves, strength: float) -> Codes:
    """The network's edit, in the place of one along a direction."""
    return network.edit(codes, direction.name, strength)
