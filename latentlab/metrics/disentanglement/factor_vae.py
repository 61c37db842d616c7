"""The FactorVAE score."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from latentlab.checks import clear_errors
from latentlab.metrics.disentanglement.call import ask
from latentlab.metrics.disentanglement.data import Data
from latentlab.metrics.disentanglement.result import Metric, Parts, Score

BATCH, LEARN, JUDGE = 64, 10_000, 5_000  # samples a vote, votes to learn from and to judge on (Locatello et al. 2019)


@clear_errors
def factor_vae(codes: Any, factors: Any, **options: Any) -> Score:
    """FactorVAE score (Kim & Mnih 2018, section 4): does the stillest dim of a batch tell which factor was held?

    A batch of 64 samples shares the value of one factor; the dim of least variance, over its variance among all
    samples, votes for that factor; accuracy of the majority's rule. Rule and accuracy come from different halves of the
    samples. Chance is 1 / K. Blind to noise in the dims, to factors coded many times and to what else a dim tells: it
    is 1 for many codes that are not disentangled. Continuous factors are held to a bin. Arguments as in `mig`.

    >>> factors = np.random.default_rng(0).integers(4, size=(500, 2))
    >>> factor_vae(factors, factors).value > 0.95
    True
    """
    return ask(FACTOR_VAE, codes, factors, **options)


def factor_vae_of(data: Data) -> Parts:
    """Accuracy of the majority vote; `per_factor` its accuracy for each factor, `matrix` the share of votes."""
    rng = np.random.default_rng(data.seed)
    learn, judge = data.split(0.5)
    whole = np.where(np.ptp(data.codes, axis=0) > 0, data.codes.var(0), 0.0)
    votes = [_votes(data, rows, whole, count, rng) for rows, count in ((learn, LEARN), (judge, JUDGE))]
    rule = votes[0].argmax(1)  # the factor that each unit stands for
    hits = np.array([votes[1][rule == k, k].sum() for k in range(len(data.names))])
    cast = np.maximum(votes[1].sum(0), 1)
    return Parts(float(hits.sum() / votes[1].sum()), hits / cast, None, votes[1] / cast)


def _votes(
    data: Data, rows: np.ndarray, whole: np.ndarray, count: int, rng: np.random.Generator
) -> Int[np.ndarray, "unit factor"]:
    """How often each unit was the stillest while each factor was held."""
    codes, variance = data.codes[rows], np.where(whole > 0, whole, 1.0)
    held = rng.integers(len(data.names), size=count)
    votes = np.zeros((len(data.units), len(data.names)), dtype=int)
    for k, labels in enumerate(data.labels[:, rows]):
        first = rng.integers(len(rows), size=int((held == k).sum()))
        for batch in np.array_split(first, max(1, len(first) * BATCH * codes.shape[1] // 4_000_000)):
            still = codes[draw_alike(labels, labels[batch], BATCH, rng)].var(1) / variance
            votes[:, k] += np.bincount(_stillest(data, still, whole), minlength=len(votes))
    return votes


def _stillest(data: Data, still: Float[np.ndarray, "batch dim"], whole: np.ndarray) -> np.ndarray:
    """The unit of least variance; of a group, the mean over its dims that move."""
    still = np.where(whole > 0, still, np.nan)
    if data.blocks is not None:
        mean = [np.nanmean(still[:, dims], axis=1) if (whole[dims] > 0).any() else still[:, dims[0]]
                for dims in data.units]  # fmt: skip
        still = np.stack(mean, 1)
    return np.where(np.isnan(still), np.inf, still).argmin(1)


def draw_alike(
    labels: Int[np.ndarray, " sample"], values: Int[np.ndarray, " draw"], count: int, rng: np.random.Generator
) -> Int[np.ndarray, "draw count"]:
    """For each value `count` samples that have it, with replacement."""
    order = np.argsort(labels, kind="stable")
    counts = np.bincount(labels)
    start = np.cumsum(counts) - counts
    places = (rng.random((len(values), count)) * counts[values][:, None]).astype(int)
    return order[start[values][:, None] + places]


FACTOR_VAE = Metric("factor_vae", factor_vae_of, slow=True, settings={"batch": BATCH, "votes": (LEARN, JUDGE)})
