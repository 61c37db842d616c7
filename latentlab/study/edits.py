"""Edits of one clip along directions found from labelled clips, in the space where each direction works best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from latentlab.data.moving.dataset import moving_shapes
from latentlab.directions import Direction, Effect, edit
from latentlab.generator.generator import Generator
from latentlab.metrics.perceptual import psnr
from latentlab.shapes import Video
from latentlab.spaces import LatentSpace, NoiseSpace

DIRECTION_SEED = 2_000_003  # clips that find directions; neither trained on nor held out
LABELLED = {"latent": 512, "noise": 128}  # clips that find the directions of a space
BEST = {"light": "latent"}
OTHERWISE = "noise"


class EditSpace:
    """One clip in one space, ready to be moved.

    Args:
        generator: the model.
        kind: "latent" or "noise".
        clip: what to edit.
    """

    def __init__(self, generator: Generator, kind: str, clip: Video) -> None:
        self.kind = kind
        self.space = {"latent": LatentSpace, "noise": NoiseSpace}[kind](generator)
        self.codes = self.space.encode(clip)

    def edit(self, direction: Direction, strength: float) -> Video:
        """The clip, moved."""
        return self.space.decode(edit(self.codes, direction, strength))


def find_directions(space: EditSpace, *, seed: int = 0, progress: bool = False) -> Effect:
    """Effect directions of all factors, from freshly rendered clips with known factors."""
    video, factors = moving_shapes(LABELLED[space.kind], DIRECTION_SEED + seed)
    return Effect().fit(space.space.encode(video), factors)


@dataclass(frozen=True)
class Edited:
    """An edited clip, the space it was edited in, and how well that space gives back the clip unedited."""

    video: Video
    space: str
    floor_psnr: float


def edit_clip(
    generator: Generator,
    clip: Video,
    direction: str,
    strength: float,
    *,
    space: str = "best",
    seed: int = 0,
    progress: bool = False,
) -> Edited:
    """Moves one clip along a named direction."""
    factor = direction.split("@")[0].split("=")[0]
    kind = BEST.get(factor, OTHERWISE) if space == "best" else space
    where = EditSpace(generator, kind, clip)
    found = find_directions(where, seed=seed, progress=progress)[direction]
    back = where.edit(found, 0.0)
    floor = round(float(psnr(back.cpu(), clip.cpu()).mean()), 2)
    return Edited(where.edit(found, strength).cpu(), kind, floor)
