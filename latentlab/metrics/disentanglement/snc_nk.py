"""Single-neuron classification and neuron knockout."""

from __future__ import annotations

from typing import Any

import numpy as np

from latentlab.checks import clear_errors
from latentlab.metrics.disentanglement.call import ask_all
from latentlab.metrics.disentanglement.counts import assign_bins
from latentlab.metrics.disentanglement.data import Data
from latentlab.metrics.disentanglement.probe import SIZES, fourier_features, predict
from latentlab.metrics.disentanglement.result import Metric, Parts, Score


@clear_errors
def snc_nk(codes: Any, factors: Any, **options: Any) -> tuple[Score, ...]:
    """SNC and NK (Mahon et al. 2023): is each factor in one dim of its own, and only there?

    Factors get different dims, so that the accuracies of all add up to the most (Kuhn & Munkres). SNC: the accuracy
    with which that dim alone, cut into as many bins as the factor has values (at its quantiles or evenly, whichever
    serves), tells the value, each bin standing for one value. NK: by how much a probe of all dims (random Fourier
    features) gets worse at the factor when that dim is taken away: low where a second encoding hides in the rest, which
    gaps do not see if it is spread out. SNC is blind to such copies, and hard on a value that two stretches of the dim
    stand for; NK is blind to how well the factor is known, so a code that knows nothing scores 0 as a copied one does.
    Continuous factors enter as bins. Arguments as in `mig`.

    >>> factors = np.random.default_rng(0).integers(4, size=(500, 2))
    >>> alone, missed = snc_nk(factors, factors)
    >>> alone.value > 0.95
    True
    """
    return ask_all(SNC_NK, codes, factors, **options)


def match_units(data: Data) -> tuple[np.ndarray, np.ndarray]:
    """Accuracy of each unit for each factor, and the unit of each factor, -1 where there are too few units."""
    from scipy.optimize import linear_sum_assignment

    accuracy = np.zeros((len(data.units), len(data.names)))
    for k, labels in enumerate(data.labels):
        count = int(labels.max()) + 1
        for j in range(len(data.units)):
            for told in _cut(data, j, k, count):
                joint = np.bincount(told * count + labels, minlength=count**2).reshape(-1, count)
                rows, columns = linear_sum_assignment(-joint)
                accuracy[j, k] = max(accuracy[j, k], joint[rows, columns].sum() / len(labels))
    units, factors = linear_sum_assignment(-accuracy)
    of_factor = np.full(len(data.names), -1)
    of_factor[factors] = units
    return accuracy, of_factor


def _cut(data: Data, unit: int, factor: int, count: int) -> list[np.ndarray]:
    if data.blocks is not None:
        told = data.readings[unit, factor]
        return [told * count // max(count, int(told.max()) + 1)]
    values = data.codes[:, data.units[unit]].T
    return [assign_bins(values, count, binning)[0] for binning in ("quantile", "width")]


def snc_of(data: Data) -> Parts:
    """Accuracy of the unit of each factor; 0 for factors that get none."""
    accuracy, unit = data.once(match_units)
    scores = np.where(unit >= 0, accuracy[unit, np.arange(len(unit))], 0.0)
    return Parts(float(scores.mean()), scores, None, accuracy)


def nk_of(data: Data) -> Parts:
    """Drop of accuracy without the unit of each factor."""
    _, unit = data.once(match_units)
    learn, judge = data.split(0.5)

    def accuracies(dims: np.ndarray, chosen: list[int]) -> np.ndarray:
        if not len(dims):
            return np.array([np.bincount(data.labels[k]).max() / len(data.codes) for k in chosen])
        features = fourier_features(data.codes[:, dims], SIZES[-1], np.random.default_rng(data.seed))
        every = [np.eye(int(data.labels[k].max()) + 1)[data.labels[k]] for k in chosen]
        told = predict(features, np.concatenate(every, 1), learn, judge)
        parts = np.split(told, np.cumsum([e.shape[1] for e in every])[:-1], axis=1)
        return np.array([(p.argmax(1) == data.labels[k][judge]).mean() for p, k in zip(parts, chosen, strict=True)])

    dims = np.concatenate(data.units)
    whole = accuracies(dims, [*range(len(unit))])
    scores = np.zeros(len(unit))
    for k in np.flatnonzero(unit >= 0):
        scores[k] = max(0.0, whole[k] - accuracies(np.setdiff1d(dims, data.units[unit[k]]), [int(k)])[0])
    return Parts(float(scores.mean()), scores)


SNC_NK = (Metric("snc", snc_of, slow=True), Metric("nk", nk_of, slow=True))
