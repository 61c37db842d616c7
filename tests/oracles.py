"""Data with an exact flow, in the flow time of latentlab: `y = (1 - s) x + s n`, `v(y, s) = E[n - x | y]`."""

from __future__ import annotations

from dataclasses import dataclass

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
