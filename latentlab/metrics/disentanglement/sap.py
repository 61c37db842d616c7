"""Separated attribute predictability."""

from __future__ import annotations

from typing import Any

import numpy as np

from latentlab.checks import clear_errors
from latentlab.metrics.disentanglement.call import ask
from latentlab.metrics.disentanglement.counts import bin_by
from latentlab.metrics.disentanglement.data import LABELLED, Data
from latentlab.metrics.disentanglement.groups import encode_factor, predict_folds
from latentlab.metrics.disentanglement.mig import top_two
from latentlab.metrics.disentanglement.prepare import hold_out, prepare
from latentlab.metrics.disentanglement.result import Metric, Parts, Score, assess


@clear_errors
def sap(codes: Any, factors: Any, *, test: tuple[Any, Any] | None = None, **options: Any) -> Score:
    """SAP (Kumar et al. 2018): how much better the best dim predicts a factor than the second best.

    By squared correlation; for categorical factors the share of a dim's variance between values (the correlation
    ratio; with parity the squared correlation of their numbers), for circular ones the multiple correlation with (cos,
    sin). With `test=(codes, factors)` as published for labels: accuracy there of linear support vector machines on one
    dim; these, one against the rest, cannot pick out a middle class of a line, so a perfect code of ten values scores
    0.19. Blind to what is not linear, to a factor well coded in two dims (0) and to what dims hold only together. Other
    arguments as in `mig`.

    >>> factors = np.random.default_rng(0).integers(4, size=(500, 2))
    >>> mixed = factors @ [[0.8, -0.6], [0.6, 0.8]]
    >>> sap(factors, factors).value > 0.8 > sap(mixed, factors).value
    True
    """
    if test is None:
        return ask(SAP, codes, factors, **options)
    chance = {name: options.pop(name) for name in ("null", "bootstrap") if name in options}
    data = prepare(codes, factors, **options)
    held_out = hold_out(data, test)
    columns = zip(data.factors.T, data.labels, held_out.factors.T, data.kinds, strict=True)
    truth = np.stack([_labels_as(*column) for column in columns])

    def accuracy(data: Data) -> Parts:
        return sap_svm_of(data, held_out.codes, truth)

    svm = Metric("sap_svm", accuracy, slow=True)
    return assess([svm], data, seed=options.get("seed", 0), **chance)[svm.name]


def sap_of(data: Data) -> Parts:
    """The gap of every factor in explained variance."""
    kinds = len(data.kinds) * ("ordinal",) if data.parity else data.kinds  # that library reads numbers here
    columns = zip(data.factors.T, data.labels, kinds, strict=True)
    centred = data.codes - data.codes.mean(0)
    total = np.maximum((centred**2).sum(0), 1e-300)
    scores = np.stack([_explained(data, centred, total, *column) for column in columns], 1)
    return _gap(np.where(_varies(data)[:, None], scores, 0.0))


def sap_svm_of(data: Data, codes: np.ndarray, truth: np.ndarray) -> Parts:
    """The gap of every factor in accuracy on other codes, `truth` their labels `(factor, sample)`."""
    from sklearn.svm import LinearSVC

    scores = np.zeros((len(data.units), len(data.names)))
    for j, k in np.ndindex(*scores.shape):
        model = LinearSVC(C=0.01, class_weight="balanced", random_state=0)
        model.fit(data.codes[:, data.units[j]], data.labels[k])
        scores[j, k] = np.mean(model.predict(codes[:, data.units[j]]) == truth[k])
    return _gap(scores)


def _labels_as(factor: np.ndarray, labels: np.ndarray, other: np.ndarray, kind: str) -> np.ndarray:
    """Labels of other values of a factor, by the values and edges of the first; -1 for a category not seen there."""
    lowest = np.array([factor[labels == label].min() for label in range(int(labels.max()) + 1)])
    found = bin_by(other, lowest[1:])
    return np.where(lowest[found] == other, found, -1) if kind in LABELLED else found


def _gap(scores: np.ndarray) -> Parts:
    first, second = top_two(scores)
    return Parts(float((first - second).mean()), first - second, None, scores)


def _varies(data: Data) -> np.ndarray:
    deviates = data.codes.var(0) > (1e-12 if data.parity else 0.0)  # that library's idea of a constant
    return np.array([deviates[dims].any() for dims in data.units])


def _explained(
    data: Data, centred: np.ndarray, total: np.ndarray, factor: np.ndarray, labels: np.ndarray, kind: str
) -> np.ndarray:
    """Share of each dim's variance that a factor explains."""
    if data.blocks is not None:
        return np.array([_predicted(data, dims, factor, labels, kind) for dims in data.units])
    if kind in ("categorical", "circular"):
        design = encode_factor(factor, labels, kind)
        if kind == "categorical":
            counts = design.sum(0)
            return ((design.T @ centred) ** 2 / np.maximum(counts, 1)[:, None]).sum(0) / total
        design = np.linalg.qr(design - design.mean(0))[0]
        return ((design.T @ centred) ** 2).sum(0) / total
    f = factor - factor.mean()
    return (f @ centred) ** 2 / (total * max(f @ f, 1e-300))


def _predicted(data: Data, dims: np.ndarray, factor: np.ndarray, labels: np.ndarray, kind: str) -> float:
    """The same of a group: of categories, the share of the variance of predicted scores that lies between them, else
    the share of the factor's variance that is predicted, each sample by a fit without it."""
    target = encode_factor(factor, labels, kind)
    told = predict_folds(data.codes[:, dims], target, data.groups)
    if kind == "categorical":
        told = told - told.mean(0)
        between = ((target.T @ told) ** 2 / np.maximum(target.sum(0), 1)[:, None]).sum()
        return float(between / max((told**2).sum(), 1e-300))
    return max(0.0, float(1 - ((target - told) ** 2).sum() / ((target - target.mean(0)) ** 2).sum()))


SAP = Metric("sap", sap_of)
