"""Regressors of rising capacity: linear, then with random Fourier features (Rahimi & Recht 2007)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from latentlab.metrics.disentanglement.groups import ridge

SIZES = (0, 4, 8, 16, 32, 64, 128, 256, 512)  # Fourier features beside the dims themselves
SCALES = (0.5, 1.0, 2.0, 4.0)  # frequencies, in waves of a dim's standard deviation: broad and fine


def fourier_features(
    codes: Float[np.ndarray, "sample dim"], count: int, rng: np.random.Generator
) -> Float[np.ndarray, "sample feature"]:
    """The dims, of unit variance, and `count` cosines of random directions; each looks at few dims, as factors do."""
    deviation = codes.std(0)
    x = (codes - codes.mean(0)) / np.where(deviation > 0, deviation, 1.0)
    if not count:
        return x
    dims = x.shape[1]
    looks = rng.random((dims, count)) < 1 / dims
    looks[rng.integers(dims, size=count), np.arange(count)] = True
    directions = rng.standard_normal((dims, count)) * looks * rng.choice(SCALES, count)
    return np.concatenate([x, np.sqrt(2) * np.cos(x @ directions + rng.uniform(0, 2 * np.pi, count))], 1)


def predict(
    features: Float[np.ndarray, "sample feature"],
    targets: Float[np.ndarray, "sample target"],
    learn: np.ndarray,
    judge: np.ndarray,
) -> Float[np.ndarray, "other target"]:
    """Targets of the rows `judge` by ridge regression on the rows `learn`."""
    return ridge(features[learn], targets[learn], features[judge])
