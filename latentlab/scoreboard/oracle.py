"""A generator whose factors are known functions of its codes: the yardstick of the direction finders."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from latentlab.factors import Factor, FactorTable
from latentlab.shapes import Codes, Factors


@dataclass(frozen=True)
class Oracle:
    """Codes `z ~ N(0, S)` that are read as factors `f = W m(z)`, one row w of W for each factor.

    The rows are unit vectors, all at the same angle to each other, so that factors leak into each other's normals; S
    has eigenvalues from 1 to `anisotropy` in a random basis. `m(z) = z + mix * R' tanh(R z)`, with R a random rotation,
    bends the space: the same move has another effect elsewhere.

    Args:
        dim: of the codes.
        count: of factors.
        cosine: between the normals of any two factors.
        anisotropy: largest over smallest variance of the codes.
        mix: 0 is linear.
        noise: standard deviation of the labels' error, in standard deviations of the factor; `read` has none.
        seed: of the world.

    >>> oracle = Oracle()
    >>> codes, factors = oracle.draw(100)
    >>> codes.shape, len(factors), factors.names[:2]
    (torch.Size([100, 64]), 100, ('factor0', 'factor1'))
    """

    dim: int = 64
    count: int = 6
    cosine: float = 0.4
    anisotropy: float = 30.0
    mix: float = 0.0
    noise: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        if not 2 <= self.count <= self.dim:
            raise ValueError(f"needs from 2 factors to as many as dims ({self.dim}), got {self.count}")
        if not -1 / (self.count - 1) < self.cosine < 1:
            raise ValueError(f"{self.count} vectors cannot all have the cosine {self.cosine} to each other")
        if not (self.anisotropy >= 1 and self.mix >= 0 and self.noise >= 0):
            raise ValueError(
                f"needs anisotropy >= 1, mix >= 0, noise >= 0; got {self.anisotropy}, {self.mix}, {self.noise}"
            )

    @cached_property
    def normals(self) -> np.ndarray:
        """W, `(factor, dim)`."""
        gram = np.full((self.count, self.count), self.cosine) + (1 - self.cosine) * np.eye(self.count)
        return np.linalg.cholesky(gram) @ self._rotation(0)[: self.count]

    @cached_property
    def covariance(self) -> np.ndarray:
        """S, `(dim, dim)`."""
        axes = self._rotation(1)
        return axes.T @ np.diag(np.geomspace(1, self.anisotropy, self.dim)) @ axes

    @cached_property
    def _turn(self) -> np.ndarray:
        """R."""
        return self._rotation(3)

    @property
    def specs(self) -> tuple[Factor, ...]:
        """The factors."""
        return tuple(Factor(f"factor{k}", "continuous", -np.inf, np.inf) for k in range(self.count))

    def draw(self, samples: int, *, seed: int = 0) -> tuple[Codes, FactorTable]:
        """Codes and their labels, which err by `noise`."""
        rng = np.random.default_rng([self.seed, 2, seed])
        codes = rng.multivariate_normal(np.zeros(self.dim), self.covariance, samples, method="cholesky")
        exact = self.read(torch.from_numpy(codes)).values
        return torch.from_numpy(codes), FactorTable(
            exact + self.noise * exact.std(0) * rng.standard_normal(exact.shape), self.specs
        )

    def read(self, codes: Codes) -> FactorTable:
        """The factors of codes, exactly."""
        return FactorTable(self.values(codes.double()).detach().cpu().numpy(), self.specs)

    def values(self, codes: Codes) -> Factors:
        """The same as a differentiable function."""
        turn, normals = (torch.as_tensor(x, dtype=codes.dtype, device=codes.device) for x in (self._turn, self.normals))
        return (codes + self.mix * torch.tanh(codes @ turn.T) @ turn) @ normals.T

    def truth(self, samples: int = 1000) -> np.ndarray:
        """The move that changes one factor and no other, likeliest under S, mean over codes; unit rows.

        At a code with the Jacobian J of the factors it is `S J' (J S J')^-1 e_k`.
        """
        z, turn, s = self.draw(samples if self.mix else 1, seed=1)[0].numpy(), self._turn, self.covariance
        bend = 1 - np.tanh(z @ turn.T) ** 2
        total = np.zeros((self.count, self.dim))
        for slope in bend:
            jacobian = self.normals + self.mix * (self.normals @ turn.T * slope) @ turn
            total += np.linalg.solve(jacobian @ s @ jacobian.T, jacobian @ s)
        return total / np.linalg.norm(total, axis=1, keepdims=True)

    def _rotation(self, which: int) -> np.ndarray:
        """A random rotation that belongs to this world."""
        return np.linalg.qr(np.random.default_rng([self.seed, 4, which]).standard_normal((self.dim, self.dim)))[0]
