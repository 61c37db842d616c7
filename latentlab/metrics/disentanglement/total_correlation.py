"""Total correlation of the dims of a code, no factors needed."""

from __future__ import annotations

from typing import Any

import numpy as np

from latentlab.checks import Seed, clear_errors
from latentlab.metrics.disentanglement.codes_alone import CodesEvidence, ask_codes
from latentlab.metrics.disentanglement.result import Metric, Parts, Score

SINGULAR = 1e-12  # an eigenvalue of the correlation matrix below which a dim is a function of others


@clear_errors
def total_correlation(
    codes: Any, *, spread: Any = None, null: int = 0, bootstrap: int = 0, groups: Any = None, seed: Seed = 0
) -> Score:
    """Total correlation of the Gaussian that fits the codes (Locatello et al. 2019, section 5.2), in nats.

    (sum_j log S_jj - log det S) / 2: 0 for dims that are uncorrelated, infinite where one is a function of others. Of
    the codes as given, or of codes drawn with `spread`: a VAE's means may be correlated where its samples are not, so
    say which. Lower is better, and there is no best value to adjust towards: `null` is what independent dims score.
    Blind to any dependence that is not linear, and to factors altogether: noise scores 0, as does a rotation of white
    codes.

    Args:
        codes: `(sample, dim)`; constant dims are left out.
        spread: standard deviations of codes that are drawn, `(sample, dim)`.
        null, bootstrap, groups, seed: as in `score`.

    >>> x = np.random.default_rng(0).standard_normal((2000, 2))
    >>> correlated = np.stack([x[:, 0], 0.6 * x[:, 0] + 0.8 * x[:, 1]], 1)  # -log(1 - 0.6^2) / 2 = 0.223
    >>> round(total_correlation(correlated).value, 1)
    0.2
    """
    return ask_codes(TOTAL_CORRELATION, codes, spread, null, bootstrap, groups, seed)


def total_correlation_of(codes: CodesEvidence) -> Parts:
    """From the eigenvalues of the correlation matrix: -sum log lambda / 2."""
    deviation = np.sqrt(np.diag(codes.covariance))
    correlation = codes.covariance / np.outer(deviation, deviation)
    values = np.linalg.eigvalsh(correlation)
    value = np.inf if values[0] < SINGULAR else max(0.0, float(-np.log(values).sum() / 2))
    return Parts(value, matrix=correlation)


TOTAL_CORRELATION = Metric("total_correlation", total_correlation_of, bounded=False, settings={"unit": "nats"})
