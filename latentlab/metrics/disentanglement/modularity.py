"""Modularity."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from latentlab.checks import clear_errors
from latentlab.metrics.disentanglement.call import ask
from latentlab.metrics.disentanglement.data import Data
from latentlab.metrics.disentanglement.result import Metric, Parts, Score


@clear_errors
def modularity(codes: Any, factors: Any, **options: Any) -> Score:
    """Modularity (Ridgeway & Mozer 2018, eq. 2): whether a dim tells of one factor only.

    mean_j 1 - sum_{k != k*} I_jk^2 / (I_jk*^2 (K - 1)). Pure noise scores about 0.66, so read the adjusted value. Blind
    to how much a dim tells, to factors that no dim tells of and to factors coded many times. Arguments as in `mig`.

    >>> factors = np.random.default_rng(0).integers(4, size=(500, 2))
    >>> mixed = factors @ [[0.8, -0.6], [0.6, 0.8]]
    >>> modularity(factors, factors).value > 0.8 > modularity(mixed, factors).value
    True
    """
    return ask(MODULARITY, codes, factors, **options)


def modularity_of(data: Data) -> Parts:
    """The score of every dim; one that tells nothing at all scores 0."""
    scores = modularities(data.information)
    if data.corrected and data.told.any():  # a dim that tells of nothing has the level of chance, not its own score
        scores = np.where(data.told.any(1), scores, modularities(data.pattern).mean())
    elif data.corrected:
        scores = modularities(data.counted)
    return Parts(float(scores.mean()), None, scores, data.information)


def modularities(information: Float[np.ndarray, "*order unit factor"]) -> Float[np.ndarray, "*order unit"]:
    """The score of each row, 0 for one of zeros."""
    squares = information**2
    best = squares.max(-1)
    others = (squares.sum(-1) - best) / max(1, squares.shape[-1] - 1)
    return np.where(best > 0, 1 - others / np.where(best > 0, best, 1), 0.0)


MODULARITY = Metric("modularity", modularity_of, counts=True, conditional=True)
