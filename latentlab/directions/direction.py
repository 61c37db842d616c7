"""One direction: a move of codes, or a normal that reads a factor off them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np

from latentlab.checks import MayBeNaN, clear_errors
from latentlab.directions.design import as_numpy
from latentlab.face import renamed
from latentlab.shapes import Codes, in_a_line


@dataclass(frozen=True, repr=False)
class Direction:
    """A way to move in a space of codes.

    Attributes:
        name: what moving along it changes.
        vector: unit vector, `(dim,)`.
        scale: standard deviation of the codes along it; one unit of edit strength.
        t: t value of its factor in codes that did not take part in finding it; NaN where no labels were given.
        r2: cross-validated R2 of its factor, predicted from such codes along it: 1 is all, 0 no better than the mean,
            below 0 worse; NaN likewise.
        p: permutation p-value, how often shuffled labels go as well with such codes along it; NaN likewise.
        permutations: B behind p, which cannot be less than 1 / (1 + B), however strong a direction; 0 if not known.

    t, R2 and p say that a direction is real, not that it moves its factor far or alone: that is seen on decoded clips
    (`usable_range`, `latentlab.study.account`).

    Raises:
        ValueError: a name that is no text, a vector that is not finite numbers `(dim,)`, a scale that is no finite
            number from 0 on.
    """

    name: str
    vector: np.ndarray
    scale: float
    t: MayBeNaN = float("nan")
    r2: MayBeNaN = float("nan")
    p: MayBeNaN = float("nan")
    permutations: int = 0

    @clear_errors
    def __post_init__(self) -> None:
        object.__setattr__(self, "vector", _vector(self.name, self.vector))
        scale = self.scale
        if not isinstance(scale, Real) or isinstance(scale, bool) or not 0 <= scale < np.inf:
            raise ValueError(
                f"the scale of direction {self.name!r} is the codes' standard deviation along it, a finite number from "
                f"0 on; got {scale!r}"
            )

    def __repr__(self) -> str:
        said = [f"{len(self.vector)} dims", f"scale {self.scale:.3g}"]
        said += [f"{what} {value:.3g}" for what, value in (("t", self.t), ("R2", self.r2)) if np.isfinite(value)]
        if np.isfinite(self.p):
            said.append(f"p {words_of_p(self.p, self.permutations)}")
        return f"{type(self).__name__}({self.name!r}, {', '.join(said)})"


@clear_errors
@dataclass(frozen=True, repr=False)
class LocalDirection(Direction):
    """A direction that turns with the code; `vector` is its mean.

    Attributes:
        at: codes `(sample, dim)` to the unit vector at each.
    """

    at: Callable[[Codes], Codes] = field(kw_only=True)

    __repr__ = in_a_line

    __repr__ = Direction.__repr__


@clear_errors
@dataclass(frozen=True)
class Normal:
    """What reads a factor off codes: their projection on it. Codes moved at right angles to it keep the factor.

    Attributes:
        name: of what is read.
        vector: unit vector, `(dim,)`.
    """

    name: str
    vector: np.ndarray

    __repr__ = in_a_line

    @clear_errors
    def __post_init__(self) -> None:
        object.__setattr__(self, "vector", _vector(self.name, self.vector))


def words_of_p(p: float, permutations: int) -> str:
    """A p-value, saying so where it is the least that so many permutations can give.

    >>> words_of_p(0.01, 99)
    '0.01 (the least of 99 permutations)'
    """
    floor = permutations > 0 and p <= (1 + 1e-9) / (1 + permutations)
    return f"{p:.2g}" + (f" (the least of {permutations} permutations)" if floor else "")


def _vector(name: Any, vector: Any) -> np.ndarray:
    """The vector of something that is called so, as an array of floating point numbers."""
    if not isinstance(name, str):
        raise ValueError(f"a direction's name says what it changes, such as 'light'; got {name!r}")
    try:
        array = np.asarray(as_numpy(vector))
        array = array if array.dtype.kind == "f" else array.astype(np.float64, casting="safe")
    except (TypeError, ValueError) as error:
        raise ValueError(f"the vector of direction {name!r} is numbers (dim,), got {type(vector).__name__}") from error
    if array.ndim != 1 or not len(array) or not np.isfinite(array).all():
        what = f"shape {array.shape}" if array.ndim != 1 or not len(array) else "NaN or infinity"
        raise ValueError(f"the vector of direction {name!r} is finite numbers (dim,), got {what}")
    return array


__getattr__ = renamed(__name__, {"Turning": "LocalDirection"})
