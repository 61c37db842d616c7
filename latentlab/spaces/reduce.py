"""Fewer numbers than a code has: means over blocks, some places, change in time, principal components, each a space."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from latentlab.checks import Seed, clear_errors
from latentlab.directions.direction import Direction
from latentlab.shapes import Codes, Video
from latentlab.spaces.around import Around
from latentlab.spaces.space import Described, Space, as_space
from latentlab.store import digest


class Reduced(Described):
    """A reduction of the codes of a space: `down` is affine, `up` linear.

    `decode` fills in what was left out from `rest`, wide codes: of one clip, such as a mean, or of one for each. A
    direction found in the small space is carried into the wide one by `lift`, where it moves clips without losing
    anything of them.

    Args:
        space: with axes; a bare pair of `encode` and `decode` has one, "dim", whose length `rest` shows, see
            `as_space`.
        rest: wide codes to fill in from, `(1 or sample, dim)`; None fills in zeros.
    """

    def __init__(self, space: Space, *, rest: Codes | None = None) -> None:
        self.space = as_space(space, codes=rest)
        self.batch_dependent, self.device = self.space.batch_dependent, self.space.device
        self.rest = torch.zeros(1, self.space.dim) if rest is None else rest
        self.space.unflatten(self.rest)

    @abstractmethod
    def down(self, wide: Codes) -> Codes:
        """Wide codes made small."""

    @abstractmethod
    def up(self, codes: Codes) -> Codes:
        """The smallest move of wide codes that moves what `down` gives by these."""

    def encode(self, video: Video) -> Codes:
        """Codes `(sample, dim)` of clips."""
        return self.down(self.space.encode(video))

    def decode(self, codes: Codes) -> Video:
        """Clips of codes, what was left out filled in from `rest`."""
        self.unflatten(codes)
        rest = self.rest.to(codes)
        if len(rest) not in (1, len(codes)):
            raise ValueError(f"{len(codes)} codes, but the rest is of {len(rest)} clips; give one, or one for each")
        return self.space.decode(rest + self.up(codes - self.down(rest)))

    def around(self, video: Video) -> Around:
        """Clips in this space, with what was left out filled in from them: unmoved codes give what the wide space
        gives."""
        wide = self.space.around(video)
        codes = self.down(wide.codes)
        return Around(codes, lambda moved: wide.decode(wide.codes + self.up(moved.to(codes) - codes)), self.grid)

    @clear_errors
    def lift(self, direction: Direction) -> Direction:
        """A direction of this space as one of the wide space; a strength moves as far as before."""
        vector = torch.from_numpy(direction.vector)[None]
        wide = self.up(vector)[0].numpy()
        length = float((wide**2).sum() ** 0.5)
        return replace(direction, vector=wide / max(length, 1e-30), scale=direction.scale * length)

    def settings(self) -> dict[str, Any]:
        return {"of": self.space.describe()}


class Blocks(Reduced):
    """Means over blocks of neighbouring places, such as frames, rows and columns of latents.

    Args:
        space: with axes.
        block: how many places along an axis are averaged; None is all of them. `{"height": None, "width": None}` leaves
            a number for each channel and frame of latents, `{"frame": None}` is the mean over time.
        rest: see `Reduced`.

    Raises:
        ValueError: an axis that the space does not have, or blocks that do not fill it.

    >>> from latentlab import LatentSpace, load
    >>> space = LatentSpace(load(device="cpu"))
    >>> Blocks(space, {"height": None, "width": None}).shape
    (6, 16, 1, 1)
    """

    @clear_errors
    def __init__(self, space: Space, block: Mapping[str, int | None], *, rest: Codes | None = None) -> None:
        super().__init__(space, rest=rest)
        space = self.space
        self.axes, self.block = space.axes, [1] * len(space.axes)
        for axis, length in block.items():
            at = place_of(space, axis)
            self.block[at] = space.shape[at] if length is None else length
            if self.block[at] < 1 or space.shape[at] % self.block[at]:
                raise ValueError(f"blocks of {length} do not fill the {space.shape[at]} places of axis {axis!r}")
        self.shape = tuple(length // b for length, b in zip(space.shape, self.block, strict=True))

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "block": self.block}

    @clear_errors
    def down(self, wide: Codes) -> Codes:
        self.space.unflatten(wide)
        split = [part for pair in zip(self.shape, self.block, strict=True) for part in pair]
        return wide.reshape(len(wide), *split).mean(tuple(range(2, 2 * len(self.block) + 1, 2))).flatten(1)

    @clear_errors
    def up(self, codes: Codes) -> Codes:
        grid = self.unflatten(codes)
        for axis, length in enumerate(self.block, start=1):
            grid = grid.repeat_interleave(length, axis)
        return grid.flatten(1)


class Places(Reduced):
    """Some places along an axis: channels, frames, levels.

    Args:
        space: with axes.
        axis: its name.
        places: which, counted from 0.
        rest: see `Reduced`.

    Raises:
        ValueError: an axis that the space does not have, or places outside it.

    >>> from latentlab import LatentSpace, load
    >>> space = LatentSpace(load(device="cpu"))
    >>> Places(space, "frame", [0, 15]).shape
    (6, 2, 8, 8)
    """

    @clear_errors
    def __init__(self, space: Space, axis: str, places: Sequence[int], *, rest: Codes | None = None) -> None:
        super().__init__(space, rest=rest)
        space = self.space
        self.at, self.axes, self.places = place_of(space, axis), space.axes, list(places)
        count = space.shape[self.at]
        if not self.places or len(set(self.places)) < len(self.places) or not all(0 <= p < count for p in self.places):
            raise ValueError(f"places of axis {axis!r} must be different ones of 0 to {count - 1}, got {self.places}")
        self.shape = (*space.shape[: self.at], len(self.places), *space.shape[self.at + 1 :])

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "axis": self.axes[self.at], "places": self.places}

    @clear_errors
    def down(self, wide: Codes) -> Codes:
        return self.space.unflatten(wide)[self._chosen].flatten(1)

    @clear_errors
    def up(self, codes: Codes) -> Codes:
        grid = self.unflatten(codes)
        wide = codes.new_zeros(len(codes), *self.space.shape)
        wide[self._chosen] = grid
        return wide.flatten(1)

    @property
    def _chosen(self) -> tuple[Any, ...]:
        return (*[slice(None)] * (self.at + 1), self.places)


class TimeResidual(Reduced):
    """What changes over time: codes less their mean over frames. Its other half is `Blocks(space, {"frame": None})`.

    Args:
        space: with axes.
        axis: along which time goes: "piece" in h-space of a network that takes frames one by one.
        rest: see `Reduced`; the mean over time is filled in from it.

    >>> from latentlab import LatentSpace, load
    >>> space = LatentSpace(load(device="cpu"))
    >>> TimeResidual(space).shape
    (6, 16, 8, 8)
    """

    @clear_errors
    def __init__(self, space: Space, *, axis: str = "frame", rest: Codes | None = None) -> None:
        super().__init__(space, rest=rest)
        self.at, self.shape, self.axes = place_of(self.space, axis), self.space.shape, self.space.axes

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "axis": self.axes[self.at]}

    @clear_errors
    def down(self, wide: Codes) -> Codes:
        grid = self.space.unflatten(wide)
        return (grid - grid.mean(self.at + 1, keepdim=True)).flatten(1)

    @clear_errors
    def up(self, codes: Codes) -> Codes:
        return self.down(codes)


class Components(Reduced):
    """Coordinates along principal axes of wide codes, from their mean, in standard deviations; back by the same axes.

    Args:
        space: any with axes.
        codes: wide codes the axes are learned from, `(sample, dim)`.
        count: axes; fewer where the codes allow no more.
        rest: see `Reduced`; None is the mean of the codes.
        seed: of the randomised decomposition.

    Attributes:
        vectors: unit principal axes, `(component, dim)`.
        scale: standard deviation along each, `(component,)`.

    >>> import numpy as np
    >>> from latentlab import LatentSpace, load
    >>> space = LatentSpace(load(device="cpu"))
    >>> codes = torch.randn(20, 6144, generator=torch.Generator().manual_seed(0))
    >>> Components(space, codes, 4).shape
    (4,)
    """

    @clear_errors
    def __init__(
        self, space: Space, codes: Codes, count: int = 64, *, rest: Codes | None = None, seed: Seed = 0
    ) -> None:
        from latentlab.directions.unsupervised import PCA

        space = as_space(space, codes=codes)
        space.unflatten(codes)
        super().__init__(space, rest=codes.mean(0, keepdim=True) if rest is None else rest)
        found = PCA(count=count, random_state=seed).fit(codes)
        kept = found.scale_ > 1e-6 * max(float(found.scale_.max()), 1e-30)
        self.mean = codes.mean(0)
        self.vectors, self.scale = torch.from_numpy(found.directions_[kept]), torch.from_numpy(found.scale_[kept])
        self.shape = (int(kept.sum()),)

    def settings(self) -> dict[str, Any]:
        axes = (part.detach().cpu().double().numpy().tobytes() for part in (self.mean, self.vectors, self.scale))
        return {**super().settings(), "axes_learned": digest(*axes)}

    @clear_errors
    def down(self, wide: Codes) -> Codes:
        self.space.unflatten(wide)
        return (wide - self.mean.to(wide)) @ self.vectors.T.to(wide) / self.scale.to(wide)

    @clear_errors
    def up(self, codes: Codes) -> Codes:
        self.unflatten(codes)
        return (codes * self.scale.to(codes)) @ self.vectors.to(codes)


def place_of(space: Described, axis: str) -> int:
    """Where an axis is among those of a space."""
    if axis not in space.axes:
        raise ValueError(f"{type(space).__name__} has no axis {axis!r}; there are {', '.join(space.axes) or 'none'}")
    return space.axes.index(axis)
