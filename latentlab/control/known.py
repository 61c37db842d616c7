"""Latents that are known: a generator draws the others so that they fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from latentlab.generator.condition import Condition
from latentlab.generator.guides import Guide
from latentlab.generator.solver import Velocity
from latentlab.shapes import Latents, Mask, Noise, in_a_line
from latentlab.tensors import tensor_digest


@dataclass(frozen=True, eq=False)
class Known(Guide):
    """Latents of a clip that stay, while the generator draws the others, see `known`.

    Args:
        clean: latents of the clips.
        noise: that the run begins with, of the same shape.
        free: where the generator draws, 1, and where latents stay, 0, `(batch, 1, frame, height, width)` on their grid.

    >>> import latentlab as ll, torch
    >>> generator, (clip, _) = ll.load(device="cpu"), ll.data.moving_shapes(1, seed=0)
    >>> clean, noise, left = generator.encode(clip), generator.noise(1), torch.zeros(1, 1, 16, 8, 8)
    >>> left[..., :4] = 1
    >>> filled = generator.guided(Known(clean, noise, left)).sample(noise, "a red star", num_steps=2)
    >>> torch.allclose(filled[..., 4:], clean[..., 4:], atol=1e-5)
    True
    """

    clean: Latents
    noise: Noise
    free: Mask

    __repr__ = in_a_line

    def __call__(self, velocity: Velocity, condition: Condition) -> Velocity:
        return known(velocity, **{name: condition.extras[name] for name in self.tensors()})

    def settings(self) -> dict[str, Any]:
        return {"guide": "known"} | {name: tensor_digest(tensor) for name, tensor in self.tensors().items()}

    def tensors(self) -> Mapping[str, Tensor]:
        return {"clean": self.clean, "noise": self.noise, "free": self.free}


def known(velocity: Velocity, clean: Latents, noise: Noise, free: Mask) -> Velocity:
    """The velocity field along which known latents arrive at what they are.

    v <- m v + (1 - m) (noise - clean), m being where latents are free. What is known moves on the straight line
    (1 - s) clean + s noise; under Euler's rule that is the same, to all digits, as writing it into the state before
    each step (blended latent diffusion, Avrahami et al. 2023), and it holds for every solver.

    Args:
        velocity: of a generator.
        clean: latents of the clip; those where `free` is 0 come out.
        noise: that the run begins with.
        free: 1 where the generator draws, on the grid of latents.

    Returns:
        A field for `solve`.

    >>> import torch
    >>> from latentlab.generator.solver import solve
    >>> clean, noise = torch.full((1, 1, 1, 1, 2), 3.0), torch.zeros(1, 1, 1, 1, 2)
    >>> half = torch.tensor([1.0, 0.0]).view(1, 1, 1, 1, 2)
    >>> solve(known(lambda y, s: 0 * y, clean, noise, half), noise, torch.tensor([1.0, 0.5, 0.0])).flatten()
    tensor([0., 3.])
    """

    def field(y: Tensor, s: float) -> Tensor:
        return ((noise - clean).to(y)).lerp(velocity(y, s), free.to(y))

    return field
