"""How long do the disentanglement metrics take? Six factors of 4 to 15 values, noisy codes, beside the bars.

python benchmarks/disentanglement_speed.py [--no-large]

Seconds are those of the clock, and of the processor where others use the machine too. One thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from latentlab.bench.flags import main
from latentlab.bench.timing import seconds_of
from latentlab.metrics import disentanglement as dis

SIZES = (10, 10, 10, 8, 4, 15)
BARS = {  # seconds
    "mig, 10,000 x 10": 0.02, "mig, 50,000 x 64": 0.6, "dci, 10,000 x 10": 4.0, "dci, 50,000 x 64": 150.0,
    "core, 10,000 x 10": 8.0, "core, 10,000 x 10, null 20, bootstrap 200": 60.0,
}  # fmt: skip

ALONE = True


@dataclass(frozen=True)
class Config:
    """What to time.

    Args:
        large: also DCI of 50,000 x 64, a minute or two.
    """

    large: bool = True
    repeats: int = 5
    seed: int = 0


def run(config: Config) -> dict[str, Any]:
    """Times every row and returns the figures."""
    small, large = (codes_and_factors(n, dims, config.seed) for n, dims in ((10_000, 10), (50_000, 64)))
    dis.score(*codes_and_factors(500, 7, config.seed), null=0, bootstrap=0, progress=False)  # imports
    quick, once = config.repeats, 1
    rows: dict[str, tuple[int, Callable[[], Any]]] = {
        "mig, 10,000 x 10": (quick, lambda: dis.mig(*small)),
        "mig, 50,000 x 64": (quick, lambda: dis.mig(*large)),
        "mig by neighbours, 10,000 x 10": (quick, lambda: dis.mig(*small, estimator="neighbours")),
        "dci, 10,000 x 10": (once, lambda: dis.dci(*small)),
        "core, 10,000 x 10": (once, lambda: dis.score(*small, null=0, bootstrap=0, progress=False)),
        "all, 10,000 x 10": (once, lambda: dis.score(*small, "all", null=0, bootstrap=0, progress=False)),
        "core, 10,000 x 10, null 20, bootstrap 200": (once, lambda: dis.score(*small)),
    }
    if config.large:
        rows["dci, 50,000 x 64"] = (once, lambda: dis.dci(*large))
    return {"seconds": {name: timed(*row) | bar(name) for name, row in rows.items()}}


def codes_and_factors(count: int, dims: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Each factor in a dim of its own, with noise, and dims of noise alone."""
    rng = np.random.default_rng(seed)
    factors = np.stack([rng.integers(size, size=count) for size in SIZES], 1)
    codes = (factors - factors.mean(0)) / factors.std(0) + 0.3 * rng.standard_normal(factors.shape)
    return np.concatenate([codes, rng.standard_normal((count, dims - len(SIZES)))], 1), factors


def timed(repeats: int, work: Callable[[], Any]) -> dict[str, float]:
    """The best of several times."""
    with threadpool_limits(1):
        taken = seconds_of(work, repeats)
    return {"clock": round(min(taken.clock), 4), "processor": round(min(taken.processor), 4)}


def bar(name: str) -> dict[str, float]:
    """The figure to stay under, where there is one."""
    return {"bar": BARS[name]} if name in BARS else {}


if __name__ == "__main__":
    main(run)
