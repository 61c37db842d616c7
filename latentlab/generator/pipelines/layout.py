"""Where a pipeline's states lie in the latents that its autoencoder decodes, and at what scale: read, not known."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from latentlab.shapes import Latents

DIGITS = 16  # places are numbered by digits of this base, which half precision holds through a change of scale


@dataclass(frozen=True)
class Layout:
    """Latents of one clip `(channel, frame, height, width)` against the pipeline's own states.

    Attributes:
        native, stepped: shapes of the noise that the pipeline makes, and of the states that its scheduler steps.
        entry, where: place of each latent in either, flattened.
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

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of the latents of one clip."""
        return tuple(self.where.shape)  # type: ignore[return-value]

    def states(self, y: Latents) -> Tensor:
        """Latents as the pipeline makes its noise."""
        flat = y.flatten(1)
        made = torch.zeros_like(flat).scatter(1, self.entry.to(y.device).flatten().expand(len(y), -1), flat)
        return made.reshape(len(y) * self.native[0], *self.native[1:])

    def latents(self, stepped: Tensor, count: int) -> Latents:
        """What came to the scheduler's step, as latents."""
        return stepped.reshape(count, -1)[:, self.where.to(stepped.device).flatten()].reshape(count, *self.shape)

    def coded(self, y: Latents) -> Latents:
        """Latents as the autoencoder has them."""
        return y * self.scale.to(y.device) + self.shift.to(y.device)

    def normal(self, z: Latents) -> Latents:
        """The autoencoder's latents at the scale of the pipeline's states."""
        return (z - self.shift.to(z.device)) / self.scale.to(z.device)


def read_layout(
    native: tuple[int, ...],
    stepped: tuple[int, ...],
    enter: Callable[[Tensor], Tensor],
    leave: Callable[[Tensor], Tensor],
) -> Layout:
    """Numbers the states by the digits of their places and looks where the numbers come out.

    Args:
        native, stepped: shapes of the pipeline's noise and of the states that are stepped, of one clip.
        enter: noise -> the state at the first step.
        leave: what the step gives back -> what comes to the autoencoder.

    Raises:
        ValueError: states that are mixed, dropped or changed otherwise than by shift and scale.
    """
    count = math.prod(stepped)
    if math.prod(native) != count:
        raise ValueError(
            f"its noise {native} and what it steps {stepped} differ in size: more than one stream of states"
        )
    z0, z1 = (leave(torch.full(stepped, value)).double() for value in (0.0, 1.0))
    if z0.numel() != count:
        raise ValueError(f"{count} states are stepped and {z0.numel()} are decoded; another length or size may fit")
    scale = z1 - z0
    if not (scale != 0).all():
        fixed = int((scale == 0).sum())
        raise ValueError(
            f"{fixed} of {count} latents do not follow from its states, as where a clip's first image is held"
        )
    where, entry = torch.zeros(z0.shape, dtype=torch.long), torch.zeros(stepped, dtype=torch.long)
    places, power = torch.arange(count), 1
    while power < count:
        digit = (places // power % DIGITS).float()
        out = (leave(digit.reshape(stepped)).double() - z0) / scale
        where += power * _whole(out)
        entry += power * _whole(enter(digit.reshape(native)).double())
        power *= DIGITS
    for found in (where, entry):
        if not torch.equal(found.flatten().sort().values, places):
            raise ValueError("its states are no rearrangement of the latents that are decoded")
    images = z0.ndim == 4
    where, z0, scale = ((t.movedim(0, 1) if images else t[0]) for t in (where, z0, scale))
    return Layout(native, stepped, entry.flatten()[where], where, z0.float(), scale.float(), images)


def _whole(t: Tensor) -> Tensor:
    whole = t.round()
    if (t - whole).abs().max() > 0.25:
        raise ValueError("its states are mixed on their way to the autoencoder")
    return whole.long().cpu()
