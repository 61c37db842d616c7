"""Data with exact denoisers, in the flow time of latentlab: `y = (1 - s) x + s n`, `v(y, s) = E[n - x | y]`."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Gaussian:
    """Data N(mean, sd^2 I); the flow is an affine map, known in closed form."""

    mean: float = 1.0
    sd: float = 0.5

    def spread(self, s: float) -> float:
        """Standard deviation of y at flow time s."""
        return ((1 - s) ** 2 * self.sd**2 + s**2) ** 0.5

    def velocity(self, y: Tensor, s: float) -> Tensor:
        away = y - (1 - s) * self.mean
        return (s - (1 - s) * self.sd**2) / self.spread(s) ** 2 * away - self.mean

    def flow(self, y: Tensor, s: float, s_next: float) -> Tensor:
        """Where the exact flow carries `y` from s to s_next: standard scores are kept."""
        return (1 - s_next) * self.mean + self.spread(s_next) / self.spread(s) * (y - (1 - s) * self.mean)


@dataclass(frozen=True)
class GaussianMixture:
    """Data from a mixture of N(means[k], sds[k]^2 I) with probabilities `weights`."""

    means: Tensor  # (mode, dim)
    sds: Tensor  # (mode,)
    weights: Tensor  # (mode,)

    @staticmethod
    def random(modes: int, dim: int, *, seed: int = 0) -> GaussianMixture:
        generator = torch.Generator().manual_seed(seed)
        means = torch.randn(modes, dim, dtype=torch.float64, generator=generator)
        sds = 0.2 + 0.3 * torch.rand(modes, dtype=torch.float64, generator=generator)
        weights = torch.rand(modes, dtype=torch.float64, generator=generator) + 0.5
        return GaussianMixture(means, sds, weights / weights.sum())

    def draw(self, count: int, *, seed: int = 0) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        mode = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        noise = torch.randn(count, self.means.shape[1], dtype=self.means.dtype, generator=generator)
        return self.means[mode] + self.sds[mode, None] * noise

    def log_density(self, y: Tensor, s: float) -> Tensor:
        """Of y at flow time s, up to a constant."""
        return self._log_joint(y, s).logsumexp(1)

    def score(self, y: Tensor, s: float) -> Tensor:
        away, variance, share = self._parts(y, s)
        return -(share[..., None] * away / variance[:, None]).sum(1)

    def velocity(self, y: Tensor, s: float) -> Tensor:
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
