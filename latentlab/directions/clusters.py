"""Directions between clusters of codes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal, Self

import numpy as np

from latentlab.checks import Count, Seed, clear_errors
from latentlab.directions.direction_set import DirectionSet
from latentlab.directions.finder import Finder
from latentlab.directions.unsupervised import made_by


@dataclass(kw_only=True, eq=False, repr=False)
class Clusters(Finder):
    """Centres of clusters: from the mean of all to each, and the axes between each two.

    Args:
        count: clusters.
        method: "kmeans", or "mixture" of Gaussians with spreads along the dims.
        random_state: of the start.

    Attributes:
        centres_: `(cluster, dim)`.
        labels_: cluster of each sample.

    >>> codes = np.repeat([[0.0, 0.0], [4.0, 0.0]], 20, axis=0)
    >>> sorted(Clusters(count=2).fit(codes).names_)
    ['cluster0', 'cluster0-cluster1', 'cluster1']
    """

    count: Count = 4
    method: Literal["kmeans", "mixture"] = "kmeans"
    random_state: Seed = 0

    @clear_errors
    def fit(self, codes: Any, y: Any = None) -> Self:
        """Learns the directions from codes `(sample, dim)`; y is ignored."""
        del y
        from sklearn.cluster import KMeans
        from sklearn.mixture import GaussianMixture

        codes = self._codes(codes)
        count = min(self.count, len(np.unique(codes, axis=0)))
        if count < 2 <= self.count:
            raise ValueError("all codes are equal; there is nothing to find")
        if self.method == "kmeans":
            kmeans: Any = KMeans
            model = kmeans(count, n_init=4, random_state=self.random_state).fit(codes)
            centres, self.labels_ = model.cluster_centers_, model.labels_
        elif self.method == "mixture":
            mixture: Any = GaussianMixture
            model = mixture(count, covariance_type="diag", random_state=self.random_state).fit(codes)
            centres, self.labels_ = model.means_, model.predict(codes)
        else:
            raise ValueError(f"unknown method {self.method!r}; there are 'kmeans' and 'mixture'")
        self.centres_ = np.asarray(centres, dtype=np.float64)
        effects = dict(zip([f"cluster{i}" for i in range(count)], self.centres_ - codes.mean(0), strict=True))
        for i, j in combinations(range(count), 2):
            effects[f"cluster{i}-cluster{j}"] = self.centres_[j] - self.centres_[i]
        vectors = np.stack(list(effects.values()))
        return self._keep(DirectionSet.measured(list(effects), vectors, codes, provenance=made_by(self, codes)))
