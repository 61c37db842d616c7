"""Where things are to be: masks, sketches, boxes, flow, classes and depth, told to a trained control branch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentlab.checks import clear_errors
from latentlab.control.masks import as_mask
from latentlab.generator.condition import Condition
from latentlab.generator.generator import Generator
from latentlab.generator.guides import Guide
from latentlab.generator.image import ImageGenerator
from latentlab.generator.lock import alone
from latentlab.generator.model import Model
from latentlab.generator.networks.beside import read_beside
from latentlab.generator.networks.control import ControlNetwork, one_hot
from latentlab.generator.networks.image_control import ImageControl
from latentlab.generator.pipelines.branch import BranchSource, PipelineControl, pipeline_control
from latentlab.generator.pipelines.driven import Driven
from latentlab.generator.solver import Velocity
from latentlab.shapes import in_a_line
from latentlab.tensors import tensor_digest
from latentlab.weights import fingerprint

LevelRange = tuple[float, float]


@clear_errors
@dataclass(frozen=True, eq=False)
class Control(Guide):
    """Pictures that say where things are, told to a control branch (Zhang et al. 2023, ControlNet).

    At each flow time those act within whose levels it lies. Of one picture, `strength` is the factor of what the branch
    adds; of several, the largest is, and what the branch is told of the others is less in proportion. At strength 0 the
    branch is not asked, and the generator is as it was, to the bit. `Fusion([Given(Control(...), weight=), ...])` adds
    branches as differences of velocities instead, each at a call of the network.

    Args:
        network: trained by `latentlab train control`, a model of images' own, which hears of "classes", or a pipeline's
            ControlNets or VACE, see `read_control`.
        pictures: by kind, at the size of the clip, for all clips or one for each. Of a pipeline: what its branch was
            trained on, grey or in colours, in [0, 1], `(height, width)` or `(batch, 1 or 3, 1 or frame, height,
            width)`; of one ControlNet under any name. Of latentlab's own: "mask" (1 where an object is),
            "sketch" (outlines), "box" (filled boxes) and "depth" (1 is near, 0 the background): in [0, 1], `(height,
            width)` for all frames or `(batch, 1, frame, height, width)`. "classes": whole numbers, 0 is the background,
            in the same axes. "flow": pixels to the next frame, right and down, `(batch, 2, frame, height, width)`, or
            of one frame less.
        strength: of all, or by kind.
        levels: flow times between which they act, (1, 0.5) for what is drawn first; of all, or by kind.

    Raises:
        ValueError: a kind that there is not, or what is no picture of it; on a generator, a network of another one.

    >>> import latentlab as ll
    >>> generator, mask = ll.load(device="cpu"), ll.data.MovingShapes(1, seed=5)[0].mask
    >>> network = ControlNetwork(generator.denoiser, ratio=8)  # not trained: it changes nothing
    >>> controlled = generator.guided(Control(network, {"mask": mask}, strength=0.8, levels=(1, 0.3)))
    >>> controlled.generate("a red star", num_steps=1).shape
    torch.Size([1, 3, 16, 64, 64])
    """

    network: ControlNetwork | ImageControl | PipelineControl
    pictures: Mapping[str, Tensor | np.ndarray]
    strength: float | Mapping[str, float] = 1.0
    levels: LevelRange | Mapping[str, LevelRange] = (1.0, 0.0)
    told: Mapping[str, Tensor] | None = None  # the pictures as the branch takes them, once a generator's size is known

    __repr__ = in_a_line

    def __post_init__(self) -> None:
        if not self.pictures:
            raise ValueError(f"a control is one picture at least, of {', '.join(self.network.kinds)}; got none")
        kinds = self.network.kinds or tuple(self.pictures)[:1]
        for said in (self.pictures, self.strength, self.levels):
            if isinstance(said, Mapping) and (wrong := [kind for kind in said if kind not in kinds]):
                raise ValueError(f"kinds of control are {', '.join(kinds)}, got {wrong[0]!r}")
        for kind in self.pictures:
            strength, (high, low) = self._strength(kind), self._levels(kind)
            if not math.isfinite(strength):
                raise ValueError(f"the strength of a control is a finite number, got {strength} for {kind!r}")
            if not 0 <= low <= high <= 1:
                raise ValueError(f"levels are a range of flow times, from high to low as (1, 0.5), got {(high, low)}")

    def bound(self, generator: Model) -> Control:
        if not isinstance(generator, Generator) or generator.network_of("denoiser") is not self.network.denoiser:
            raise ValueError("a control branch works on the generator that it was read for, see control.read_control")
        c = generator.config
        size = (c.num_frames, c.height, c.width)
        if isinstance(self.network, PipelineControl):
            return replace(self, told=self.network.heard({k: _card(p, size) for k, p in self.pictures.items()}))
        classes = self.network.classes
        return replace(self, told={kind: _picture(kind, p, size, classes) for kind, p in self.pictures.items()})

    def __call__(self, velocity: Velocity, condition: Condition) -> Velocity:
        told = {name: condition.extras[f"picture.{name}"] for name in self.told or {}}

        def field(y: Tensor, s: float) -> Tensor:
            weights = self.acting(s)
            if not weights:
                return velocity(y, s)
            most = max(weights.values(), key=abs)
            share = {kind: weight / most for kind, weight in weights.items()}
            with alone(self.network.denoiser), self.network.on(told, share, most):
                return velocity(y, s)

        return field

    def acting(self, s: float) -> dict[str, float]:
        """Strengths of the kinds that act at flow time s, without those of strength 0."""
        within = [kind for kind in self.pictures if self._levels(kind)[1] <= s <= self._levels(kind)[0]]
        return {kind: strength for kind in within if (strength := self._strength(kind))}

    def settings(self) -> dict[str, Any]:
        told = {
            kind: [tensor_digest(torch.as_tensor(picture)), self._strength(kind), *self._levels(kind)]
            for kind, picture in sorted(self.pictures.items())
        }
        return {"guide": "control", "network": fingerprint(self.network), "pictures": told}

    def tensors(self) -> Mapping[str, Tensor]:
        return {f"picture.{kind}": picture for kind, picture in (self.told or {}).items()}

    def _strength(self, kind: str) -> float:
        return float(self.strength.get(kind, 1.0) if isinstance(self.strength, Mapping) else self.strength)

    def _levels(self, kind: str) -> LevelRange:
        levels = self.levels.get(kind, (1.0, 0.0)) if isinstance(self.levels, Mapping) else self.levels
        return float(levels[0]), float(levels[1])


@clear_errors
def read_control(
    path: BranchSource | Mapping[str, BranchSource] | None, generator: Generator
) -> ControlNetwork | ImageControl | PipelineControl:
    """The network of a file that a training wrote, or the control branch of a pipeline of diffusers.

    Args:
        path: of the file, or of the run's folder. Of a pipeline: the folder of a ControlNet that diffusers wrote, or a
            ControlNet held in memory; several by the kinds of their pictures. None is the branch that ships
            with the model, if one does, and of a pipeline the one that it has, its ControlNet or Wan VACE's.
        generator: that it was trained for.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a file of another network, or for another denoiser; None for one of which none ships; a
            pipeline without a branch, or with one whose own call comes to something else.
    """
    if isinstance(generator, Driven):
        return pipeline_control(path, generator)
    if not isinstance(path, str | Path | None):
        raise ValueError(f"a control network of latentlab's own is read from a file or folder, got {path!r:.80}")
    if isinstance(generator, ImageGenerator):
        own = read_beside(path, generator, "image-control", lambda denoiser, h: ImageControl(denoiser, h["classes"]))
        return own.to(generator.dtype)
    network = read_beside(
        path, generator, "control", lambda denoiser, h: ControlNetwork(denoiser, h["ratio"], h["classes"], h["rank"])
    )
    return network.to(generator.dtype)


def _card(given: Tensor | np.ndarray, size: tuple[int, int, int]) -> Tensor:
    """A user's picture as pipelines take it, `(batch, 3, frame, height, width)` in [0, 1]."""
    card = torch.as_tensor(given).float()
    card = card[None, None, None] if card.ndim == 2 else card
    frames, height, width = size
    if card.ndim != 5 or card.shape[1] not in (1, 3) or card.shape[2] not in (1, frames):
        raise ValueError(
            f"a picture is ({height}, {width}), or (batch, 1 or 3, 1 or {frames}, {height}, {width}), got shape "
            f"{tuple(card.shape)}"
        )
    if tuple(card.shape[3:]) != (height, width) or not (card.min() >= 0 and card.max() <= 1):
        raise ValueError(
            f"a picture is of {height} x {width} in [0, 1], got {tuple(card.shape[3:])} from {float(card.min()):.3g} "
            f"to {float(card.max()):.3g}"
        )
    return card.expand(-1, 3, frames, -1, -1)


def _picture(kind: str, given: Tensor | np.ndarray, size: tuple[int, int, int], classes: int) -> Tensor:
    """A user's picture as the branch takes it: a channel for each direction or class, all frames."""
    picture = torch.as_tensor(given)
    frames, height, width = size
    if kind == "flow":
        fits = picture.ndim == 5 and picture.shape[1] == 2 and picture.shape[3:] == (height, width)
        if not fits or picture.shape[2] not in (frames - 1, frames):
            raise ValueError(
                f"flow of this model's clips is (batch, 2, {frames - 1} or {frames}, {height}, {width}), in pixels to "
                f"the next frame, got shape {tuple(picture.shape)}"
            )
        if not picture.isfinite().all():
            raise ValueError("flow is finite, got NaN or infinity")
        last = picture[:, :, -1:] if picture.shape[2] < frames else picture[:, :, :0]
        return torch.cat([picture, last], 2).float()
    count = len(picture) if picture.ndim == 5 else 1
    clips = torch.zeros(1).expand(count, 3, frames, height, width)
    if kind != "classes":
        return as_mask(picture, clips)
    if not torch.isin(picture.float(), torch.arange(classes + 1.0)).all():
        found = picture.float().flatten()[:3].tolist()
        raise ValueError(f"classes are whole numbers from 0, the background, to {classes}, got {found} and so on")
    return one_hot(as_mask(picture.float() / classes, clips).mul(classes).round(), classes)
