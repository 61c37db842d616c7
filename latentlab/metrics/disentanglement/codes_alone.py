"""Codes with no factors beside them: what the metrics of their dependence look at."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from latentlab.metrics.disentanglement.prepare import active_dims, check_spread, codes_array
from latentlab.metrics.disentanglement.result import Evidence, Metric, Score, assess
from latentlab.metrics.disentanglement.rows import Groups, draw_rows, group_rows, shuffle


@dataclass(frozen=True, eq=False)
class CodesEvidence(Evidence):
    """Codes alone, `(sample, dim)`, constant dims left out; `spread` as in `prepare`."""

    codes: Float[np.ndarray, "sample dim"]
    spread: np.ndarray | None
    active: np.ndarray
    groups: Groups = None
    names: tuple[str, ...] = ()

    @property
    def covariance(self) -> Float[np.ndarray, "dim dim"]:
        """Of the means, and of what is drawn about them."""
        found = np.atleast_2d(np.cov(self.codes.T))
        return found if self.spread is None else found + np.diag((self.spread**2).mean(0))

    def permuted(self, rng: np.random.Generator) -> CodesEvidence:
        """Each dim from other samples: what codes of independent dims score with so few samples."""
        if self.groups is None:
            return replace(self, codes=rng.permuted(self.codes, axis=0))
        orders = [shuffle(len(self.codes), self.groups, rng)[1] for _ in self.codes.T]
        return replace(self, codes=np.stack([z[order] for z, order in zip(self.codes.T, orders, strict=True)], 1))

    def part(self, share: float, rng: np.random.Generator) -> CodesEvidence:
        """A share of the samples at random, whole groups of them."""
        rows = draw_rows(share, len(self.codes), self.groups, rng)
        groups = None if self.groups is None else np.unique(self.groups[rows], return_inverse=True)[1]
        spread = None if self.spread is None else self.spread[rows]
        return replace(self, codes=self.codes[rows], spread=spread, groups=groups)

    @property
    def settings(self) -> dict[str, Any]:
        """How the codes were read, for the record."""
        sampled = "mean" if self.spread is None else "sampled"
        return {
            "samples": len(self.codes),
            "dims": len(self.active),
            "active": int(self.active.sum()),
            "codes": sampled,
        }


def ask_codes(
    metric: Metric[CodesEvidence], codes: Any, spread: Any, null: int, bootstrap: int, groups: Any, seed: int
) -> Score:
    """One metric of codes alone.

    Raises:
        ValueError: codes that cannot be scored, or that never change.
    """
    z = codes_array(codes)
    active = active_dims(z, "constant")
    if not active.any():
        raise ValueError(f"all {z.shape[1]} dims are constant; there is nothing to correlate")
    drawn = check_spread(spread, z.shape)
    evidence = CodesEvidence(
        z[:, active], None if drawn is None else drawn[:, active], active, group_rows(groups, len(z))
    )
    return assess([metric], evidence, null=null, bootstrap=bootstrap, seed=seed)[metric.name]
