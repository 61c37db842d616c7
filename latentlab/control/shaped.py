"""A mask that says where an object is, without training: the clip is to be flat inside and flat outside."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from latentlab.checks import clear_errors
from latentlab.generator.condition import Condition
from latentlab.generator.grid import check_mask, to_grid
from latentlab.generator.guides import Guide
from latentlab.generator.solver import Velocity
from latentlab.generator.velocity_model import VelocityModel
from latentlab.shapes import Latents, Mask, in_a_line
from latentlab.tensors import tensor_digest


@clear_errors
@dataclass(frozen=True, eq=False)
class Shaped(Guide):
    """An object where a mask is, by the energy of segmentation into two regions (Chan & Vese 2001, eq. 1).

    With c the mean of the estimated clean latents x of a frame inside the mask, and outside of it,

        E(x) = 1/2 sum |x - c|^2,

    whose gradient moves each latent towards the mean of its region: `v + strength (x - c)`. Flat scenes are what it
    asks for; on textured ones keep the strength and the range of levels small.

    Args:
        mask: `(batch or 1, 1, frame or 1, height, width)` in [0, 1], at the size of the clip.
        strength: of the move; 1 is all the way to flat regions, for the estimate at noise.

    >>> import latentlab as ll
    >>> generator, mask = ll.load(device="cpu"), ll.data.MovingShapes(1, seed=5)[0].mask
    >>> generator.guided(Shaped(mask)).generate("a red star", num_steps=1).shape
    torch.Size([1, 3, 16, 64, 64])
    """

    mask: Mask
    strength: float = 1.0
    share: Mask | None = None  # of each latent that is painted, once a generator's grid is known

    __repr__ = in_a_line

    def __post_init__(self) -> None:
        check_mask(self.mask)

    def bound(self, generator: VelocityModel) -> Shaped:
        frames, height, width = generator.latent_shape[1:]
        fine = F.adaptive_avg_pool3d(self.mask, (self.mask.shape[2], height, width))
        fine = fine.expand(-1, -1, frames, -1, -1) if fine.shape[2] == 1 else fine
        return replace(self, share=to_grid(fine, (frames, height, width)))

    def __call__(self, velocity: Velocity, condition: Condition) -> Velocity:
        share = condition.extras["share"]

        def field(y: Tensor, s: float) -> Tensor:
            v = velocity(y, s)
            x = y - s * v
            return v + self.strength * (x - two_means(x, share.to(x)))

        return field

    def settings(self) -> dict[str, Any]:
        return {"guide": "shaped", "mask": tensor_digest(self.mask), "strength": self.strength}

    def tensors(self) -> dict[str, Tensor]:
        return {} if self.share is None else {"share": self.share}


def two_means(x: Latents, share: Mask) -> Latents:
    """The mean inside and outside, in each frame and channel, mixed where a latent holds both.

    >>> import torch
    >>> x, share = (torch.tensor(row).view(1, 1, 1, 1, 4) for row in ([1.0, 3, 5, 7], [1.0, 1, 0, 0]))
    >>> two_means(x, share).flatten()
    tensor([2., 2., 6., 6.])
    """

    def mean(weight: Tensor) -> Tensor:
        return (weight * x).sum((3, 4), keepdim=True) / weight.sum((3, 4), keepdim=True).clamp(min=1e-6)

    return share * mean(share) + (1 - share) * mean(1 - share)
