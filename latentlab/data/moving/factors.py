"""The eleven factors of the moving-shapes world, and how they are drawn.

The ranges keep every shape wholly inside the frame whatever the combination, so the factors are truly
independent and all of them can be read back from the clip (`measure`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np

from latentlab.factors import Factor, FactorTable

NUM_FRAMES, SIDE = 16, 64
SHAPES = ("circle", "square", "triangle", "star", "cross")

FACTORS = (
    Factor("shape", "categorical", 0, len(SHAPES) - 1, labels=SHAPES),
    Factor("hue", "circular", 0, 360, "degrees"),
    Factor("size", "continuous", 4.5, 9.2, "pixels, radius of the disc of equal area"),
    Factor("start_x", "continuous", 26.5, 37.5, "pixels from the left"),
    Factor("start_y", "continuous", 26.5, 37.5, "pixels from the top"),
    Factor("direction", "circular", 0, 360, "degrees, 0 is right and 90 is up"),
    Factor("speed", "continuous", 0, 0.75, "pixels a frame"),
    Factor("rotation", "continuous", -8, 8, "degrees a frame, counterclockwise is positive"),
    Factor("background_hue", "circular", 0, 360, "degrees"),
    Factor("light", "continuous", 0.5, 1.0, "share of full brightness"),
    Factor("blur", "continuous", 0, 2, "exposure in frames"),
)
NAMES = tuple(f.name for f in FACTORS)
_PHI = NormalDist().cdf


@dataclass(frozen=True)
class FactorSampler:
    """Draws the factors of item `index`, a pure function of `(seed, index)`.

    Args:
        seed: of the whole set.
        fixed: factors held at one value.
        sweep: factors walked through a list of values while the others stay: with a sweep of n values, items
            `k*n ... k*n + n - 1` share all other factors. Several sweeps form a grid, last one fastest.
        correlated: rank correlation wanted between pairs of factors, e.g. `{("hue", "size"): 0.8}`
            (Gaussian copula; the value is the correlation of the underlying normals, -1 to 1).

    >>> FactorSampler(seed=0, fixed={"light": 1.0})(5)[NAMES.index("light")]
    np.float64(1.0)
    """

    seed: int = 0
    fixed: Mapping[str, float] = field(default_factory=dict)
    sweep: Mapping[str, Sequence[float]] = field(default_factory=dict)
    correlated: Mapping[tuple[str, str], float] = field(default_factory=dict)
    _mix: np.ndarray = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_request(FACTORS, self.fixed, self.sweep, self.correlated)
        # Frozen, so the Cholesky factor of the copula is stored past the front door.
        object.__setattr__(self, "_mix", _copula(self.correlated))

    def __call__(self, index: int) -> np.ndarray:
        """The factors of one item, `(factor,)` in the order of `FACTORS`."""
        base, told = asked(index, self.fixed, self.sweep)
        rng = np.random.default_rng([self.seed, base])
        normal = self._mix @ rng.standard_normal(len(FACTORS))
        values = np.array([quantile(f, _PHI(z)) for f, z in zip(FACTORS, normal, strict=True)])
        for name, value in told.items():
            values[NAMES.index(name)] = value
        return values

    @property
    def specs(self) -> tuple[Factor, ...]:
        """The columns of a table."""
        return FACTORS

    def table(self, indices: Sequence[int] | range) -> FactorTable:
        """The factors of many items."""
        rows = [self(i) for i in indices]
        return FactorTable(np.array(rows).reshape(len(rows), len(FACTORS)), FACTORS)


def quantile(factor: Factor, u: float) -> float:
    """Inverse distribution function; one clip in ten rests and three in ten do not turn."""
    if factor.kind == "categorical":
        return float(min(int(u * len(factor.labels)), len(factor.labels) - 1))
    if factor.name == "speed":
        return factor.high * max(0.0, (u - 0.1) / 0.9)
    if factor.name == "rotation":
        return factor.high * float(np.sign(u - 0.5)) * max(0.0, (abs(2 * u - 1) - 0.3) / 0.7)
    return factor.low + (factor.high - factor.low) * u


def check_request(
    specs: Sequence[Factor],
    fixed: Mapping[str, float],
    sweep: Mapping[str, Sequence[float]],
    correlated: Mapping[tuple[str, str], float],
) -> None:
    """Checks what is asked of a sampler against the factors of its world."""
    known = {spec.name: spec for spec in specs}
    for name in [*fixed, *sweep, *(n for pair in correlated for n in pair)]:
        if name not in known:
            raise ValueError(f"no factor {name!r} in moving shapes; there are {', '.join(known)}")
    if both := set(fixed) & set(sweep):
        raise ValueError(f"{', '.join(sorted(both))}: fixed and swept at once; choose one")
    for name, values in [(n, [v]) for n, v in fixed.items()] + list(sweep.items()):
        for value in values:
            _check_value(known[name], value)
    if any(len(values) == 0 for values in sweep.values()):
        raise ValueError("a sweep needs at least one value")


def asked(index: int, fixed: Mapping[str, float], sweep: Mapping[str, Sequence[float]]) -> tuple[int, dict[str, float]]:
    """Which draw an item shares with all others of its grid, and the factors that it has by request.

    >>> asked(7, {"size": 5.0}, {"light": [0.5, 1.0]})
    (3, {'size': 5.0, 'light': 1.0})
    """
    grid = int(np.prod([len(v) for v in sweep.values()], dtype=int))
    base, position = divmod(int(index), grid)
    told = dict(fixed)
    for name in reversed(list(sweep)):
        position, step = divmod(position, len(sweep[name]))
        told[name] = sweep[name][step]
    return base, told


def _check_value(spec: Factor, value: float) -> None:
    name, circular = spec.name, spec.kind == "circular"  # any finite angle is an angle
    if not np.isfinite(value) or not (circular or spec.low <= value <= spec.high):
        raise ValueError(f"{name}={value!r} is outside its range {spec.low} to {spec.high} {spec.unit}".rstrip())
    if spec.kind in ("categorical", "ordinal") and value != int(value):
        index = f", the index into {', '.join(spec.labels)}" if spec.labels else ""
        raise ValueError(f"{name}={value!r} must be a whole number{index}")


def _copula(correlated: Mapping[tuple[str, str], float]) -> np.ndarray:
    matrix = np.eye(len(FACTORS))
    for (a, b), rho in correlated.items():
        if a == b or not -1 < rho < 1:
            raise ValueError(f"correlation of {a!r} and {b!r} must be of two factors and in (-1, 1), got {rho!r}")
        matrix[NAMES.index(a), NAMES.index(b)] = matrix[NAMES.index(b), NAMES.index(a)] = rho
    try:
        return np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        raise ValueError(f"the correlations {dict(correlated)} contradict each other (not positive definite)") from None
