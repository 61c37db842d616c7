"""Do the intervals of the disentanglement scores hold what endless samples would score, and how wide are they?

    python benchmarks/intervals.py [--trials 20] [--metrics mig,med] [--codes rotated]

Codes of a thousand samples: six factors in dims of which two pairs are turned by 30 degrees, with noise, beside four
dims of noise; and codes that are noise altogether. The truth is the adjusted score of 60,000 samples of the same world,
and 0. A row says how often the interval holds it, and how wide it is beside the spread of the score over trials.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from latentlab.bench.flags import main
from latentlab.metrics.disentanglement import score
from latentlab.metrics.disentanglement.score import CORE

SIZES = (10, 10, 10, 8, 4, 15)  # values of the factors
TURN, NOISE, STRANGE = np.pi / 6, 0.3, 4


@dataclass(frozen=True)
class Config:
    """What to draw and to score.

    Args:
        trials: sets of samples.
        samples: of each.
        many: samples that stand for endless ones.
        null, bootstrap: as in `score`.
        metrics: names.
        codes: "rotated", "random".
    """

    trials: int = 20
    samples: int = 1000
    many: int = 60_000
    null: int = 20
    bootstrap: int = 100
    metrics: tuple[str, ...] = CORE
    codes: tuple[str, ...] = ("rotated", "random")


def run(config: Config) -> dict[str, Any]:
    """Coverage and width of the interval of every metric, on every kind of codes."""
    found: dict[str, Any] = {"config": asdict(config)}
    for kind in config.codes:
        draw = {"rotated": rotated, "random": random}[kind]
        truth = dict.fromkeys(config.metrics, 0.0)
        if kind == "rotated":
            table = score(*draw(config.many, 10**6), config.metrics, null=3, bootstrap=0, progress=False)
            truth = {name: float(s.adjusted or 0.0) for name, s in table.items()}
        options = {"null": config.null, "bootstrap": config.bootstrap, "progress": False}
        tables = [score(*draw(config.samples, seed), config.metrics, **options)
                  for seed in tqdm(range(config.trials), desc=kind)]  # fmt: skip
        found[kind] = {name: row([t[name] for t in tables], truth[name]) for name in config.metrics}
    return found


def row(scores: list[Any], truth: float) -> dict[str, float]:
    """Means over trials, the share of intervals that hold the truth, and their half-width / 1.96 over the spread."""
    low, high = np.array([s.ci for s in scores]).T
    adjusted = np.array([s.adjusted for s in scores])
    spread = float(adjusted.std(ddof=1))
    return {
        "truth": truth, "raw": float(np.mean([s.value for s in scores])), "adjusted": float(adjusted.mean()),
        "spread": spread, "coverage": float(((low <= truth) & (truth <= high)).mean()),
        "width": float((high - low).mean() / 2 / 1.96 / max(spread, 1e-12)),
    }  # fmt: skip


def rotated(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noisy factors, the first four mixed in pairs, and dims of noise."""
    rng = np.random.default_rng(seed)
    factors = np.stack([rng.integers(size, size=count) for size in SIZES], 1)
    codes = (factors - (np.array(SIZES) - 1) / 2) / np.sqrt((np.square(SIZES) - 1) / 12)
    turn = np.array([[np.cos(TURN), -np.sin(TURN)], [np.sin(TURN), np.cos(TURN)]])
    codes[:, :2], codes[:, 2:4] = codes[:, :2] @ turn, codes[:, 2:4] @ turn
    codes = codes + NOISE * rng.standard_normal(codes.shape)
    return np.concatenate([codes, rng.standard_normal((count, STRANGE))], 1), factors


def random(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Codes that know nothing."""
    rng = np.random.default_rng(seed)
    factors = np.stack([rng.integers(size, size=count) for size in SIZES], 1)
    return rng.standard_normal((count, len(SIZES) + STRANGE)), factors


def table(found: dict[str, dict[str, float]]) -> str:
    """As text, a line a metric."""
    columns = ("truth", "raw", "adjusted", "spread", "coverage", "width")
    lines = [" ".join([f"{'metric':<14}", *(f"{name:>9}" for name in columns)])]
    lines += [" ".join([f"{name:<14}", *(f"{r[c]:>9.4f}" for c in columns)]) for name, r in found.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    main(run, show=lambda found: "\n\n".join(f"{kind}\n{table(found[kind])}" for kind in found["config"]["codes"]))
