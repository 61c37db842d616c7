"""Words that are not forgotten: each is looked at somewhere, or the state is led to where it is (attend-and-excite)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from latentlab.checks import clear_errors
from latentlab.control.maps import Attended, _words_on
from latentlab.control.places import places, words_in
from latentlab.generator.condition import Condition
from latentlab.generator.generator import Generator
from latentlab.generator.guides import Guide
from latentlab.generator.model import Model
from latentlab.generator.solver import Velocity


@clear_errors
@dataclass(frozen=True, eq=False)
class Attend(Guide):
    """Attend-and-excite (Chefer et al. 2023): the word that is looked at least is to be looked at more.

    With A_w the share of cross-attention to a word's tokens among those of all words, smoothed over 3 x 3 places,

        L = max_w (1 - mean over frames of max over places A_w)                                       (eq. 2 and 3)

    is lowered along its gradient through the network. As a velocity, at any solver and step size, that is

        v* = v + weight |v| / |dL/dy| dL/dy,

    which costs a call with its gradient more.

    Args:
        caption: that the words stand in, as it is drawn.
        words: of it, that must be seen.
        weight: length of what is added, as a share of the velocity's.
        until: flow time down to which it is.
        where: places of each word's tokens; None asks the model's tokenizer.

    Raises:
        ValueError: a word that is not in the caption; on a generator, tokens that are not told, or a denoiser without
            cross-attention.

    >>> import latentlab as ll
    >>> generator = ll.load(device="cpu")
    >>> seen = generator.guided(Attend("a red star", ("red", "star"), weight=0.2))
    >>> seen.generate("a red star", num_steps=1).shape
    torch.Size([1, 3, 16, 64, 64])
    """

    caption: str
    words: Sequence[str]
    weight: float = 0.1
    until: float = 0.5
    where: dict[str, Sequence[int]] | None = None
    generator: Generator | None = field(default=None, repr=False)
    spots: tuple[tuple[int, ...], ...] = ()
    capturable: ClassVar[bool] = False  # takes a gradient through the network

    def __post_init__(self) -> None:
        said = words_in(self.caption)
        if isinstance(self.words, str) or not self.words:
            raise ValueError(f"words are several of the caption, such as ('red', 'star'), got {self.words!r}")
        if missing := [word for word in self.words if word not in said]:
            raise ValueError(f"{missing[0]!r} is no word of {self.caption!r}")
        if not 0 <= self.weight < float("inf"):
            raise ValueError(f"weight is a share of the velocity from 0 on, got {self.weight}")

    def bound(self, generator: Model) -> Attend:
        if not isinstance(generator, Generator):
            raise TypeError(f"words are looked at by a Generator, got {type(generator).__name__}")
        said = words_in(self.caption)
        where = self.where
        if where is None:
            where = {word: at for word, at in zip(said, places(generator, self.caption), strict=True) if at}
        if silent := [word for word in self.words if not where.get(word)]:
            raise ValueError(f"{silent[0]!r} has no token in {self.caption!r}")
        chosen = [tuple(where[word]) for word in self.words]
        rest = [tuple(at) for word, at in where.items() if word not in self.words]
        return replace(self, generator=generator, spots=(*chosen, *rest))

    def __call__(self, velocity: Velocity, condition: Condition) -> Velocity:
        if self.weight == 0:
            return velocity

        def field(y: Tensor, s: float) -> Tensor:
            v = velocity(y, s)
            if s < self.until:
                return v
            with torch.enable_grad():
                state = y.detach().float().requires_grad_()
                (slope,) = torch.autograd.grad(self.neglected(state, s, condition).sum(), state)
            axes = tuple(range(1, y.ndim))
            length = v.float().square().sum(axes, keepdim=True).sqrt()
            steep = slope.square().sum(axes, keepdim=True).sqrt().clamp(min=1e-12)
            return v + (self.weight * length / steep * slope).to(v)

        return field

    def neglected(self, y: Tensor, s: float, condition: Condition) -> Tensor:
        """L of each state, 0 where every word has a place that looks at nothing else."""
        if self.generator is None:
            raise ValueError("this guide belongs to no generator yet; use generator.guided(Attend(...))")
        own, tokens = self.generator, condition.tokens.shape[1]
        kept: list[Tensor] = []

        def show(weights: Tensor) -> None:
            maps = _words_on(weights, self.spots, y.shape, own.frame_patch, heads=False)
            kept.extend([] if maps is None else [maps[:, 0]])

        with Attended(tokens, None, show):
            own.predict(y, s, condition)
        if not kept:
            raise ValueError(f"no layer of this denoiser attends from places of the clip to the {tokens} tokens alone")
        maps = torch.stack(kept).mean(0)  # batch word frame height width
        share = (maps / maps.sum(1, keepdim=True).clamp(min=1e-12))[:, : len(self.words)]
        smooth = F.avg_pool2d(share.flatten(0, 2)[:, None], 3, 1, 1, count_include_pad=False).reshape(share.shape)
        return (1 - smooth.amax((3, 4)).mean(2)).amax(1)

    def settings(self) -> dict[str, Any]:
        said = {"caption": self.caption, "words": list(self.words), "weight": self.weight, "until": self.until}
        return {"guide": "attend", **said}
