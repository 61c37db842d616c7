"""Clips in one space, ready to be edited there."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from tqdm.auto import tqdm

from latentlab.data.moving.dataset import moving_shapes
from latentlab.directions import Direction, Effect
from latentlab.generator.generator import Generator
from latentlab.shapes import Codes, Video
from latentlab.spaces import BottleneckSpace, LatentSpace, NoiseSpace
from latentlab.spaces.space import AXES, Described, Space
from latentlab.spaces.told import Caption
from latentlab.study.steps import Step, draw

DIRECTION_SEED = 2_000_003  # clips that find directions; neither trained on nor held out
SPACES: dict[str, type[Described]] = {"latent": LatentSpace, "noise": NoiseSpace, "h-space": BottleneckSpace}
LABELLED = {"latent": 1536, "noise": 128, "h-space": 128}  # clips that find directions; inverting one takes seconds


class EditSpace:
    """Clips in one space, ready to be moved along directions found there.

    In noise and h-space clips are inverted by a method that gives them back exactly, on the levels of sampling, and
    every edit is sampled along the very way they came, so that without an edit only the autoencoder loses anything.
    Directions are found in codes that are inverted likewise.

    Args:
        generator: the model.
        kind: "latent", "noise" or "h-space".
        clip: what to edit, `(batch, 3, frame, height, width)`.
        num_steps: of the solver, each way; latents need none.
        method: of the solver, see `Generator.invert`.
        seed: of methods that draw noise.
        caption: that the clips are inverted and drawn under, see `NoiseSpace`.
        guidance: weight of the caption, each way.

    Attributes:
        codes: of the clips.
        shape: of one code: channel, frame, height and width; None in h-space, whose axes are the layer's own.

    Raises:
        ValueError: no such space.
    """

    def __init__(
        self,
        generator: Generator,
        kind: str,
        clip: Video,
        *,
        num_steps: int = 25,
        method: str = "leapfrog",
        seed: int = 0,
        caption: Caption = "",
        guidance: float = 1.0,
    ) -> None:
        if kind not in SPACES:
            raise ValueError(f"no space {kind!r} to edit in; there are {', '.join(SPACES)}")
        self.generator, self.kind = generator, kind
        self.way: dict[str, Any] = {"num_steps": num_steps, "method": method, "caption": caption, "guidance": guidance}
        self.inverted, self.around = None, None
        if kind == "h-space":
            self.around = BottleneckSpace(generator, **self.way).around(clip)
            self.codes, self.shape = self.around.encode(clip), None
            return
        latents = generator.encode(clip)
        self.latent_shape = self.shape = tuple(latents.shape[1:])
        if kind == "noise":
            told, options = generator.as_condition(caption), {"num_steps": num_steps, "method": method, "seed": seed}
            self.inverted = generator.invert(latents, told, guidance=guidance, levels="sampling", **options)
            latents = self.inverted.noise
        self.codes = latents.flatten(1)

    def find(self, *, labelled: int | None = None, seed: int = 0, progress: bool = False) -> Effect:
        """Effect directions of all factors, from freshly rendered clips with known factors: `labelled` of them, or as
        many as `LABELLED` says of the space."""
        space = self.space
        video, factors = moving_shapes(labelled or LABELLED[self.kind], DIRECTION_SEED + seed)
        chunks = tqdm(video.split(16), desc="encoding labelled clips", disable=not progress or None)
        # Whether each is real (t, R2, p) takes far longer than the directions themselves, and nobody asks here.
        return Effect(folds=0, permutations=0).fit(torch.cat([space.encode(chunk) for chunk in chunks]), factors)

    @property
    def space(self) -> Described:
        """The space of the codes, as other clips are encoded into it."""
        if self.kind == "latent":
            return LatentSpace(self.generator)
        return self.around or NoiseSpace(self.generator, levels="sampling", **self.way)

    def edit(self, direction: Direction, strength: float, **options) -> Video:
        """The clips, moved; `options` of `latentlab.edit`. With a mask, nothing changes outside of it, see `draw`."""
        return draw([Step(direction, strength, **options)], self.codes, self.shape, self.decode).video

    def decode(self, codes: Codes) -> Video:
        """Clips of codes, one for each clip of this space, in their order."""
        if codes.shape != self.codes.shape:
            raise ValueError(f"codes of these clips have shape {tuple(self.codes.shape)}, got {tuple(codes.shape)}")
        if self.around is not None:
            return self.around.decode(codes)
        if self.inverted is None:
            return self.generator.decode(codes.reshape(-1, *self.latent_shape))
        by = (codes - self.codes).reshape(-1, *self.latent_shape)
        return self.generator.decode(self.generator.sample(self.inverted.moved(by)))


@dataclass(frozen=True, eq=False)
class Place:
    """Clips in a space: their codes, how codes near them become clips, and the axes of a code, if it has four."""

    codes: Codes
    decode: Callable[[Codes], Video]
    shape: tuple[int, ...] | None

    @staticmethod
    def of(space: Space, clip: Video) -> Place:
        """Clips in any space; one that leaves something open, such as h-space, takes it from these clips."""
        here: Any = space.around(clip) if hasattr(space, "around") else space  # type: ignore[attr-defined]
        return Place(here.encode(clip), here.decode, frames_of(here))


def frames_of(space: Space) -> tuple[int, ...] | None:
    """Channel, frame, height and width of a code; None where codes have no such axes, as in h-space."""
    shape, axes = tuple(getattr(space, "shape", ())), tuple(getattr(space, "axes", AXES))
    return shape if len(shape) == 4 and axes == AXES else None


def described(space: Space) -> dict[str, Any]:
    """What a space says of itself, as a file holds it; of a user's own space that says nothing, its name."""
    said = space.describe() if hasattr(space, "describe") else {"space": type(space).__name__}  # type: ignore[attr-defined]
    return json.loads(json.dumps(said))
