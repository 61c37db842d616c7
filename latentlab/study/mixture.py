"""Data whose flow is known exactly: a mixture of Gaussians, the yardstick of solvers and of paths through noise."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from latentlab.checks import Count, Seed, clear_errors
from latentlab.generator.levels import sampling_levels
from latentlab.generator.solver import solve
from latentlab.shapes import in_a_line


@clear_errors
@dataclass(frozen=True)
class GaussianMixture:
    """Data from a mixture of N(means[k], sds[k]^2 I) with probabilities `weights`, with its exact denoiser.

    In flow time: `y = (1 - s) x + s n` and `velocity(y, s) = E[n - x | y]`.

    >>> mixture = GaussianMixture.random(modes=4, dim=8)
    >>> mixture.velocity(torch.zeros(1, 8, dtype=torch.float64), 0.5).shape
    torch.Size([1, 8])
    """

    means: Float[Tensor, "mode dim"]
    sds: Float[Tensor, " mode"]
    weights: Float[Tensor, " mode"]

    __repr__ = in_a_line

    @staticmethod
    @clear_errors
    def random(modes: Count, dim: Count, *, seed: Seed = 0) -> GaussianMixture:
        """Means drawn from N(0, I), spreads from 0.2 to 0.5, modes not equally likely."""
        generator = torch.Generator().manual_seed(seed)
        means = torch.randn(modes, dim, dtype=torch.float64, generator=generator)
        sds = 0.2 + 0.3 * torch.rand(modes, dtype=torch.float64, generator=generator)
        weights = torch.rand(modes, dtype=torch.float64, generator=generator) + 0.5
        return GaussianMixture(means, sds, weights / weights.sum())

    @clear_errors
    def draw(self, count: Count, *, seed: Seed = 0) -> Float[Tensor, "sample dim"]:
        """Samples of the data."""
        generator = torch.Generator().manual_seed(seed)
        mode = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        noise = torch.randn(count, self.means.shape[1], dtype=self.means.dtype, generator=generator)
        return self.means[mode] + self.sds[mode, None] * noise

    @clear_errors
    def decode(self, noise: Float[Tensor, "sample dim"], *, num_steps: int = 60) -> Float[Tensor, "sample dim"]:
        """The data that the flow makes of noise."""
        return solve(self.velocity, noise, sampling_levels(num_steps), method="midpoint")

    @clear_errors
    def spread(self, data: Float[Tensor, "sample dim"]) -> Float[Tensor, " sample"]:
        """Distance of each point from its nearest mode, root mean square over dims, in that mode's sd: 1 is data.

        Below lies too near the mode's middle, above 1.5 between the modes.
        """
        away = torch.cdist(data, self.means) / (self.sds * self.means.shape[1] ** 0.5)
        return away.amin(1)

    @clear_errors
    def log_density(self, y: Tensor, s: float) -> Tensor:
        """Of y at flow time s, up to a constant."""
        return self._log_joint(y, s).logsumexp(1)

    @clear_errors
    def score(self, y: Tensor, s: float) -> Tensor:
        """Gradient of `log_density`."""
        away, variance, share = self._parts(y, s)
        return -(share[..., None] * away / variance[:, None]).sum(1)

    @clear_errors
    def velocity(self, y: Tensor, s: float) -> Tensor:
        """What an ideal denoiser predicts, E[n - x | y]."""
        away, variance, share = self._parts(y, s)
        slope = (s - (1 - s) * self.sds**2) / variance
        return (share[..., None] * (slope[:, None] * away - self.means)).sum(1)

    def _parts(self, y: Tensor, s: float) -> tuple[Tensor, Tensor, Tensor]:
        variance = (1 - s) ** 2 * self.sds**2 + s**2
        return y[:, None] - (1 - s) * self.means, variance, self._log_joint(y, s).softmax(1)

    def _log_joint(self, y: Tensor, s: float) -> Tensor:
        variance = (1 - s) ** 2 * self.sds**2 + s**2
        distance = (y[:, None] - (1 - s) * self.means).square().sum(2)
        return self.weights.log() - 0.5 * distance / variance - 0.5 * y.shape[1] * variance.log()
