"""InfoMEC: modularity, compactness and explicitness of information."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float

from latentlab.checks import clear_errors
from latentlab.metrics.disentanglement.call import ask_all
from latentlab.metrics.disentanglement.data import LABELLED, Data
from latentlab.metrics.disentanglement.explicitness import class_chances
from latentlab.metrics.disentanglement.result import Metric, Parts, Score


@clear_errors
def infomec(codes: Any, factors: Any, *, held_out: bool = True, **options: Any) -> tuple[Score, ...]:
    """InfoM, InfoC, InfoE (Hsu et al. 2023, section 5), from normalised information I / H by nearest neighbours.

    InfoM: the share of a dim's information that is on its best factor; InfoC: the share of a factor's that is in its
    best dim; both from 0 (even) to 1. InfoE: how far a linear model of all dims lowers the cross-entropy of a factor
    (the squared error of a continuous one). M and C are ratios: blind to how much is known, so noise scores 0.45 and
    0.35 (more with few samples or factors, as information below 0 is cut off and what is left stands alone), and dims
    that vary but tell nothing lower M though the code be perfect. E is blind to where the information is.

    Args:
        codes, factors, options: as in `mig`; `neighbours` is 10 as published. The paper leaves out dims of small range:
            `prune=0.05` does nearly that.
        held_out: judge InfoE on samples not learned from; False scores the training samples, as published.

    >>> factors = np.random.default_rng(0).integers(4, size=(500, 2))
    >>> modular, compact, explicit = infomec(factors, factors)
    >>> modular.value > 0.9, compact.value > 0.9
    (True, True)
    """
    return ask_all(INFOMEC if held_out else _three(held_out=False), codes, factors, **options)


def shares(data: Data) -> Float[np.ndarray, "unit factor"]:
    """I / H; of groups, what is read from them stands for distances between them."""
    information = data.information if data.blocks is not None else data.neighbour_information
    return information / data.entropy


def infom_of(data: Data) -> Parts:
    """Share of the best factor, of every dim that counts, 1 / K mapped to 0."""
    found = data.once(shares)
    scores = _share_of_best(found, found.shape[1])
    return Parts(float(scores.mean()) if found.any() else 0.0, None, scores, found)


def infoc_of(data: Data) -> Parts:
    """Share of the best dim, of every factor."""
    found = data.once(shares)
    scores = _share_of_best(found.T, len(found))
    return Parts(float(scores.mean()), scores, None, found)


def infoe_of(data: Data, *, held_out: bool = True) -> Parts:
    """1 - loss / loss of the best constant, of every factor."""
    learn, judge = data.split(0.5) if held_out else 2 * (np.arange(len(data.codes)),)
    scores = []
    for factor, labels, kind in zip(data.factors.T, data.labels, data.kinds, strict=True):
        if kind in LABELLED:
            scores.append(_explained_entropy(data.codes[learn], labels[learn], data.codes[judge], labels[judge]))
        else:
            scores.append(_explained_variance(data.codes[learn], factor[learn], data.codes[judge], factor[judge], kind))
    return Parts(float(np.mean(scores)), per_factor=np.array(scores))


def _share_of_best(information: np.ndarray, count: int) -> np.ndarray:
    total = information.sum(1)
    best = np.divide(information.max(1), total, out=np.full(len(total), 1 / max(count, 1)), where=total > 0)
    return (best - 1 / count) / (1 - 1 / count) if count > 1 else np.where(total > 0, 1.0, 0.0)


def _explained_entropy(codes: np.ndarray, y: np.ndarray, others: np.ndarray, truth: np.ndarray) -> float:
    classes, chances = class_chances(codes, y, others, penalty=1e-6, balanced=True)
    seen = np.isin(truth, classes)
    if len(classes) < 2 or not seen.any():
        return 0.0
    at = np.searchsorted(classes, truth[seen])
    weight = (1 / np.bincount(at, minlength=len(classes)).clip(1))[at]  # every class weighs the same, as in training
    loss = -np.average(np.log(chances[seen][np.arange(len(at)), at].clip(1e-12)), weights=weight)
    return max(0.0, float(1 - loss / np.log(len(classes))))


def _explained_variance(codes: np.ndarray, y: np.ndarray, others: np.ndarray, truth: np.ndarray, kind: str) -> float:
    def targets(f: np.ndarray) -> np.ndarray:
        angle = np.deg2rad(f)
        return np.stack([np.cos(angle), np.sin(angle)], 1) if kind == "circular" else f[:, None]

    mean, centre = targets(y).mean(0), codes.mean(0)
    weights = np.linalg.lstsq(codes - centre, targets(y) - mean)[0]
    error = ((targets(truth) - mean - (others - centre) @ weights) ** 2).sum()
    return max(0.0, float(1 - error / max(((targets(truth) - mean) ** 2).sum(), 1e-300)))


def _three(*, held_out: bool) -> tuple[Metric[Data], ...]:
    return (
        Metric("infom", infom_of, slow=True),
        Metric("infoc", infoc_of, slow=True),
        Metric("infoe", partial(infoe_of, held_out=held_out), slow=True, settings={"held_out": held_out}),
    )


INFOMEC = _three(held_out=True)
