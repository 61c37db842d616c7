"""What all finders share: scikit-learn estimators that leave a set of named directions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from numbers import Integral
from typing import Any, ClassVar, Self, cast

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from latentlab.checks import Seed, clear_errors
from latentlab.directions import evidence
from latentlab.directions.design import Design, Labels, as_numpy, design_of, read_groups, read_labels
from latentlab.directions.direction import Direction, Normal
from latentlab.directions.direction_set import DirectionSet, unit
from latentlab.warning import warn


class Finder(BaseEstimator):
    """A finder of directions; after `fit` it is read like a set of them, and taken wherever a set is.

    Attributes:
        found_: the directions, with all that is known of them.
        names_: of the directions.
        directions_: unit vectors, `(direction, dim)`.
        scale_: standard deviation of the codes along each, `(direction,)`.
        covariance_: of the codes along all of them, `(direction, direction)`.
    """

    def __getitem__(self, name: str) -> Direction:
        """A direction by name; "hue@240" is the direction of a circular factor towards an angle in degrees."""
        check_is_fitted(self)
        return self.found_[name]

    def __iter__(self) -> Iterator[Direction]:
        check_is_fitted(self)
        return (self[name] for name in self.found_.names)

    def __len__(self) -> int:
        check_is_fitted(self)
        return len(self.found_)

    def __contains__(self, name: object) -> bool:
        check_is_fitted(self)
        return name in self.found_

    def normals(self, *factors: str) -> tuple[Normal, ...]:
        """What reads factors off codes, see `DirectionSet.normals`."""
        check_is_fitted(self)
        return self.found_.normals(*factors)

    def _codes(self, codes: Any, at_least: int = 2) -> np.ndarray:
        """Codes as a float array, after scikit-learn's checks."""
        check: Any = validate_data  # scikit-learn has no type stubs, and its defaults mislead a checker
        options = {"dtype": [np.float64, np.float32], "ensure_min_samples": at_least, "ensure_all_finite": False}
        array = cast(np.ndarray, check(self, as_numpy(codes), **options))
        if not np.isfinite(array).all():  # its own message praises classifiers that take NaN
            bad = int((~np.isfinite(array).all(1)).sum())
            raise ValueError(f"codes of {bad} of {len(array)} samples hold NaN or infinity; leave those samples out")
        return array

    def _keep(self, found: DirectionSet) -> Self:
        self.found_ = found
        self.names_, self.directions_ = list(found.names), found.vectors
        self.scale_, self.covariance_ = found.scale, found.covariance
        return self


@dataclass(kw_only=True, eq=False, repr=False)
class Supervised(Finder, ABC):
    """A finder that is told factors. A subclass says how effects follow from codes and a design matrix.

    Args:
        kinds: kind of each factor ("continuous", "ordinal", "categorical", "circular" in degrees); None takes them
            from the table given to `fit`, or "continuous" for a plain array.
        names: of the factors; None takes them from the table, or "factor0", "factor1", ...
        folds: parts in which the codes are left out in turn, for t, R2 and p; 0 leaves them NaN.
        permutations: B of the labels, for p, which cannot be less than 1 / (1 + B); 0 leaves it NaN.
        random_state: of folds and permutations.

    Attributes:
        effects_: what moving a factor by one standard deviation does to the codes, `(direction, dim)`; finders of
            normals, which do not know it, leave unit vectors.
        t_value_, r2_, p_: of each direction, see `Direction`.
    """

    kinds: Sequence[str] | None = None
    names: Sequence[str] | None = None
    folds: int = 5
    permutations: int = 99
    random_state: Seed = 0

    complete: ClassVar[bool] = False  # whether only samples of which every factor is known are of use
    reads: ClassVar[bool] = False  # whether it finds normals, which read factors, rather than moves

    @clear_errors
    def fit(self, codes: Any, y: Any, groups: Any = None) -> Self:
        """Learns the directions.

        Args:
            codes: `(sample, dim)`, numpy, torch or a DataFrame.
            y: the factors `(sample, factor)`, a table with names and kinds, a DataFrame with names or a plain array;
                NaN is "not known". (scikit-learn wants this name.)
            groups: one label a sample, equal for samples that belong together: frames of one clip, crops or copies of
                one picture. They are one observation, which decides what few labels need in the fit, what is left out
                together, and what t and p count. None takes every sample for an observation of its own; where samples
                are not, t is too large and p too small.

        Returns:
            Itself.

        Raises:
            ValueError: shapes do not fit, codes hold NaN or are all equal, too few samples or groups, a factor that
                never changes, or settings out of range.

        Warns:
            UserWarning: codes repeat, or each is like the one before it, and no groups are given.
        """
        self._check()
        codes, labels = self._codes(codes, 3), read_labels(y, self.names, self.kinds)
        if len(labels.values) != len(codes):
            raise ValueError(f"{len(codes)} codes but {len(labels.values)} rows of factors")
        if not np.ptp(codes, axis=0).any():
            raise ValueError("all codes are equal; there is nothing to find")
        group = read_groups(groups, len(codes))
        if self.complete and not (known := labels.known).all():
            codes, labels, group = codes[known], labels.rows(known), group[known]
        if len(codes) < 3:
            raise ValueError(
                f"{len(codes)} fully labelled samples are too few for {len(labels.names)} factors; "
                "finders that look at one factor at a time (MeanDifference, RidgeNormal) use what is known of each"
            )
        design = design_of(labels, group)
        if groups is None and (said := evidence.dependence(codes, design)):
            warn(
                f"{said}: samples that belong together, such as frames of a clip, are not independent, and t and p say "
                "too much; pass groups= with one label a clip (or shuffle rows that are independent but sorted)",
            )
        return self._learn(codes, design, labels)

    def _check(self) -> None:
        """Raises unless the settings are in range."""
        if not isinstance(self.folds, Integral) or self.folds < 0 or self.folds == 1:
            raise ValueError(f"folds must be at least 2, or 0 for no t, R2 and p; got {self.folds!r}")
        if not isinstance(self.permutations, Integral) or self.permutations < 0:
            raise ValueError(f"permutations must be a whole number from 0 on, got {self.permutations!r}")

    @abstractmethod
    def _find(self, codes: np.ndarray, design: Design) -> np.ndarray:
        """Effects of all columns of the design, `(column, dim)`."""

    def _reads(self) -> bool:
        """Whether what was found reads factors."""
        return self.reads

    def _learn(self, codes: np.ndarray, design: Design, labels: Labels) -> Self:
        self.effects_ = self._find(codes, design)
        rng = np.random.default_rng(self.random_state)
        self.t_value_, self.r2_, self.p_ = (np.full(len(design.names), np.nan) for _ in range(3))
        if self.folds > 1:
            self.t_value_, self.r2_, self.p_ = self._judge(codes, design, rng)
        known: dict[str, Any] = {"t": self.t_value_, "r2": self.r2_, "p": self.p_, "reads": self._reads()}
        provenance = {
            "finder": type(self).__name__,
            "samples": len(codes),
            "observations": design.observations,
            "permutations": self.permutations if self.folds else 0,
            "factors": list(labels.names),
        }
        return self._keep(DirectionSet.measured(design.names, self.effects_, codes, provenance=provenance, **known))

    def _judge(
        self, codes: np.ndarray, design: Design, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """t, R2 and p of each direction, in codes that did not help to find it."""
        parts = evidence.split_groups(np.unique(design.group, return_inverse=True)[1], self.folds, rng)
        refit = partial(self._refit, codes, design, parts)
        r2 = evidence.predicted(evidence.projections(codes, parts, refit(evidence.others(len(parts)))), design, parts)
        along = evidence.projections(codes, parts[1:], refit(evidence.earlier(len(parts))))
        judged = np.sort(np.concatenate(parts[1:]))
        t, p = evidence.t_and_p(along[judged], design.rows(judged), self.permutations, rng)
        return t, r2, p

    def _refit(
        self, codes: np.ndarray, design: Design, parts: list[np.ndarray], chosen: Sequence[Sequence[int]]
    ) -> Iterator[np.ndarray]:
        """Effects in each choice of parts."""
        return evidence.refitted(self._find, codes, design, parts, chosen)


@dataclass(kw_only=True, eq=False, repr=False)
class OneByOne(Supervised):
    """A finder that looks at one column at a time, and so uses every sample of which that factor is known.

    Args:
        conditional: take out of each direction what lies in the span of the other factors' directions, so that moving
            along it changes their scores least (Shen et al. 2020, section 3.3).
    """

    conditional: bool = False

    def _reads(self) -> bool:
        return self.reads and not self.conditional  # projected, a normal is a move

    @abstractmethod
    def _normal(self, codes: np.ndarray, column: np.ndarray, group: np.ndarray) -> np.ndarray:
        """Direction in which one column rises, `(dim,)`; samples of one group are one observation."""

    def _find(self, codes: np.ndarray, design: Design) -> np.ndarray:
        normals = np.zeros((len(design.names), codes.shape[1]))
        for k, column in enumerate(design.columns.T):
            known = np.isfinite(column)
            if known.any() and np.ptp(column[known]) > 0:  # a fold may lack a category: no direction there
                part = codes if known.all() else codes[known]
                normals[k] = self._normal(part, column[known], design.group[known])
        return project_out_others(normals, design.factor) if self.conditional else normals


def project_out_others(vectors: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Each vector without its part in the span of the vectors of other factors."""
    vectors, lengths = unit(vectors)
    held = np.zeros_like(vectors)
    for k in range(len(vectors)):
        others = vectors[factor != factor[k]]
        # Least squares rather than a basis: columns of one category depend on each other.
        held[k] = (
            vectors[k] - np.linalg.lstsq(others.T, vectors[k], rcond=1e-8)[0] @ others if len(others) else vectors[k]
        )
    return unit(held)[0] * lengths[:, None]


def two_sides(column: np.ndarray, share: float, group: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Samples where a column is lowest and where it is highest.

    Args:
        column: `(sample,)`.
        share: of the samples on each side; at least ten are taken, or half of all. Ties and classes are not torn: a
            column of two values is split between them.
        group: of each sample; where samples belong together, it is at least as many as ten groups have.
    """
    if not 0 < share <= 0.5:
        raise ValueError(f"share must be in (0, 0.5], got {share}")
    least = 10 if group is None else round(10 * len(column) / len(np.unique(group)))
    count = max(round(share * len(column)), min(len(column) // 2, least), 1)
    ordered = np.sort(column)
    low, high = column <= ordered[count - 1], column >= ordered[-count]
    if (low & high).any():
        high = column > column.mean()
        low = ~high
    return low, high
