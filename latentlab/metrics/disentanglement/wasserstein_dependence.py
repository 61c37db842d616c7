"""Wasserstein dependence of the dims of a code, no factors needed."""

from __future__ import annotations

from typing import Any

import numpy as np

from latentlab.checks import Seed, clear_errors
from latentlab.metrics.disentanglement.codes_alone import CodesEvidence, ask_codes
from latentlab.metrics.disentanglement.result import Metric, Parts, Score


@clear_errors
def wasserstein_dependence(
    codes: Any, *, spread: Any = None, null: int = 0, bootstrap: int = 0, groups: Any = None, seed: Seed = 0
) -> Score:
    """Squared Wasserstein distance of the Gaussian that fits the codes from the one of the same variances and no
    correlation (Xiao & Wang 2019; Locatello et al. 2019, section 5.2), over the total variance.

    (2 tr S - 2 tr (D^1/2 S D^1/2)^1/2) / tr S with D the diagonal of S, by eigenvalues, so a singular S is no problem.
    0 for uncorrelated dims. Lower is better; arguments and blindness as in `total_correlation`, and dims of small
    variance hardly count.

    >>> codes = np.random.default_rng(0).standard_normal((500, 2))
    >>> apart, together = codes, codes @ [[1, 0.9], [0, 0.4]]
    >>> wasserstein_dependence(apart).value < 0.01 < wasserstein_dependence(together).value
    True
    """
    return ask_codes(WASSERSTEIN_DEPENDENCE, codes, spread, null, bootstrap, groups, seed)


def wasserstein_dependence_of(codes: CodesEvidence) -> Parts:
    """With tr (D^1/2 S D^1/2)^1/2 as the sum of square roots of eigenvalues."""
    s = codes.covariance
    deviation = np.sqrt(np.diag(s))
    roots = np.sqrt(np.maximum(np.linalg.eigvalsh(s * np.outer(deviation, deviation)), 0))
    return Parts(max(0.0, float(2 - 2 * roots.sum() / np.trace(s))), matrix=s)


WASSERSTEIN_DEPENDENCE = Metric("wasserstein_dependence", wasserstein_dependence_of, bounded=False)
