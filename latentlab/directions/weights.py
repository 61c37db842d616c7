"""Directions that the weights of a network amplify most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy import linalg

from latentlab.checks import as_numbers, clear_errors
from latentlab.directions.direction_set import DirectionSet
from latentlab.directions.finder import Finder
from latentlab.directions.unsupervised import check_count, made_by, upright


@dataclass(kw_only=True, eq=False, repr=False)
class WeightSVD(Finder):
    """SeFa (Shen & Zhou 2021): the codes' directions that the first layers amplify most, from their weights alone.

    The right singular vectors of all layers' weights on top of each other, every output of unit weight. The codes
    given to `fit` only say how far one standard deviation is.

    Args:
        weights: of one layer, `(output, dim)`, or of several; None stands for the identity.
        count: directions.

    Attributes:
        gain_: singular value of each direction.

    >>> layer = np.array([[3.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> WeightSVD(weights=layer, count=1).fit(np.eye(2))["sefa0"].vector
    array([1., 0.])
    """

    weights: Any = None
    count: int = 10

    @clear_errors
    def fit(self, codes: Any, y: Any = None) -> Self:
        """Learns the directions; codes `(sample, dim)` give their scale, y is ignored."""
        del y
        codes = self._codes(codes)
        layers = self.weights if isinstance(self.weights, list | tuple) else [self.weights]
        layers = [np.eye(codes.shape[1]) if w is None else as_numbers("weights", w).astype(np.float64) for w in layers]
        for layer in layers:
            if layer.ndim != 2 or layer.shape[1] != codes.shape[1]:
                raise ValueError(f"weights must be (output, {codes.shape[1]}) for these codes, got {layer.shape}")
        if not layers:
            raise ValueError("at least one matrix of weights is needed, got none")
        stacked = np.concatenate(layers)
        if not np.isfinite(stacked).all():
            raise ValueError("weights hold NaN or infinity")
        check_count(self.count)
        length = np.linalg.norm(stacked, axis=1, keepdims=True)
        stacked = np.divide(stacked, length, out=np.zeros_like(stacked), where=length > 0)
        count = min(self.count, codes.shape[1])
        dim = codes.shape[1]
        squares, axes = linalg.eigh(stacked.T @ stacked, subset_by_index=[dim - count, dim - 1])  # ascending, sorted
        self.gain_ = np.sqrt(np.maximum(squares[::-1], 0))
        names = [f"sefa{i}" for i in range(count)]
        vectors = upright(axes.T[::-1])
        return self._keep(DirectionSet.measured(names, vectors, codes, provenance=made_by(self, codes)))
