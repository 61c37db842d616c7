"""The beta-VAE score."""

from __future__ import annotations

from typing import Any

import numpy as np

from latentlab.checks import clear_errors
from latentlab.metrics.disentanglement.call import ask
from latentlab.metrics.disentanglement.data import Data
from latentlab.metrics.disentanglement.explicitness import class_chances
from latentlab.metrics.disentanglement.factor_vae import BATCH, JUDGE, LEARN, draw_alike
from latentlab.metrics.disentanglement.result import Metric, Parts, Score


@clear_errors
def beta_vae(codes: Any, factors: Any, **options: Any) -> Score:
    """beta-VAE score (Higgins et al. 2017, section 3): can a linear classifier tell which factor pairs have in common?

    From the mean of |z_1 - z_2| over 64 pairs of samples that share the value of one factor; accuracy on pairs from
    samples not learned from. Chance is 1 / K. Blind to rotation (0.97 for a rotated code), to noise and to copies: any
    code that holds the factors in linear form scores high. Arguments as in `mig`.

    >>> factors = np.random.default_rng(0).integers(4, size=(500, 2))
    >>> beta_vae(factors, factors).value > 0.95
    True
    """
    return ask(BETA_VAE, codes, factors, **options)


def beta_vae_of(data: Data) -> Parts:
    """Accuracy of the classifier, `per_factor` for each factor."""
    rng = np.random.default_rng(data.seed)
    learn, judge = data.split(0.5)
    (x, y), (other_x, other_y) = (_differences(data, rows, n, rng) for rows, n in ((learn, LEARN), (judge, JUDGE)))
    classes, chances = class_chances(x, y, other_x)
    right = classes[chances.argmax(1)] == other_y
    per_factor = [right[other_y == k].mean() if (other_y == k).any() else 0.0 for k in range(len(data.names))]
    return Parts(float(right.mean()), np.array(per_factor))


def _differences(data: Data, rows: np.ndarray, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Mean absolute differences of batches of pairs, and the factor that each batch shares."""
    codes, shared = data.codes[rows], rng.integers(len(data.names), size=count)
    found = np.zeros((count, codes.shape[1]))
    for k, labels in enumerate(data.labels[:, rows]):
        at = np.flatnonzero(shared == k)
        for part in np.array_split(at, max(1, len(at) * BATCH * codes.shape[1] // 4_000_000)):
            one = rng.integers(len(rows), size=len(part) * BATCH)
            two = draw_alike(labels, labels[one], 1, rng)[:, 0]
            found[part] = np.abs(codes[one] - codes[two]).reshape(len(part), BATCH, -1).mean(1)
    return found, shared


BETA_VAE = Metric("beta_vae", beta_vae_of, slow=True, settings={"batch": BATCH, "batches": (LEARN, JUDGE)})
