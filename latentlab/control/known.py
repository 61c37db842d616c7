"""Latents that are known: a generator draws the others so that they fit."""

from __future__ import annotations

from torch import Tensor

from latentlab.directions.mask import Mask
from latentlab.generator.solver import Velocity
from latentlab.shapes import Latents, Noise


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
