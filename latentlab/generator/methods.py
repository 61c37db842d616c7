"""Solvers by name, and what is known of each; no heavy library, so that the command line may read it.

What they do is in `solver` (steps from one state to the next) and `retracing` (runs that are retraced).
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Literal, get_args

from latentlab.names import LevelsFor

Exact = Literal["bits", "rounding", "residual"]


@dataclass(frozen=True)
class Method:
    """A solver.

    Args:
        exact: how latents come back from noise: "bits", every bit of them; "rounding", to what their precision and the
            method make of rounding; "residual", to the residual of an equation that each step solves; None, they do
            not, but for the error of the steps.
        order: p, where noise is h^p from the true encoding with steps of h; None where smaller steps are no nearer.
        why: there is no order.
    """

    exact: Exact | None = None
    order: int | None = None
    why: str = ""

    @property
    def retraces(self) -> bool:
        """Whether it takes each of its steps back, in states of full precision and with what it remembers of them."""
        return self.exact in ("bits", "rounding")

    @property
    def levels(self) -> LevelsFor:
        """What levels it is for: to sample where it gives a clip back, else to read the noise that it comes to."""
        return "sampling" if self.exact else "analysis"


METHODS: dict[str, Method] = {
    "ddim": Method(order=1),
    "ddim+anderson": Method("residual", 1),
    "midpoint": Method(order=2),
    "heun": Method(order=2),
    "implicit-midpoint": Method("residual", 2),
    "leapfrog": Method("bits", 2),
    "edict": Method("rounding", why="its two states drift apart with every step, so that more steps are no nearer"),
    "ddpm": Method("rounding", why="its noise is drawn, and no encoding of the flow"),
}


def check_method(name: str) -> None:
    """Raises unless there is such a method.

    >>> check_method("heun")
    """
    if name not in METHODS:
        raise ValueError(f"unknown method {name!r}; there are {', '.join(METHODS)}")


def check_purpose(levels: str) -> None:
    """Raises unless levels are for one of the two."""
    if levels not in get_args(LevelsFor):
        raise ValueError(f"levels are for {' or '.join(map(repr, get_args(LevelsFor)))}, got {levels!r}")


def check_counts(**counts: int) -> None:
    """Raises unless each is a whole number of at least 1."""
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, Integral):
            raise ValueError(f"{name} is a whole number, got {count!r}")
        if count < 1:
            raise ValueError(f"{name} must be at least 1, got {count}")
