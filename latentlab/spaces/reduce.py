"""Fewer numbers than a code has: means over blocks, channels, change in time, principal components, each a space."""

from __future__ import annotations

import copy
import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from einops import reduce, repeat

from latentlab.directions.direction import Direction
from latentlab.shapes import Codes, Video
from latentlab.spaces.space import AXES, Described


class Reduced(Described):
    """A linear reduction of the codes of a space.

    `decode` fills in what was left out from `rest`, wide codes: of one clip, such as a mean, or of one for each. A
    direction found in the small space is carried into the wide one by `lift`, where it moves clips without losing
    anything of them.

    Args:
        space: with axes.
        rest: wide codes to fill in from, `(1 or sample, dim)`; None fills in zeros.
    """

    def __init__(self, space: Described, *, rest: Codes | None = None) -> None:
        self.space, self.by_place = space, space.by_place
        self.rest = torch.zeros(1, space.dim) if rest is None else rest
        space.unflatten(self.rest)

    @abstractmethod
    def down(self, wide: Codes) -> Codes:
        """Wide codes made small; linear."""

    @abstractmethod
    def up(self, codes: Codes) -> Codes:
        """The smallest wide codes that `down` takes to these."""

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

    def around(self, video: Video) -> Reduced:
        """The same reduction, filling in from these clips: unmoved codes give what the wide space gives."""
        other = copy.copy(self)
        other.rest = self.space.encode(video)
        return other

    def lift(self, direction: Direction) -> Direction:
        """A direction of this space as one of the wide space; a strength moves as far as before."""
        vector = torch.from_numpy(direction.vector)[None]
        wide = self.up(vector)[0].numpy()
        length = float((wide**2).sum() ** 0.5)
        return replace(direction, vector=wide / max(length, 1e-30), scale=direction.scale * length)

    def settings(self) -> dict[str, Any]:
        return {"of": self.space.describe()}


class Blocks(Reduced):
    """Means over blocks of frames, rows and columns of the latents.

    Args:
        space: of codes (channel, frame, height, width).
        block: frames, rows and columns that are averaged; None is all of an axis. `(None, None, None)` leaves a number
            for each channel, `(1, None, None)` one for each channel and frame, `(None, 1, 1)` the mean over time.
        rest: see `Reduced`.

    Raises:
        ValueError: blocks that do not fill an axis.

    >>> from latentlab import LatentSpace, load
    >>> space = LatentSpace(load(device="cpu"))
    >>> Blocks(space, (1, None, None)).shape
    (6, 16, 1, 1)
    """

    axes = AXES

    def __init__(
        self, space: Described, block: tuple[int | None, int | None, int | None], *, rest: Codes | None = None
    ) -> None:
        super().__init__(space, rest=rest)
        channel, *axes = _axes(space)
        self.block = tuple(length if b is None else b for b, length in zip(block, axes, strict=True))
        if any(b < 1 or length % b for b, length in zip(self.block, axes, strict=True)):
            raise ValueError(f"blocks of {self.block} do not fill codes of {tuple(axes)} frames, rows and columns")
        self.shape = (channel, *(length // b for b, length in zip(self.block, axes, strict=True)))
        self._sizes = dict(zip("ijk", self.block, strict=True))

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "block": list(self.block)}

    def down(self, wide: Codes) -> Codes:
        grid = self.space.unflatten(wide)
        return reduce(grid, "n c (f i) (h j) (w k) -> n c f h w", "mean", **self._sizes).flatten(1)

    def up(self, codes: Codes) -> Codes:
        grid = self.unflatten(codes)
        return repeat(grid, "n c f h w -> n c (f i) (h j) (w k)", **self._sizes).flatten(1)


class Channels(Reduced):
    """Some channels of the latents.

    Args:
        space: of codes (channel, frame, height, width).
        channels: which.
        rest: see `Reduced`.

    >>> from latentlab import LatentSpace, load
    >>> space = LatentSpace(load(device="cpu"))
    >>> Channels(space, [0, 1]).shape
    (2, 16, 8, 8)
    """

    axes = AXES

    def __init__(self, space: Described, channels: Sequence[int], *, rest: Codes | None = None) -> None:
        super().__init__(space, rest=rest)
        count, *axes = _axes(space)
        self.channels = tuple(channels)
        if not channels or len(set(channels)) < len(channels) or not all(0 <= c < count for c in channels):
            raise ValueError(f"channels must be different ones of 0 to {count - 1}, got {list(channels)}")
        self.shape = (len(channels), *axes)

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "channels": list(self.channels)}

    def down(self, wide: Codes) -> Codes:
        return self.space.unflatten(wide)[:, list(self.channels)].flatten(1)

    def up(self, codes: Codes) -> Codes:
        wide = codes.new_zeros(len(codes), *self.space.shape)
        wide[:, list(self.channels)] = self.unflatten(codes)
        return wide.flatten(1)


class TimeResidual(Reduced):
    """What changes over time: latents less their mean over frames. Its other half is `Blocks(space, (None, 1, 1))`.

    Args:
        space: of codes (channel, frame, height, width).
        rest: see `Reduced`; the mean over time is filled in from it.

    >>> from latentlab import LatentSpace, load
    >>> space = LatentSpace(load(device="cpu"))
    >>> TimeResidual(space).shape
    (6, 16, 8, 8)
    """

    axes = AXES

    def __init__(self, space: Described, *, rest: Codes | None = None) -> None:
        super().__init__(space, rest=rest)
        self.shape = _axes(space)

    def down(self, wide: Codes) -> Codes:
        grid = self.space.unflatten(wide)
        return (grid - grid.mean(2, keepdim=True)).flatten(1)

    def up(self, codes: Codes) -> Codes:
        return self.down(codes)


class Components(Reduced):
    """Coordinates along principal axes of wide codes, in standard deviations; back-projected by the same axes.

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

    prior = "normal"

    def __init__(
        self, space: Described, codes: Codes, count: int = 64, *, rest: Codes | None = None, seed: int = 0
    ) -> None:
        from latentlab.directions.unsupervised import PCA

        space.unflatten(codes)
        super().__init__(space, rest=codes.mean(0, keepdim=True) if rest is None else rest)
        found = PCA(count=count, random_state=seed).fit(codes)
        kept = found.scale_ > 1e-6 * max(float(found.scale_.max()), 1e-30)
        self.mean = codes.mean(0)
        self.vectors, self.scale = torch.from_numpy(found.directions_[kept]), torch.from_numpy(found.scale_[kept])
        self.shape = (int(kept.sum()),)

    def settings(self) -> dict[str, Any]:
        axes = hashlib.sha256()
        for part in (self.mean, self.vectors, self.scale):
            axes.update(part.detach().cpu().double().numpy().tobytes())
        return {**super().settings(), "axes_learned": axes.hexdigest()}

    def down(self, wide: Codes) -> Codes:
        return (wide - self.mean.to(wide)) @ self.vectors.T.to(wide) / self.scale.to(wide)

    def up(self, codes: Codes) -> Codes:
        return (codes * self.scale.to(codes)) @ self.vectors.to(codes)


def _axes(space: Described) -> tuple[int, int, int, int]:
    if space.axes != AXES:
        raise ValueError(
            f"codes must have axes (channel, frame, height, width); {type(space).__name__} has {space.axes}"
        )
    channel, frame, height, width = space.shape
    return channel, frame, height, width
