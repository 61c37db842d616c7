"""Metrics of the matrix of mutual information between dims and factors.

All are blind to what several dims hold only together, and to a code that is right but rotated.
"""

from __future__ import annotations

import numpy as np

from latentlab.metrics.disentanglement.data import Data, _entropy
from latentlab.metrics.disentanglement.result import Parts


def mig(data: Data) -> Parts:
    """Mutual information gap (Chen et al. 2018, eq. 6): how far the best dim of a factor is ahead of the second best.

    mean_k (I_(1)k - I_(2)k) / H_k. Blind to a factor that is well coded in two dims: it scores 0 there.
    """
    ranked = -np.sort(-_two_rows(data.information), axis=0)
    gaps = (ranked[0] - ranked[1]) / data.entropy
    return Parts(float(gaps.mean()), per_factor=gaps, matrix=data.information)


def mig_sup(data: Data) -> Parts:
    """The gap seen from the dims (Li et al. 2020): how far a dim's best factor is ahead of its second best.

    mean_j (I_j(1) - I_j(2)), each divided by its factor's entropy. Blind to a factor that is coded twice.
    """
    share = data.information / data.entropy
    ranked = -np.sort(-_two_rows(share.T), axis=0)
    gaps = ranked[0] - ranked[1]
    return Parts(_mean(gaps, data.active), per_dim=gaps, matrix=data.information)


def dci_mig(data: Data) -> Parts:
    """DCIMIG (Sepliarskaia et al. 2019): each factor gets the largest gap among the dims that prefer it.

    sum_k max_j (I_j(1) - I_j(2)) / sum_k H_k over dims j whose best factor is k. A single number for both directions;
    duplicates do not hurt it.
    """
    information = data.information
    ranked = -np.sort(-_two_rows(information.T), axis=0)
    gaps, best = ranked[0] - ranked[1], information.argmax(1)
    per_factor = np.array([gaps[best == k].max(initial=0.0) for k in range(information.shape[1])])
    return Parts(float(per_factor.sum() / data.entropy.sum()), per_factor / data.entropy, gaps, information)


def jemmig(data: Data) -> Parts:
    """JEMMIG (Do & Tran 2020, eq. 8), scaled to [0, 1]: the gap, less what the best dim holds besides the factor.

    mean_k 1 - (H(f_k, z_j*) - I_(1)k + I_(2)k) / (H_k + log bins).
    """
    ranked = -np.sort(-_two_rows(data.information), axis=0)
    best = data.information.argmax(0)
    own = np.array([_entropy(np.bincount(data.binned_codes[j])) for j in best])
    joint = own + data.entropy - ranked[0]
    scores = 1 - (joint - ranked[0] + ranked[1]) / (data.entropy + np.log(data.bins))
    return Parts(float(scores.mean()), per_factor=scores, matrix=data.information)


def modularity(data: Data) -> Parts:
    """Modularity (Ridgeway & Mozer 2018, eq. 2): whether a dim tells of one factor only.

    mean_j 1 - sum_{k != k*} I_jk^2 / (I_jk*^2 (K - 1)). Pure noise scores about 0.66, so read the adjusted value.
    """
    squares = data.information**2
    best = squares.max(1)
    others = squares.sum(1) - best
    count = max(1, squares.shape[1] - 1)
    scores = np.where(best > 0, 1 - others / np.where(best > 0, best, 1) / count, 0.0)
    return Parts(_mean(scores, data.active), per_dim=scores, matrix=data.information)


def med(data: Data) -> Parts:
    """MED (Cao et al. 2022): DCI's disentanglement with mutual information, per factor, as the importance."""
    share = data.information / np.maximum(data.information.sum(0), 1e-12)
    return Parts(weighted_disentanglement(share)[0], per_dim=weighted_disentanglement(share)[1], matrix=share)


def weighted_disentanglement(importance: np.ndarray) -> tuple[float, np.ndarray]:
    """sum_j rho_j D_j, D_j = 1 - H_K(R_j), rho_j the dim's share of all importance (Eastwood & Williams 2018)."""
    if importance.sum() <= 0:
        return 0.0, np.zeros(len(importance))
    rows = (importance + 1e-11) / (importance + 1e-11).sum(1, keepdims=True)
    scores = 1 + (rows * np.log(rows)).sum(1) / np.log(importance.shape[1])
    return float((scores * importance.sum(1) / importance.sum()).sum()), scores


def _two_rows(matrix: np.ndarray) -> np.ndarray:
    """With a row of zeros added where there is one alone, so that a runner-up exists."""
    return matrix if len(matrix) > 1 else np.concatenate([matrix, np.zeros_like(matrix)])


def _mean(scores: np.ndarray, active: np.ndarray) -> float:
    return float(scores[active].mean()) if active.any() else 0.0
