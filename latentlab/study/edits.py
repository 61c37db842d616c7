"""Edits of one clip along directions found from labelled clips, in the space where each direction works best."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from tqdm.auto import tqdm

from latentlab.data.moving.dataset import moving_shapes
from latentlab.data.moving.factors import NAMES
from latentlab.directions import Direction, Effect, edit
from latentlab.generator.generator import Generator
from latentlab.metrics.perceptual import psnr
from latentlab.shapes import Video
from latentlab.spaces import LatentSpace, NoiseSpace

DIRECTION_SEED = 2_000_003  # clips that find directions; neither trained on nor held out
SPACES: dict[str, type[LatentSpace]] = {"latent": LatentSpace, "noise": NoiseSpace}
LABELLED = {"latent": 1536, "noise": 128}  # clips that find the directions of a space; inverting one takes seconds
BEST = {"hue": "latent", "size": "latent", "light": "latent", "direction": "latent"}


def best_space(direction: str) -> str:
    """The space in which a direction works best, by `benchmarks/edits.py`; "latent" for those it does not measure."""
    return BEST.get(direction.split("@")[0].split("=")[0], "latent")


class EditSpace:
    """A clip in one space, ready to be moved along directions found there.

    Args:
        generator: the model.
        kind: "latent" or "noise".
        clip: what to edit.

    Raises:
        ValueError: no such space.
    """

    def __init__(self, generator: Generator, kind: str, clip: Video) -> None:
        if kind not in SPACES:
            raise ValueError(f"no space {kind!r} to edit in; there are {', '.join(SPACES)}")
        self.kind, self.space = kind, SPACES[kind](generator)
        self.codes = self.space.encode(clip)

    def find(self, *, seed: int = 0, progress: bool = False) -> Effect:
        """Effect directions of all factors, from freshly rendered clips with known factors."""
        video, factors = moving_shapes(LABELLED[self.kind], DIRECTION_SEED + seed)
        chunks = tqdm(video.split(16), desc="encoding labelled clips", disable=not progress)
        return Effect().fit(torch.cat([self.space.encode(chunk) for chunk in chunks]), factors)

    def edit(self, direction: Direction, strength: float) -> Video:
        """The clip, moved."""
        return self.space.decode(edit(self.codes, direction, strength))


@dataclass(frozen=True)
class Edited:
    """An edited clip.

    Attributes:
        video: the clip.
        space: where it was edited.
        floor_psnr: the clip against itself after the same way without an edit, decibels: what the space itself loses.
    """

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
    """Moves a clip along a named direction.

    Args:
        generator: the model; its clips are those of moving shapes, which the directions are found with.
        clip: `(1, 3, frame, height, width)`, of the generator's length and size.
        direction: a factor, as `Effect` names it: "light", "hue@240", "shape=star".
        strength: in standard deviations of the codes along the direction.
        space: "latent", "noise", or "best", the one where this factor works best.
        seed: of the labelled clips.
        progress: show a bar.

    Raises:
        KeyError: no such direction.
    """
    if direction.split("@")[0].split("=")[0] not in NAMES:
        raise KeyError(f"no direction {direction!r}; the factors are {', '.join(NAMES)}")
    where = EditSpace(generator, best_space(direction) if space == "best" else space, clip)
    found = where.find(seed=seed, progress=progress)[direction]
    floor = psnr(where.edit(found, 0.0).cpu(), clip.cpu())
    return Edited(where.edit(found, strength).cpu(), where.kind, round(float(floor.mean()), 2))
