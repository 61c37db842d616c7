"""DCI-ES: how easily factors are read, and how large the code is."""

from __future__ import annotations

from typing import Any

import numpy as np

from latentlab.checks import clear_errors
from latentlab.metrics.disentanglement.call import ask_all
from latentlab.metrics.disentanglement.data import Data
from latentlab.metrics.disentanglement.groups import encode_factor
from latentlab.metrics.disentanglement.probe import SIZES, fourier_features, predict
from latentlab.metrics.disentanglement.result import Metric, Parts, Score


@clear_errors
def dci_es(codes: Any, factors: Any, **options: Any) -> tuple[Score, ...]:
    """E and S of DCI-ES (Eastwood et al. 2023, sections 4.1 and 4.2); D, C and I are those of `dci`.

    Probes of rising capacity, a linear one and ones with up to 512 random Fourier features, predict each factor from
    all dims; E = 1 - 2 * area under (loss - least loss) over the logarithm of their parameters, over the width times
    the loss of a constant. 1: the smallest probe does as well as any; 0: the loss falls in a straight line. Loss is the
    squared error on samples not learned from. S = K / dims that count: 1 is a code no larger than its factors (some
    code prints the reciprocal). E has no null level, and is blind to what no probe finds: a code that knows nothing
    loses nothing by a small probe and scores 1, so read `dci`'s informativeness beside it; it is blind to where in the
    code a factor is. S is blind to everything but the number of dims. Arguments as in `mig`.

    >>> factors = np.random.default_rng(0).integers(4, size=(500, 2))
    >>> explicit, size = dci_es(factors, factors)
    >>> size.value
    1.0
    """
    return ask_all(DCI_ES, codes, factors, **options)


def explicitness_of_probes(data: Data) -> Parts:
    """E of every factor from its curve of loss over capacity; `matrix` holds the curves, `(probe, factor)`."""
    learn, judge = data.split(0.5)
    targets = [encode_factor(*column) for column in zip(data.factors.T, data.labels, data.kinds, strict=True)]
    edges = np.cumsum([t.shape[1] for t in targets])[:-1]
    every = np.concatenate(targets, 1)
    dims = data.codes.shape[1]
    features = fourier_features(data.codes, SIZES[-1], np.random.default_rng(data.seed))
    losses = np.stack([_losses(features[:, : dims + size], every, learn, judge, edges) for size in SIZES])
    losses = np.minimum.accumulate(losses)  # a larger probe can always do as well
    capacity = np.log([dims + size for size in SIZES])
    area = np.trapezoid(losses - losses[-1], capacity, axis=0)
    scores = 1 - 2 * area / (capacity[-1] - capacity[0])
    return Parts(float(scores.mean()), scores, None, losses)


def size_of(data: Data) -> Parts:
    """K / dims that count."""
    return Parts(len(data.names) / len(data.units))


def _losses(
    features: np.ndarray, targets: np.ndarray, learn: np.ndarray, judge: np.ndarray, edges: np.ndarray
) -> np.ndarray:
    """Squared error of every factor over that of a constant, 1 at most."""
    error = (targets[judge] - predict(features, targets, learn, judge)) ** 2
    constant = (targets[judge] - targets[judge].mean(0)) ** 2
    parts = zip(np.split(error, edges, axis=1), np.split(constant, edges, axis=1), strict=True)
    return np.array([min(1.0, e.sum() / max(c.sum(), 1e-300)) for e, c in parts])


DCI_ES = (
    Metric("dci_e", explicitness_of_probes, slow=True, null=False, by_unit=False),
    Metric("dci_s", size_of, null=False),
)
