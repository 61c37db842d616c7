"""Disentanglement, completeness and informativeness of boosted trees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float

from latentlab.checks import clear_errors
from latentlab.metrics.disentanglement.call import ask_all
from latentlab.metrics.disentanglement.counts import assign_bins, cut_in_gaps, entropy, mutual_information
from latentlab.metrics.disentanglement.data import LABELLED, Data
from latentlab.metrics.disentanglement.prepare import hold_out, prepare
from latentlab.metrics.disentanglement.result import Metric, Parts, Score, assess

COPY = 1 - 1e-6  # correlation from which two dims are copies of each other
ALIKE = 0.5  # share of a dim's entropy that another one tells, from which trees may take one for the other
ORDERS = 4  # of the dims, at most, that trees grow on
LEVELS = 255  # that a tree sees of a dim
TREES: dict[str, Any] = {
    "max_iter": 40, "max_depth": 3, "learning_rate": 0.2, "min_samples_leaf": 1, "early_stopping": False
}  # fmt: skip
SMALL = 1_000_000  # codes below which trees grow on one thread
Found = tuple[Float[np.ndarray, "unit factor"], Float[np.ndarray, " factor"]]  # gains, and how well factors are told


@clear_errors
def dci(codes: Any, factors: Any, *, test: tuple[Any, Any] | None = None, **options: Any) -> tuple[Score, ...]:
    """DCI (Eastwood & Williams 2018, section 2): disentanglement, completeness, informativeness.

    D: whether a dim serves one factor, C: whether a factor is served by one dim, both weighted by importance; I:
    accuracy (R2 for continuous and circular factors) on samples not learned from. Importances are gains of boosted
    histogram trees, 40 rounds at rate 0.2, which stand for the 100 exact ones at rate 0.1 of disentanglement_lib. D and
    C are blind to how well a factor is known (noise is shared out as knowledge is) and to the scale of dims: one of
    tiny variance is a full dim. They depend on the numbers of dims and factors; compare like with like.

    Args:
        codes, factors, options: as in `mig`.
        test: codes and factors to judge informativeness on; without it, a fifth of the samples, left out of training.

    >>> factors = np.random.default_rng(0).integers(4, size=(500, 2))
    >>> disentanglement, completeness, informativeness = dci(factors, factors)
    >>> disentanglement.value > 0.95, completeness.value > 0.95, informativeness.value > 0.95
    (True, True, True)
    """
    if test is None:
        return ask_all(DCI, codes, factors, **options)
    chance = {name: options.pop(name) for name in ("null", "bootstrap") if name in options}
    data = prepare(codes, factors, **options)
    held_out = hold_out(data, test)

    def judged(data: Data) -> Found:
        return forests(data, held_out)

    return tuple(assess(_three(judged), data, seed=options.get("seed", 0), **chance).values())


def _three(find: Callable[[Data], Found]) -> tuple[Metric[Data], ...]:
    """The scores of one set of forests."""

    def disentanglement(data: Data) -> Parts:
        matrix, _ = data.once(find)
        value, per_dim = weighted_disentanglement(matrix)
        return Parts(value, None, per_dim, matrix)

    def completeness(data: Data) -> Parts:
        matrix, _ = data.once(find)
        value, per_factor = weighted_disentanglement(matrix.T)
        return Parts(value, per_factor, None, matrix)

    def informativeness(data: Data) -> Parts:
        matrix, accuracy = data.once(find)
        return Parts(float(accuracy.mean()), accuracy, None, matrix)

    trees = {"trees": "histogram gradient boosting, 40 rounds at rate 0.2, depth 3, gain"}
    named = ("dci_d", disentanglement), ("dci_c", completeness), ("dci_i", informativeness)
    return tuple(Metric(name, of, slow=True, settings=trees) for name, of in named)


def weighted_disentanglement(importance: Float[np.ndarray, "dim factor"]) -> tuple[float, np.ndarray]:
    """sum_j rho_j D_j, D_j = 1 - H_K(R_j), rho_j the dim's share of all importance (section 2)."""
    if importance.sum() <= 0:
        return 0.0, np.zeros(len(importance))
    rows = (importance + 1e-11) / (importance + 1e-11).sum(1, keepdims=True)
    scores = 1 + (rows * np.log(rows)).sum(1) / np.log(max(2, importance.shape[1]))
    return float((scores * importance.sum(1) / importance.sum()).sum()), scores


def held_out_forests(data: Data) -> Found:
    """`forests` that learn from four fifths and are judged on the rest."""
    learn, judge = data.split(0.8)
    return forests(data._rows(learn, learn), data._rows(judge, judge))


def forests(data: Data, test: Data) -> Found:
    """Gain of each unit in trees that predict each factor, columns summing to 1; and how well they predict `test`.

    Of dims that would split a node equally well a tree takes the first. So the dims stand in an order of their own,
    whatever order they are given in, and trees grow on as many orders as there are dims that may stand for each other,
    up to four, each of them first in one. Copies of a dim share their gain equally.
    """
    from threadpoolctl import threadpool_limits

    codes, others = _levels(data.codes, test.codes)
    orders = _orders(codes)
    gains, accuracy = np.zeros((codes.shape[1], len(data.names))), np.zeros(len(data.names))
    # Threads that wait for each other at every split of a small tree cost many times what they save.
    with threadpool_limits(1 if data.codes.size < SMALL else None):
        for k, kind in enumerate(data.kinds):
            for order in orders:
                columns = codes[:, order], data.factors[:, k], others[:, order], test.factors[:, k]
                gain, right = _gains(*columns, kind)
                gains[order, k] += gain / len(orders)
                accuracy[k] += right / len(orders)
    found = _share_copies(data.codes, gains)
    return np.stack([found[dims].sum(0) for dims in data.units]), accuracy


def _levels(codes: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Codes, and others by the same edges, as the levels that a tree sees of them, cut in gaps where there are any: two
    dims that tell values apart equally well do so to a tree as well."""
    found = [np.empty(z.shape) for z in (codes, others)]
    for j, column in enumerate(codes.T):
        edges = cut_in_gaps(np.sort(column), LEVELS)
        for z, levels in zip((codes, others), found, strict=True):
            levels[:, j] = np.searchsorted(edges, z[:, j], side="right")
    return found[0], found[1]


def _orders(levels: np.ndarray) -> list[np.ndarray]:
    """Orders of the dims that do not depend on how they are given, in which dims that are alike take turns."""
    first = np.lexsort(levels[::-1])  # by the first sample, then the second, ...
    coarse = assign_bins(levels[:, first].T, 20, "quantile")
    share = np.zeros((len(first), len(first)))
    for j, row in enumerate(coarse):
        share[:, j] = mutual_information(coarse, row) / max(entropy(np.bincount(row)), 1e-12)
    alike = np.maximum(share, share.T) > ALIKE
    np.fill_diagonal(alike, True)
    count = min(ORDERS, int(alike.sum(0).max()))
    rank = np.array([alike[j, :j].sum() for j in range(len(first))])  # of a dim among those like it
    return [first[np.lexsort([np.arange(len(first)), (rank + turn) % count])] for turn in range(count)]


def _share_copies(codes: np.ndarray, gains: np.ndarray) -> np.ndarray:
    at = np.flatnonzero(codes.std(0) > 0)
    if len(at) < 2:
        return gains
    alike = np.eye(len(gains))
    alike[np.ix_(at, at)] = np.abs(np.corrcoef(codes[:, at].T)) > COPY
    return alike @ gains / alike.sum(1, keepdims=True)


def _gains(
    codes: np.ndarray, factor: np.ndarray, test_codes: np.ndarray, test_factor: np.ndarray, kind: str
) -> tuple[np.ndarray, float]:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    if len(np.unique(factor)) < 2:
        return np.zeros(codes.shape[1]), 1.0  # a small half may hold one value alone
    if kind in LABELLED:  # a classifier takes no fractions, as ordinal factors have
        values = np.unique(np.concatenate([factor, test_factor]))
        factor, test_factor = np.searchsorted(values, factor), np.searchsorted(values, test_factor)
    angle = kind == "circular"
    radians = np.deg2rad(factor), np.deg2rad(test_factor)
    pairs = [(np.cos(radians[0]), np.cos(radians[1])), (np.sin(radians[0]), np.sin(radians[1]))]
    gain, right = np.zeros(codes.shape[1]), []
    for target, truth in pairs if angle else [(factor, test_factor)]:
        machine = HistGradientBoostingClassifier if kind in LABELLED else HistGradientBoostingRegressor
        model = machine(**TREES, random_state=0).fit(codes, target)
        right.append(max(0.0, float(model.score(test_codes, truth))))
        own = np.zeros_like(gain)
        # scikit-learn publishes no gains of its histogram trees; a test holds these against permutation importance.
        for stage in model._predictors:
            for tree in stage:
                nodes = tree.nodes[tree.nodes["is_leaf"] == 0]
                np.add.at(own, nodes["feature_idx"], nodes["gain"])
        gain += own / max(own.sum(), 1e-300)
    return gain / len(right), float(np.mean(right))


DCI = _three(held_out_forests)
