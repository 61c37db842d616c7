"""Metrics that predict factors from codes: SAP, DCI, explicitness."""

from __future__ import annotations

import numpy as np

from latentlab.metrics.disentanglement.data import Data
from latentlab.metrics.disentanglement.information import weighted_disentanglement
from latentlab.metrics.disentanglement.result import Parts

LABELLED = ("categorical", "ordinal")
COPY = 1 - 1e-6  # correlation from which two dims are copies of each other


def sap(data: Data) -> Parts:
    """Separated attribute predictability (Kumar et al. 2018) with squared correlations: best dim less second best.

    Categorical and circular factors use the share of a dim's variance between values (the correlation ratio) and the
    multiple correlation with (cos, sin). Blind to what is not linear, for ordinal and continuous factors.
    """
    scores = np.stack([_explained(data.codes, f, k) for f, k in zip(data.factors.T, data.kinds, strict=True)], 1)
    scores = np.where((data.codes.var(0) > 1e-12)[:, None], scores, 0.0)
    return Parts(*_gap(scores), None, scores)


def sap_svm(data: Data, test: Data) -> Parts:
    """SAP as published for labels: accuracy on `test` of a linear support vector machine on one dim.

    One-against-the-rest machines on a line cannot pick out a middle class, so a perfect code scores 0.19 with ten
    classes; compare only between codes of the same data.
    """
    from sklearn.svm import LinearSVC

    scores = np.zeros((data.codes.shape[1], len(data.labels)))
    for j, k in np.ndindex(*scores.shape):
        model = LinearSVC(C=0.01, class_weight="balanced", random_state=0)
        model.fit(data.codes[:, j, None], data.labels[k])
        scores[j, k] = np.mean(model.predict(test.codes[:, j, None]) == test.labels[k])
    return Parts(*_gap(scores), None, scores)


def importances(data: Data) -> np.ndarray:
    """Gain of each dim in boosted trees that predict each factor, `(dim, factor)`, columns summing to 1.

    Histogram trees stand for the exact ones of the original (Eastwood & Williams 2018 as in disentanglement_lib): 100
    rounds, depth 3. Copies of a dim share their gain equally; trees would give all of it to the first.
    """
    columns = [_gains(data.codes, f, kind) for f, kind in zip(data.factors.T, data.kinds, strict=True)]
    found = np.stack(columns, 1)
    moving = data.codes[:, data.codes.std(0) > 0]
    if moving.shape[1] > 1:
        alike = np.zeros((len(found), len(found)))
        at = np.flatnonzero(data.codes.std(0) > 0)
        alike[np.ix_(at, at)] = np.abs(np.corrcoef(moving.T)) > COPY
        np.fill_diagonal(alike, 1)
        found = alike @ found / alike.sum(1, keepdims=True)
    return found


def dci(data: Data) -> tuple[Parts, Parts]:
    """Disentanglement and completeness (Eastwood & Williams 2018, section 2) of boosted trees.

    D: whether a dim serves one factor; C: whether a factor is served by one dim. Both weighted by importance.
    """
    matrix = importances(data)
    d, per_dim = weighted_disentanglement(matrix)
    c, per_factor = weighted_disentanglement(matrix.T)
    return Parts(d, None, per_dim, matrix), Parts(c, per_factor, None, matrix)


def explicitness(data: Data) -> Parts:
    """Explicitness (Ridgeway & Mozer 2018, eq. 4): area under the ROC curve of logistic regressions on all dims.

    Trained on one half of the samples and scored on the other, mean over classes; 0.5 is chance. Continuous factors
    enter as five bins. Blind to where in the code the information is.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    codes = data.codes[:, data.codes.std(0) > 0]
    codes = (codes - codes.mean(0)) / codes.std(0)
    half, scores = len(codes) // 2, []
    for labels, kind in zip(data.labels, data.kinds, strict=True):
        y = labels if kind in LABELLED else labels * 5 // (labels.max() + 1)
        model = LogisticRegression(max_iter=200).fit(codes[:half], y[:half])
        seen = np.isin(y[half:], model.classes_)
        chance, truth = model.predict_proba(codes[half:])[seen], y[half:][seen]
        split = [(i, truth == c) for i, c in enumerate(model.classes_) if 0 < (truth == c).mean() < 1]
        areas = [roc_auc_score(is_it, chance[:, i]) for i, is_it in split]
        scores.append(np.mean(areas) if areas else 0.5)
    return Parts(float(np.mean(scores)), per_factor=np.array(scores))


def irs(data: Data, *, quantile: float = 0.99) -> Parts:
    """Interventional robustness (Suter et al. 2019): how still a dim stays while all factors but its own change.

    1 - mean over the values of a factor of the 99 % quantile of |z - E[z | value]|, over the largest |z - E z|; the
    best factor of each dim, dims weighted by that largest deviation. Noise scores 0.4.
    """
    deviation = np.abs(data.codes - data.codes.mean(0)).max(0)
    scores = np.zeros((data.codes.shape[1], len(data.labels)))
    for k, labels in enumerate(data.labels):
        spread = []
        for value in np.unique(labels):
            rows = data.codes[labels == value]
            spread.append(np.quantile(np.abs(rows - rows.mean(0)), quantile, axis=0))
        scores[:, k] = 1 - np.divide(np.mean(spread, 0), deviation, out=np.ones_like(deviation), where=deviation > 0)
    best = scores.max(1)
    value = float(np.average(best, weights=deviation)) if deviation.sum() > 0 else 0.0
    return Parts(value, per_dim=best, matrix=scores)


def _gap(scores: np.ndarray) -> tuple[float, np.ndarray]:
    padded = scores if len(scores) > 1 else np.concatenate([scores, np.zeros_like(scores)])
    ranked = -np.sort(-padded, axis=0)
    gaps = ranked[0] - ranked[1]
    return float(gaps.mean()), gaps


def _explained(codes: np.ndarray, factor: np.ndarray, kind: str) -> np.ndarray:
    """Share of each dim's variance that a factor explains."""
    centred = codes - codes.mean(0)
    total = np.maximum((centred**2).sum(0), 1e-300)
    if kind == "categorical":
        groups = [centred[factor == value] for value in np.unique(factor)]
        return sum(len(g) * g.mean(0) ** 2 for g in groups) / total
    if kind == "circular":
        radians = np.deg2rad(factor)
        design = np.stack([np.cos(radians), np.sin(radians)], 1)
        design = np.linalg.qr(design - design.mean(0))[0]
        return ((design.T @ centred) ** 2).sum(0) / total
    f = factor - factor.mean()
    return (f @ centred) ** 2 / (total * (f @ f))


def _gains(codes: np.ndarray, factor: np.ndarray, kind: str) -> np.ndarray:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    options = {"max_iter": 100, "max_depth": 3, "learning_rate": 0.1, "min_samples_leaf": 1, "early_stopping": False}
    if kind in LABELLED:
        models = [HistGradientBoostingClassifier(**options, random_state=0).fit(codes, factor)]
    elif kind == "circular":
        targets = np.cos(np.deg2rad(factor)), np.sin(np.deg2rad(factor))
        models = [HistGradientBoostingRegressor(**options, random_state=0).fit(codes, t) for t in targets]
    else:
        models = [HistGradientBoostingRegressor(**options, random_state=0).fit(codes, factor)]
    gain = np.zeros(codes.shape[1])
    for model in models:
        own = np.zeros_like(gain)
        # scikit-learn publishes no gains of its histogram trees; a test holds these against permutation importance.
        for stage in model._predictors:
            for tree in stage:
                nodes = tree.nodes[tree.nodes["is_leaf"] == 0]
                np.add.at(own, nodes["feature_idx"], nodes["gain"])
        gain += own / max(own.sum(), 1e-300)
    return gain / len(models)
