"""What do the finders cost and leak, where the truth is known?

    python benchmarks/direction_finders.py

1. Leakage on linear-Gaussian codes with planted factors: pairwise cosine 0.4, anisotropy 30, 64 dims, 1,000 labels.
2. Seconds of `Effect.fit` on 10,000 x 4,096 codes and 12 factors: of the clock, and of the processor.
3. Top five directions of a small network's Jacobian against those of the whole matrix, with the products it took.

What caption pairs do is asked by `caption_directions.py`, the model's spaces by `directions.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from latentlab.bench.flags import main
from latentlab.bench.spread import mean
from latentlab.bench.timing import seconds_of
from latentlab.directions import (
    LDA,
    Dual,
    Effect,
    JacobianSVD,
    LogisticNormal,
    MeanDifference,
    RidgeNormal,
    SVMNormal,
)

ALONE = True


@dataclass(frozen=True)
class Config:
    """What to measure."""

    seeds: int = 5


def run(config: Config) -> dict[str, Any]:
    """All figures."""
    return {"leakage": leakages(config.seeds), "effect_fit": effect_seconds(), "jacobian": jacobian()}


def leakages(seeds: int) -> dict[str, dict[str, Any]]:
    """Mean and largest leakage of each finder over seeds; bar 0.02 for Effect."""
    makers: dict[str, Callable[..., Any]] = {"Effect": Effect, "Dual": Dual}
    plain = (RidgeNormal, LogisticNormal, SVMNormal, LDA, MeanDifference)
    rows: dict[str, list[float]] = {}
    for seed in range(seeds):
        codes, factors, leak = oracle(seed)
        finders = {name: maker(folds=0, permutations=0) for name, maker in makers.items()}
        for maker in plain:
            for held in (False, True):
                name = maker.__name__ + ", conditional" * held
                finders[name] = maker(folds=0, permutations=0, conditional=held)
        for name, finder in finders.items():
            rows.setdefault(name, []).append(leak(finder.fit(codes, factors).directions_))
    return {name: {"mean": mean(row), "largest": round(max(row), 4)} for name, row in rows.items()}


def oracle(seed: int, dim: int = 64, count: int = 6) -> tuple[np.ndarray, np.ndarray, Callable[[np.ndarray], float]]:
    """Codes N(0, S), noisy factors W z, and the leakage of directions under W; S has standard deviations 1 to 30."""
    rng = np.random.default_rng(seed)
    root = np.linalg.qr(rng.standard_normal((dim, dim)))[0] * np.geomspace(1, 30, dim)
    axes = np.linalg.qr(rng.standard_normal((dim, count)))[0].T
    weights = np.linalg.cholesky(0.6 * np.eye(count) + 0.4) @ axes
    spread = np.linalg.norm(weights @ root, axis=1)
    codes = rng.standard_normal((1000, dim)) @ root.T
    factors = codes @ weights.T + 0.2 * spread * rng.standard_normal((1000, count))

    def leak(directions: np.ndarray) -> float:
        moved = np.abs(directions @ weights.T / spread)
        return float(((moved.sum(1) / np.diag(moved) - 1) / (count - 1)).mean())

    return codes, factors, leak


def effect_seconds() -> dict[str, float]:
    """Bar: 2 seconds on two cores."""
    rng = np.random.default_rng(0)
    factors = rng.standard_normal((10_000, 12))
    noise = rng.standard_normal((10_000, 4096))
    codes = (factors @ rng.standard_normal((12, 4096)) + noise).astype(np.float32)
    taken = seconds_of(lambda: Effect().fit(codes, factors), 4)
    return {"clock": round(min(taken.clock), 2), "processor": round(min(taken.processor), 2)}


def jacobian() -> dict[str, float]:
    """Bar: absolute cosine 0.99 with at most 100 products, a tenth of 100 subspace iterations of five vectors."""
    smallest, products = 1.0, 0
    for seed in range(5):
        torch.manual_seed(seed)
        for network in (
            nn.Sequential(
                nn.Unflatten(1, (4, 8, 8)), nn.Conv2d(4, 16, 3, padding=1), nn.SiLU(), nn.Conv2d(16, 4, 3, padding=1)
            ),
            nn.Sequential(nn.Linear(256, 128), nn.SiLU(), nn.Linear(128, 64)),
        ):
            at = torch.randn(1, 256)
            whole = torch.autograd.functional.jacobian(lambda z, f=network: f(z[None])[0], at[0], vectorize=True)
            axes = torch.linalg.svd(whole.flatten(0, -2).double())[2][:5].numpy()
            found = JacobianSVD(function=network).fit(at.repeat(2, 1))
            smallest = min(smallest, float(abs((found.directions_ * axes).sum(1)).min()))
            products = max(products, found.products_)
    return {"smallest_cosine": round(smallest, 5), "products": products}


if __name__ == "__main__":
    main(run)
