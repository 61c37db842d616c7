"""Codes whose directions are known in closed form."""

from __future__ import annotations

import numpy as np


class LinearGaussian:
    """Codes N(0, S) and factors `f = W z` plus noise: the effect direction of factor k is S W^T (W S W^T)^-1 e_k.

    Args:
        dim: of the codes.
        factors: how many.
        anisotropy: largest over smallest standard deviation of the codes.
        cosine: of any two rows of W.
        noise: of the labels, in standard deviations of the factor.
        seed: of S and W.
    """

    def __init__(self, dim=64, factors=6, anisotropy=30.0, cosine=0.4, noise=0.2, seed=0) -> None:
        rng = np.random.default_rng(seed)
        turn = np.linalg.qr(rng.standard_normal((dim, dim)))[0]
        self.root = turn * np.geomspace(1, anisotropy, dim) / anisotropy**0.5
        axes = np.linalg.qr(rng.standard_normal((dim, factors)))[0].T
        self.weights = np.linalg.cholesky((1 - cosine) * np.eye(factors) + cosine) @ axes
        self.covariance = self.root @ self.root.T
        self.spread = np.sqrt(np.diag(self.weights @ self.covariance @ self.weights.T))
        self.noise = noise

    def draw(self, samples: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Codes and noisy factors."""
        rng = np.random.default_rng([seed, 1])
        codes = rng.standard_normal((samples, len(self.root))) @ self.root.T
        factors = codes @ self.weights.T
        return codes, factors + self.noise * self.spread * rng.standard_normal(factors.shape)

    def leakage(self, directions: np.ndarray) -> float:
        """Mean change of the other factors over that of the target, each in its standard deviations."""
        moved = np.abs(directions @ self.weights.T / self.spread)
        target = np.diag(moved)
        return float(((moved.sum(1) - target) / target).mean() / (len(moved) - 1))
