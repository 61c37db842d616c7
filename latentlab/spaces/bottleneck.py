"""The denoiser's innermost activations as codes: h-space."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from latentlab.checks import Count, clear_errors
from latentlab.generator.condition import Condition
from latentlab.generator.generator import Generator
from latentlab.generator.guides import Guide
from latentlab.generator.inverted import Inverted
from latentlab.generator.sampler import EDIT, Sampler
from latentlab.generator.solver import Velocity
from latentlab.shapes import Codes, Latents, Video
from latentlab.spaces.around import Around
from latentlab.spaces.hooks import find_layer, hooked
from latentlab.spaces.space import Described
from latentlab.spaces.told import CaptionOrCondition, plain
from latentlab.tensors import tensor_digest

Meet = Callable[[Tensor, float, Condition], Tensor | None]  # activations, level, condition; what goes on instead


class BottleneckSpace(Described):
    """h-space (Kwon et al. 2023; Haas et al. 2024): what a layer of the denoiser says while a clip is inverted.

    A code is no clip by itself: it says how a run differs from the one that draws a given clip. So codes are decoded
    around some clips: that replays their runs with activations moved by the difference from their own codes,
    at all chosen levels. Unmoved codes give the clips' round trip.

        here = space.around(clips)
        here.decode(edit(here.codes, direction, 2.0))

    Args:
        generator: whose denoiser.
        layer: by its name in the network; None is the innermost. Where moving that moves little, take another one, such
            as "down.0.1" of the shipped denoiser.
        sampler: each way, see `Sampler`, on the levels of sampling; `EDIT` gives clips back exactly.
        num_steps, method, batch_size: change one setting of it each.
        levels: flow times (low, high) within which activations are read and moved; near 1 the coarse things are drawn.
        per_level: a vector for each level, after one another; otherwise one for all, their mean.
        caption: that the runs are under, see `NoiseSpace`; "" says nothing.
        guidance: weight of the caption, each way; activations are read under the caption, and moved with and without.
        progress: show a bar.

    Attributes:
        called: flow times at which activations are read and moved, rising.
        shape: of a code: level (where there is one each), what the batch holds of one clip, then the layer's own axes.

    Raises:
        ValueError: no such layer, or no step within `levels`.

    >>> import latentlab
    >>> BottleneckSpace(latentlab.load(), num_steps=4).shape
    (4, 128, 4, 4)
    """

    batch_dependent = True

    @clear_errors
    def __init__(
        self,
        generator: Generator,
        *,
        layer: str | None = None,
        sampler: Sampler = EDIT,
        num_steps: Count | None = None,
        method: str | None = None,
        levels: tuple[float, float] = (0.0, 1.0),
        per_level: bool = False,
        caption: CaptionOrCondition = "",
        guidance: float | None = None,
        batch_size: Count | None = None,
        progress: bool = False,
    ) -> None:
        self.generator, self.layer_name = generator, layer
        self.layer = find_layer(generator.modules, layer)
        words = {"num_steps": num_steps, "method": method, "guidance": guidance, "batch_size": batch_size}
        sampler = replace(sampler, levels="sampling").but(**words)  # runs to be replayed with moved activations
        self.guidance = sampler.guiding(generator.config.guidance)
        self.sampler = replace(sampler, guidance=self.guidance)
        self.num_steps, self.method, self.batch_size = sampler.num_steps, sampler.method, sampler.batch_size
        self.levels, self.per_level, self.caption, self.progress = levels, per_level, caption, progress
        self.condition = generator.as_condition(caption)
        self.called = self._levels_called()
        inside = self._shape_of_layer()
        self.shape = (len(self.called), *inside) if per_level else inside
        own = ("piece", *(f"axis{i}" for i in range(1, len(inside))))
        self.axes = ("level", *own) if per_level else own

    def settings(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("num_steps", "method", "per_level", "guidance")}
        where = {"layer": self.layer_name, "levels": list(self.levels), "caption": plain(self.caption)}
        return {"weights": self.generator.fingerprint(), **where, **own}

    @clear_errors
    def encode(self, video: Video) -> Codes:
        """Codes `(sample, dim)` of clips."""
        return torch.cat([codes for _, codes in self._runs(video)])  # a run at a time

    @clear_errors
    def decode(self, codes: Codes) -> Video:
        """Only around clips, which a code moves.

        Raises:
            ValueError: always.
        """
        raise ValueError("codes of this space move clips, and do not say which: use space.around(clips).decode(codes)")

    @clear_errors
    def around(self, video: Video) -> Around:
        """Clips inverted, with what the layer said on the way: decoded, their runs are replayed with activations moved
        to these codes, one for each clip."""
        runs = list(self._runs(video))
        codes = torch.cat([own for _, own in runs])

        def decode(moved: Codes) -> Video:
            moves = self.unflatten(moved) - self.unflatten(codes).to(moved)
            each = zip(runs, moves.split([len(run) for run, _ in runs]), strict=True)
            return self.generator.decode(torch.cat([self._sample(run, by) for (run, _), by in each]))

        return Around(codes, decode)

    def _runs(self, video: Video) -> Iterator[tuple[Inverted, Codes]]:
        """Clips inverted, batch by batch, with what the layer said on the way."""
        latents = self.generator.encode(video)
        told, size = self.condition.expand(len(latents)), self.batch_size
        batches = [slice(first, first + size) for first in range(0, len(latents), size)]
        return (self._invert(latents[rows], told[rows]) for rows in batches)

    def _invert(self, latents: Latents, condition: Condition) -> tuple[Inverted, Codes]:
        kept: dict[float, Tensor] = {}  # what the layer said last at a level, as some methods ask more than once
        total, size = torch.zeros(()), len(self.called)

        def read(h: Tensor, s: float, condition: Condition) -> None:
            nonlocal total
            if s not in self.called:
                return
            if not self.per_level and s not in kept and kept:  # the level before is done with
                total = total + kept.popitem()[1] / size
            own = h.detach().chunk(self._copies(h, condition))[-1]  # under guidance the caption's own rows come last
            kept[s] = own.to(torch.float32, copy=True).reshape(len(latents), -1, *h.shape[1:])

        inverted = self.generator.guided(AtLayer(self.layer, read)).invert(
            latents,
            condition,
            sampler=self.sampler,
            progress="inverting" if self.progress else False,
        )
        if self.per_level:
            return inverted, torch.stack([kept[s] for s in self.called], 1).flatten(1)  # sample level ...
        return inverted, (total + kept.popitem()[1] / size).flatten(1)

    def _sample(self, run: Inverted, moves: Float[Tensor, "sample ..."]) -> Latents:
        def move(h: Tensor, s: float, condition: Condition) -> Tensor | None:
            if s not in self.called:
                return None
            own = condition.extras["moves"]
            by = own[:, self.called.index(s)] if self.per_level else own
            return h + torch.cat([by] * self._copies(h, condition)).reshape(h.shape).to(h)

        moved = self.generator.guided(AtLayer(self.layer, move, name=self.layer_name or "innermost", moves=moves))
        return moved.sample(run, progress="sampling" if self.progress else False)

    def _copies(self, h: Tensor, condition: Condition) -> int:
        """How often each clip is in the batch: guidance puts each in twice."""
        return len(h) // (len(condition) * self.shape[-h.ndim])

    def _levels_called(self) -> tuple[float, ...]:
        """Levels at which the denoiser is called both ways, found by a run without the network."""
        low, high = self.levels
        both = []
        asked = Levels()
        still = self.generator.guided(asked)
        zeros = torch.zeros(1, *self.generator.latent_shape)
        inverted = still.invert(zeros, self.condition[:1], sampler=self.sampler)
        both.append(asked.taken())
        still.sample(inverted)
        both.append(asked.taken())
        within = tuple(sorted(s for s in both[0] & both[1] if low <= s <= high))
        if not within:
            raise ValueError(
                f"the denoiser is not called at any flow time within levels={self.levels} on {self.num_steps} steps of "
                f"{self.method}; it is at {', '.join(format(s, '.3g') for s in sorted(both[0] & both[1])) or 'none'}"
            )
        return within

    def _shape_of_layer(self) -> tuple[int, ...]:
        shapes: list[tuple[int, ...]] = []
        with torch.no_grad(), hooked(self.layer, lambda h: shapes.append((len(h), *h.shape[1:]))):
            zeros = torch.zeros(1, *self.generator.latent_shape, device=self.generator.device)
            self.generator.velocity(self.condition[:1])(zeros, self.called[-1])
        if not shapes:
            raise ValueError(f"layer {self.layer_name or 'innermost'!r} takes no part in a call of the denoiser")
        return shapes[0]


class AtLayer(Guide):
    """Meets a layer's activations at every call of the network: one that only reads them, or one that moves them.

    Args:
        layer: of the network.
        meet: what to do with activations at a level, under a condition; what it returns, unless None, goes on instead.
        name: of the layer, for one that moves.
        moves: by how much, for each clip, which `meet` finds in its condition.
    """

    capturable = False

    def __init__(self, layer: nn.Module, meet: Meet, *, name: str = "", moves: Tensor | None = None) -> None:
        self.layer, self.meet, self.name, self.moves = layer, meet, name, moves

    def __call__(self, velocity: Velocity, condition: Condition) -> Velocity:
        def field(y: Tensor, s: float) -> Tensor:
            with hooked(self.layer, lambda h: self.meet(h, _level(s), condition)):
                return velocity(y, s)

        return field

    def settings(self) -> dict[str, Any]:
        if self.moves is None:
            return {}
        return {"guide": "activations", "layer": self.name, "moves": tensor_digest(self.moves)}

    def tensors(self) -> dict[str, Tensor]:
        return {} if self.moves is None else {"moves": self.moves}


class Levels(Guide):
    """Notes the levels of all calls, and leaves the network out of them."""

    capturable = False

    def __init__(self) -> None:
        self.levels: set[float] = set()

    def __call__(self, velocity: Velocity, condition: Condition) -> Velocity:
        return lambda y, s: self.levels.add(_level(s)) or torch.zeros_like(y)

    def settings(self) -> dict[str, Any]:
        return {}

    def taken(self) -> set[float]:
        """The levels so far, and a fresh start."""
        levels, self.levels = self.levels, set()
        return levels


def _level(s: float) -> float:
    """A flow time that is the same on the way there and back."""
    return round(float(s), 9)
