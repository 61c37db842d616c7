"""How accurately does `measure` read the factors back, from exact renders and from noisy ones?

python benchmarks/measure_accuracy.py
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from latentlab.data.moving.dataset import HELD_OUT_SEED, moving_shapes
from latentlab.data.moving.factors import SHAPES
from latentlab.data.moving.measure import angle_difference, measure
from latentlab.data.moving.render import POLYGONS
from latentlab.factors import FactorTable


@dataclass(frozen=True)
class Config:
    """Held-out clips; the noise is Gaussian, in 8-bit levels."""

    count: int = 512
    seed: int = HELD_OUT_SEED
    noise: tuple[float, ...] = (0.0, 4.0)


def run(config: Config) -> dict[str, dict[str, dict[str, float]]]:
    """For each noise level and factor: share of clips read, median and 95th-percentile absolute error."""
    video, factors = moving_shapes(config.count, config.seed)
    generator = torch.Generator().manual_seed(config.seed)
    results = {}
    for levels in config.noise:
        noise = torch.randn(video.shape, generator=generator) * (levels / 127.5)
        results[f"noise {levels:g}/255"] = compare(measure(video + noise), factors)
    return results


def compare(read: FactorTable, true: FactorTable) -> dict[str, dict[str, float]]:
    """Errors of each factor; for the shape, the share that is wrong. Blur counts where it smears half a pixel."""
    return {
        name: _errors(read[name], true[name], kind, _asked(true, name))
        for name, kind in zip(true.names, true.kinds, strict=True)
    }


def _errors(read: np.ndarray, true: np.ndarray, kind: str, asked: np.ndarray) -> dict[str, float]:
    error = np.abs(angle_difference(read, true) if kind == "circular" else read - true)
    known = error[asked & np.isfinite(error)]
    if kind == "categorical":
        return {"read": len(known) / asked.sum(), "wrong": float(np.mean(known > 0))}
    median, tail = np.quantile(known, [0.5, 0.95]) if len(known) else (np.nan, np.nan)
    return {"read": len(known) / asked.sum(), "median": float(median), "p95": float(tail)}


def _asked(true: FactorTable, name: str) -> np.ndarray:
    """Clips that show the factor at all."""
    if name == "rotation":
        return true["shape"] != 0
    if name != "blur":
        return np.ones(len(true), dtype=bool)
    reach = true["size"] * np.array([np.abs(POLYGONS[SHAPES[int(s)]]).max() for s in true["shape"]])
    return true["blur"] * (true["speed"] + np.abs(np.deg2rad(true["rotation"])) * reach) > 0.5


def main() -> None:
    for condition, errors in run(Config()).items():
        print(condition)
        for name, row in errors.items():
            print(f"  {name:15}" + "  ".join(f"{key} {value:.2g}" for key, value in row.items()))


if __name__ == "__main__":
    main()
