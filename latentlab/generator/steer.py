"""Sampling that also walks down an energy of the clip it is heading for."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from latentlab.generator.solver import Velocity
from latentlab.shapes import Latents

Energy = Callable[[Latents], Float[Tensor, ""]]


def steered(velocity: Velocity, energy: Energy, weight: float) -> Velocity:
    """The velocity field whose estimates of the clean latents lie lower in an energy.

    At flow time s the estimate is `x = y - s v(y, s)`; it is moved to `x - s weight dE/dx`, which is the velocity
    `v + weight dE/dx`. The gradient ends at the estimate and does not go through the network, as in manifold-preserving
    guidance (He et al. 2023, eq. 12): that costs no more than the energy itself.

    Args:
        velocity: of a generator, `generator.velocity(condition, guidance)`.
        energy: a number to be small, of clean latents `(batch, channel, frame, height, width)`, differentiable; for one
            that looks at pixels, decode inside it, with `generator.autoencoder.decode`.
        weight: how far an estimate moves along the gradient.

    Returns:
        A field for `solve`.

    Raises:
        ValueError: the energy is not one number, or does not depend on the latents.

    >>> from latentlab.generator.solver import solve
    >>> levels, noise = torch.linspace(1, 0, 26), torch.ones(1, 1, 1, 1, 1)
    >>> free = lambda y, s: y  # leads to 1 / e
    >>> lower = steered(free, lambda x: x.square().sum(), 1.0)
    >>> bool(solve(lower, noise, levels).abs() < 0.5 * solve(free, noise, levels).abs())
    True
    """

    def field(y: Tensor, s: float) -> Tensor:
        v = velocity(y, s)
        with torch.enable_grad():
            estimate = (y - s * v).detach().requires_grad_()
            value = energy(estimate)
            if value.dim() or not value.requires_grad:
                raise ValueError(
                    "an energy is one number that depends on the latents, "
                    f"got shape {tuple(value.shape)}{'' if value.requires_grad else ', without a gradient'}"
                )
            (slope,) = torch.autograd.grad(value, estimate)
        return torch.add(v, slope, alpha=weight)

    return field
