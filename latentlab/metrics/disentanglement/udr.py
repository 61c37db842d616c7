"""Unsupervised disentanglement ranking: do models that differ by their seed agree?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from latentlab.checks import Seed, clear_errors
from latentlab.factors import as_array
from latentlab.metrics.disentanglement.prepare import active_dims, codes_array
from latentlab.metrics.disentanglement.result import Evidence, Metric, Parts, Score, assess
from latentlab.metrics.disentanglement.rows import Groups, draw_rows, group_rows, shuffle

PENALTY = 0.1  # of the lasso, as published


@dataclass(frozen=True, eq=False)
class Models(Evidence):
    """Codes `(sample, dim)` of the same samples by several models, dims that tell nothing left out."""

    codes: tuple[Float[np.ndarray, "sample dim"], ...]
    similarity: Literal["spearman", "lasso"]
    names: tuple[str, ...]
    groups: Groups = None

    def permuted(self, rng: np.random.Generator) -> Models:
        """Each model on other samples: agreement that means nothing."""
        return replace(self, codes=tuple(z[shuffle(len(z), self.groups, rng)[1]] for z in self.codes))

    def part(self, share: float, rng: np.random.Generator) -> Models:
        """A share of the samples at random, whole groups of them."""
        rows = draw_rows(share, len(self.codes[0]), self.groups, rng)
        groups = None if self.groups is None else np.unique(self.groups[rows], return_inverse=True)[1]
        return replace(self, codes=tuple(z[rows] for z in self.codes), groups=groups)

    @property
    def settings(self) -> dict[str, Any]:
        """How the models were compared, for the record."""
        dims = [z.shape[1] for z in self.codes]
        return {"samples": len(self.codes[0]), "active": dims, "similarity": self.similarity}


@clear_errors
def udr(
    models: Sequence[Any],
    *,
    informative: Sequence[Any] | None = None,
    similarity: Literal["spearman", "lasso"] = "spearman",
    null: int = 0,
    bootstrap: int = 0,
    groups: Any = None,
    seed: Seed = 0,
) -> Score:
    """UDR (Duan et al. 2020, eq. 3): do models trained from several seeds find the same dims?

    Dims may differ in order and sign. For each pair of models R_ab, the absolute correlation of their dims; mean over
    rows and columns of max^2 / sum; the median over the other models scores a model, the median over models is the
    value. The published lasso gives models that agree 0.9, as it shrinks; rank correlation gives them 1, less the
    chance correlations of their other dims (0.92 for six dims of 2,000 samples). No factors are needed. Blind to
    whether what the models agree on is a factor at all, and to what all leave out; of two models one bad one spoils
    both scores, so bring three or more.

    Args:
        models: codes `(sample, dim)` of the same samples, one array for each model; 2 or more.
        informative: masks `(dim,)` of the dims of each model that carry anything, e.g. whose KL is above 0.01; by
            default those that vary.
        similarity: "spearman" or "lasso" (penalty 0.1 on codes of unit variance).
        null, bootstrap, groups, seed: as in `score`.

    Returns:
        `per_factor` the score of each model, `matrix` the agreement of each pair.

    >>> codes = np.random.default_rng(0).standard_normal((200, 3))
    >>> round(udr([codes, -codes[:, ::-1]]).value, 1)
    0.9
    """
    if len(models) < 2:
        raise ValueError(f"agreement needs two models at least, three to mean something; got {len(models)}")
    codes = [codes_array(z) for z in models]
    if len({len(z) for z in codes}) > 1:
        raise ValueError(f"models must encode the same samples, got {[len(z) for z in codes]}")
    if similarity not in ("spearman", "lasso"):
        raise ValueError(f"unknown similarity {similarity!r}; there are 'spearman' and 'lasso'")
    masks = [active_dims(z, "constant") for z in codes]
    if informative is not None:
        wanted = [as_array(mask) for mask in informative]
        if [m.shape for m in wanted] != [m.shape for m in masks]:
            raise ValueError(
                f"informative masks {[m.shape for m in wanted]} do not fit dims {[m.shape for m in masks]}"
            )
        if not all(np.isin(mask, (0, 1)).all() for mask in wanted):
            raise ValueError("informative must be masks, true or false for each dim, not numbers of dims")
        masks = [mask & (own != 0) for mask, own in zip(masks, wanted, strict=True)]
    names = tuple(f"model{i}" for i in range(len(codes)))
    evidence = Models(tuple(z[:, mask] for z, mask in zip(codes, masks, strict=True)), similarity, names,
                      group_rows(groups, len(codes[0])))  # fmt: skip
    return assess([UDR], evidence, null=null, bootstrap=bootstrap, seed=seed)["udr"]


def udr_of(models: Models) -> Parts:
    """The median agreement of each model with the others."""
    count = len(models.codes)
    pairs = np.full((count, count), np.nan)
    for a, b in np.ndindex(count, count):
        if a != b:
            pairs[a, b] = relative_strength(_similarity(models.codes[a], models.codes[b], models.similarity))
    scores = np.array([np.median(np.delete(row, i)) for i, row in enumerate(pairs)])
    return Parts(float(np.median(scores)), per_factor=scores, matrix=pairs)


def relative_strength(similarity: Float[np.ndarray, "one other"]) -> float:
    """Mean over rows and columns of max^2 / sum (eq. 3): 1 where each dim has one partner, 1 / n if all are alike."""
    if not similarity.size:
        return 0.0

    def side(axis: int) -> float:
        best, total = similarity.max(axis), similarity.sum(axis)
        return float(np.divide(best**2, total, out=np.zeros_like(total), where=total > 0).mean())

    return (side(0) + side(1)) / 2


def _similarity(one: np.ndarray, other: np.ndarray, kind: str) -> np.ndarray:
    if not (one.size and other.size):
        return np.zeros((one.shape[1], other.shape[1]))
    if kind == "spearman":
        from scipy.stats import rankdata

        x, y = _standard(rankdata(one, axis=0)), _standard(rankdata(other, axis=0))
        return np.abs(x.T @ y) / len(x)
    from sklearn.linear_model import Lasso

    return np.abs(np.atleast_2d(Lasso(alpha=PENALTY).fit(_standard(one), _standard(other)).coef_)).T


def _standard(x: np.ndarray) -> np.ndarray:
    deviation = x.std(0)
    return (x - x.mean(0)) / np.where(deviation > 0, deviation, 1.0)


UDR = Metric("udr", udr_of)
