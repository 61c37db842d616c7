"""Explicitness."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from latentlab.checks import clear_errors
from latentlab.metrics.disentanglement.call import ask
from latentlab.metrics.disentanglement.data import LABELLED, Data
from latentlab.metrics.disentanglement.result import Metric, Parts, Score


@clear_errors
def explicitness(codes: Any, factors: Any, **options: Any) -> Score:
    """Explicitness (Ridgeway & Mozer 2018, eq. 4): area under the ROC curve of logistic regressions on all dims.

    Trained on one half of the samples and scored on the other, mean over classes; 0.5 is chance. Continuous factors
    enter as five bins. Blind to where in the code the information is: rotated and duplicated codes lose nothing.
    Arguments as in `mig`.

    >>> factors = np.random.default_rng(0).integers(4, size=(500, 2))
    >>> explicitness(factors, factors).value > 0.95
    True
    """
    return ask(EXPLICITNESS, codes, factors, **options)


def explicitness_of(data: Data) -> Parts:
    """The mean area of every factor."""
    from scipy.stats import rankdata

    scores = []
    learn, judge = data.split(0.5)
    for labels, kind in zip(data.labels, data.kinds, strict=True):
        y = labels if kind in LABELLED else labels * 5 // (labels.max() + 1)
        classes, chance = class_chances(data.codes[learn], y[learn], data.codes[judge])
        areas = []
        for c, chances in zip(classes, chance.T, strict=True):
            of_class = y[judge] == c
            ones, zeros = int(of_class.sum()), int((~of_class).sum())
            if ones and zeros:  # the area is the rank sum of Mann and Whitney
                areas.append((rankdata(chances)[of_class].sum() - ones * (ones + 1) / 2) / (ones * zeros))
        scores.append(np.mean(areas) if areas else 0.5)
    return Parts(float(np.mean(scores)), per_factor=np.array(scores))


def class_chances(
    codes: np.ndarray, labels: np.ndarray, others: np.ndarray, *, penalty: float = 1.0, balanced: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Classes and their chances `(other, class)` by logistic regression on codes of unit variance."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    classes = np.unique(labels)
    moving = np.ptp(codes, axis=0) > 0
    if len(classes) < 2 or not moving.any():
        share = np.array([(labels == c).mean() for c in classes])
        return classes, np.tile(share, (len(others), 1))
    centre, scale = codes[:, moving].mean(0), codes[:, moving].std(0)
    weight = "balanced" if balanced else None
    model = LogisticRegression(C=1 / penalty if penalty else np.inf, max_iter=200, class_weight=weight)
    with warnings.catch_warnings():  # classes that a line tells apart have no finite best fit without a penalty
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit((codes[:, moving] - centre) / scale, labels)
    return model.classes_, model.predict_proba((others[:, moving] - centre) / scale)


EXPLICITNESS = Metric("explicitness", explicitness_of, slow=True)
