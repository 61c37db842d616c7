"""Where a pipeline's states lie in the latents that its autoencoder decodes, and at what scale: read, not known."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Self

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from latentlab.generator.pipelines.visiting import derives
from latentlab.shapes import Latents

DIGITS = 16  # places are numbered by digits of this base, which half precision holds through a change of scale


@dataclass(frozen=True)
class Addresses:
    """Where latents lie, as it is looked up at every call: flattened, on one device.

    Attributes:
        free: latents that are not held.
        entry: their places in the noise.
        latent: of each place in the noise, its latent; None where some have none.
        where: of each latent, its place among what is stepped; 0 of those that are held.
        held: which those are; None where none is.
    """

    free: Int[Tensor, " free"]
    entry: Int[Tensor, " free"]
    latent: Int[Tensor, " noise"] | None
    where: Int[Tensor, " latent"]
    held: Bool[Tensor, "channel frame height width"] | None

    @classmethod
    def of(cls, layout: Layout) -> Self:
        free = (~layout.held).flatten().nonzero().flatten()
        entry = layout.entry.flatten()[free]
        latent = torch.full((math.prod(layout.native),), -1)
        latent[entry] = free
        held = layout.held if layout.held.any() else None
        return cls(free, entry, None if (latent < 0).any() else latent, layout.where.clamp(min=0).flatten(), held)

    def to(self, device: torch.device) -> Addresses:
        moved = {name: t.to(device) for name, t in vars(self).items() if t is not None}
        return replace(self, **moved)


@dataclass(frozen=True)
class Layout:
    """Latents of one clip `(channel, frame, height, width)` against the pipeline's own states.

    Attributes:
        native, stepped: shapes of the noise that the pipeline makes, and of the states that its scheduler steps.
        entry, where: place of each latent in either, flattened; -1 where it is held: an image's, which no step moves.
        shift, scale: the autoencoder's own latents are `scale * y + shift`.
        images: whether the autoencoder codes frames one by one, so that its batch is frames.
    """

    native: tuple[int, ...]
    stepped: tuple[int, ...]
    entry: Int[Tensor, "channel frame height width"]
    where: Int[Tensor, "channel frame height width"]
    shift: Float[Tensor, "channel frame height width"]
    scale: Float[Tensor, "channel frame height width"]
    images: bool
    _addresses: dict[torch.device, Addresses] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of the latents of one clip."""
        channels, frames, height, width = self.where.shape
        return channels, frames, height, width

    @property
    def held(self) -> Bool[Tensor, "channel frame height width"]:
        """Which latents are those of an image that the clip is made of, whatever is stepped."""
        return self.where < 0

    def addresses(self, device: torch.device) -> Addresses:
        """Where latents lie, in the memory of a device."""
        if (known := self._addresses.get(device)) is not None:
            return known
        found = Addresses.of(self).to(device)
        if not derives():  # what is made while a derivative is taken is of no use after it
            self._addresses[device] = found
        return found

    def placed(self, y: Latents, made: Tensor) -> Tensor:
        """The pipeline's own noise with latents in their places; what has no latent stays as it was made."""
        at, flat = self.addresses(y.device), y.flatten(1).to(made.dtype)
        if at.latent is not None:
            return flat[:, at.latent].reshape(made.shape).to(made.device)
        own = made.reshape(len(y), -1).to(y.device)
        own = own.scatter(1, at.entry.expand(len(y), -1), flat[:, at.free])
        return own.reshape(made.shape).to(made.device)

    def states(self, y: Latents) -> Tensor:
        """Latents as noise that the pipeline could have made, 0 in what has no latent."""
        return self.placed(y, y.new_zeros(len(y) * self.native[0], *self.native[1:]))

    def latents(self, stepped: Tensor, count: int) -> Latents:
        """What came to the scheduler's step, as latents; 0 where they are held."""
        at = self.addresses(stepped.device)
        found = stepped.reshape(count, -1)[:, at.where].reshape(count, *self.shape)
        return found if at.held is None else torch.where(at.held, torch.zeros_like(found), found)

    def coded(self, y: Latents) -> Latents:
        """Latents as the autoencoder has them."""
        return y * self.scale.to(y.device) + self.shift.to(y.device)

    def normal(self, z: Latents) -> Latents:
        """The autoencoder's latents at the scale of the pipeline's states."""
        return (z - self.shift.to(z.device)) / self.scale.to(z.device)

    def of_clips(self, z: Tensor, count: int) -> Latents:
        """What came to the autoencoder, as latents of `count` clips, at the autoencoder's scale."""
        return z.unflatten(0, (count, -1)).movedim(1, 2) if self.images else z


def read_layout(
    native: tuple[int, ...],
    stepped: tuple[int, ...],
    enter: Callable[[Tensor], Tensor],
    leave: Callable[[Tensor], Tensor],
) -> Layout:
    """Numbers the states by the digits of their places and looks where the numbers come out.

    A latent that does not change with the states is held, and has the shift and scale of its channel elsewhere.

    Args:
        native, stepped: shapes of the pipeline's noise and of the states that are stepped, of one clip.
        enter: noise -> the state at the first step.
        leave: what the step gives back -> what comes to the autoencoder.

    Raises:
        ValueError: states that are mixed, dropped or changed otherwise than by shift and scale.
    """
    z0, z1 = (leave(torch.full(stepped, value)).double() for value in (0.0, 1.0))
    images = z0.ndim == 4
    free, scale = z1 != z0, z1 - z0
    if not free.any():
        raise ValueError("what it decodes does not follow from its states")
    if int(free.sum()) > math.prod(stepped):
        raise ValueError(
            f"{math.prod(stepped)} states are stepped and {int(free.sum())} are decoded; another size may fit"
        )
    whole = int(free.sum()) == free.numel()
    if whole and math.prod(stepped) != free.numel():
        raise ValueError(
            f"{math.prod(stepped)} states are stepped and {free.numel()} are decoded, so a clip does not tell "
            "the others (those of a reference, or of clips before it); where it is for the size, another may fit"
        )
    where = _numbers(stepped, lambda digits: (leave(digits).double() - z0) / torch.where(free, scale, 1.0))
    entry = _numbers(native, lambda digits: enter(digits).double())
    for found in (where[free], entry[entry >= 0].flatten()):
        if len(found.unique()) != found.numel():
            raise ValueError("its states are no rearrangement of the latents that are decoded")
    at = torch.where(free, entry.flatten()[where.clamp(0, math.prod(stepped) - 1)], -1)
    where = torch.where(free, where, -1)
    at, where, z0, scale, free = ((t.movedim(0, 1) if images else t[0]) for t in (at, where, z0, scale, free))
    shift, scale = (t if whole else _of_channels(t, free) for t in (z0, scale))
    return Layout(native, stepped, at, where, shift.float(), scale.float(), images)


def _numbers(shape: tuple[int, ...], sent: Callable[[Tensor], Tensor]) -> Tensor:
    """The place in a tensor of some shape that each number of what is made of it came from."""
    places, power, found = torch.arange(math.prod(shape)), 1, None
    while power < len(places):
        digits = (places // power % DIGITS).float().reshape(shape)
        came = _whole(sent(digits)) * power
        found = came if found is None else found + came
        power *= DIGITS
    return torch.zeros(shape, dtype=torch.long) if found is None else found


def _of_channels(t: Tensor, free: Tensor) -> Tensor:
    """Values with those of their channel's free places where they are not free."""
    rows = zip(t, free, strict=True)
    if not free.flatten(1).any(1).all():
        raise ValueError("some channels of what it decodes do not follow from its states")
    return torch.stack([torch.where(f, values, values[f].median()) for values, f in rows])


def _whole(t: Tensor) -> Tensor:
    whole = t.round()
    if (t - whole).abs().max() > 0.25:
        raise ValueError("its states are mixed on their way to the autoencoder")
    return whole.long().cpu()
