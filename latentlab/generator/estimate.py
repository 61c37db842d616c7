"""How far an inverted latent is from the true encoding, by its own account."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from latentlab.generator.methods import METHODS
from latentlab.generator.solver import Velocity


@dataclass(frozen=True)
class Estimate:
    """Distance of noise from the true encoding, which the flow followed without error would give.

    Attributes:
        error: of each clip, relative to the norm of its noise.
        calls: of the network, that the estimate took beside those of the inversion.
    """

    error: tuple[float, ...]
    calls: int

    def __str__(self) -> str:
        least, most = min(self.error, default=0.0), max(self.error, default=0.0)
        said = f"{most:.2g}" if f"{least:.2g}" == f"{most:.2g}" else f"{least:.2g} to {most:.2g}"
        return f"{said} of the noise's norm from the true encoding, as {self.calls} more calls of the network tell"

    def __getitem__(self, rows: slice) -> Estimate:
        return replace(self, error=self.error[rows])


def richardson(noise: Tensor, finer: Tensor, method: str) -> tuple[float, ...]:
    """|y_h - y| / |y| of each clip, from runs with steps of h and of h / 2.

    A method of order p ends at y_h = y + c h^p + ..., so y_h - y_{h/2} = (1 - 2^-p) c h^p (Richardson 1911); it holds
    as far as the steps are small enough that the first term is the largest.
    """
    check_estimable(method)
    p = METHODS[method].order or 0
    apart = (noise - finer).flatten(1).double().norm(dim=1) / (1 - 2.0**-p)
    return tuple((apart / finer.flatten(1).double().norm(dim=1)).tolist())


def check_estimable(method: str) -> None:
    """Raises if no two step sizes tell how far this method is from the true encoding."""
    if METHODS[method].order is None:
        others = ", ".join(name for name, other in METHODS.items() if other.order)
        raise ValueError(f"there is no estimate of {method!r}: {METHODS[method].why}; it is there for {others}")


class Counted:
    """A velocity that counts its calls."""

    def __init__(self, velocity: Velocity) -> None:
        self.velocity, self.calls = velocity, 0

    def __call__(self, y: Tensor, s: float) -> Tensor:
        self.calls += 1
        return self.velocity(y, s)
