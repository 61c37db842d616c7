"""How far an edit may go: the strengths at which its target still moves, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from tqdm.auto import tqdm

from latentlab.checks import WrongKind, clear_errors
from latentlab.directions.edit import Moves, edit
from latentlab.directions.factor_units import FactorUnits
from latentlab.face import renamed
from latentlab.factors import FactorTable
from latentlab.quoted import shown
from latentlab.shapes import Codes, in_a_line

Decoded = TypeVar("Decoded")
NOTICED = 0.25  # standard deviations; a target that moves by less did not move


@clear_errors
@dataclass(frozen=True)
class Limits:
    """What ends the usable range.

    Args:
        saturation: a step that moves the target by less than this share of the best step so far.
        others: standard deviations that another factor has moved, mean over clips.
        unread: share of the clips whose target can no longer be read.
        quality: how far the mean quality has fallen below that at strength 0, in the unit of the quality given.
    """

    saturation: float = 0.1
    others: float = 0.5
    unread: float = 0.5
    quality: float = 1.0


@dataclass(frozen=True)
class Range:
    """Usable strengths of a direction.

    Attributes:
        low, high: the last usable strengths on either side, in standard deviations of the codes.
        why_low, why_high: what ended each side.
        strengths: that were tried, rising.
        target: how far the target moved at each, in standard deviations, mean over clips.
        others: how far each other factor moved, `(strength, factor)`, mean over clips, whichever way.
        quality: mean over clips at each; NaN if none was given.
        factor: that is the target.
        names: of the factors, the columns of `others`.
        unit: one standard deviation of the target in its own unit.

    >>> told = Range(-1.0, 1.0, "size moves", "reach", np.array([-1.0, 0, 1]), np.array([-0.1, 0, 0.1]),
    ...              np.array([[0.0, 0.6], [0, 0], [0, 0.4]]), np.full(3, np.nan), "light", ("light", "size"), 0.15)
    >>> print(told)
    light from -0.10 to +0.10 sd (-0.015 to +0.015 in its unit) at strengths -1 to +1; beside it size moves by 0.60 sd.
    It ends where size moves (low) and reach (high). It FAILS: the target moves by less than 0.25 sd either way.
    """

    low: float
    high: float
    why_low: str
    why_high: str
    strengths: np.ndarray
    target: np.ndarray
    others: np.ndarray
    quality: np.ndarray
    factor: str = ""
    names: tuple[str, ...] = ()
    unit: float = float("nan")

    __repr__ = in_a_line

    @property
    def failed(self) -> str:
        """Why the direction is of no use; "" where it is of some."""
        used = (self.strengths >= self.low) & (self.strengths <= self.high)
        if self.low == self.high == 0:
            return "no strength is usable"
        if not np.nanmax(np.abs(self.target[used])) >= NOTICED:
            return f"the target moves by less than {NOTICED:g} sd either way"
        return ""

    def __str__(self) -> str:
        used = (self.strengths >= self.low) & (self.strengths <= self.high)
        low, high = float(self.target[used][0]), float(self.target[used][-1])
        said = f"{self.factor} from {low:+.2f} to {high:+.2f} sd"
        said += f" ({low * self.unit:+.2g} to {high * self.unit:+.2g} in its unit)" if np.isfinite(self.unit) else ""
        said += f" at strengths {self.low:+g} to {self.high:+g}"
        if self.names and used.sum() > 1:
            most = np.nan_to_num(self.others[used]).max(0)
            k = int(most.argmax())
            said += f"; beside it {self.names[k]} moves by {most[k]:.2f} sd"
        said += f".\nIt ends where {self.why_low} (low) and {self.why_high} (high)."
        return said + (f" It FAILS: {self.failed}." if self.failed else "")


@clear_errors
def usable_range(
    codes: Codes,
    direction: Moves,
    decode: Callable[[Codes], Decoded],
    read: Callable[[Decoded], FactorTable],
    reference: FactorTable,
    *,
    quality: Callable[[Decoded], np.ndarray | torch.Tensor] | None = None,
    target: str | None = None,
    reach: float = 6.0,
    step: float = 0.5,
    limits: Limits | None = None,
    progress: bool = False,
    **options: Any,
) -> Range:
    """Finds the strengths at which an edit can be used, walking outward from 0 on both sides until something gives.

    A side ends where the target saturates, where another factor has moved by more than half a standard deviation, where
    clips can no longer be read, or where quality has fallen. All is counted from the decoded codes at strength 0, so
    what the space itself loses is not held against the direction.

    Args:
        codes: `(sample, dim)`; a few dozen will do.
        direction: to try.
        decode: codes to what is read, such as `space.decode`.
        read: the factors of it, such as `measure`.
        reference: factors whose spread is the unit, such as those that found the direction.
        quality: one number a clip, larger is better, such as -flicker.
        target: what the direction should move, see `FactorUnits.target`; None is its name.
        reach: the largest strength tried.
        step: from one strength to the next.
        limits: see `Limits`.
        progress: show a bar.
        **options: of `edit`.

    Raises:
        ValueError: reach or step is not positive, or quality is NaN before anything moves.
        KeyError: the target is no factor.

    >>> from latentlab.directions import Direction
    >>> from latentlab.factors import Factor
    >>> def read(codes):  # light follows the code up to 2
    ...     return FactorTable(codes.numpy().clip(-2, 2), (Factor("light", "continuous", -2, 2),))
    >>> found = usable_range(torch.zeros(1, 1), Direction("light", np.ones(1), 1.0), lambda codes: codes, read,
    ...                    read(torch.randn(100, 1)))
    >>> found.high, found.why_high
    (2.0, 'the target saturates')
    """
    if not isinstance(direction, Moves):
        raise WrongKind(f"direction must be a Direction, got {shown(direction)} ({type(direction).__name__})")
    if not (codes.ndim == 2 and len(codes) and codes.isfinite().all()):
        raise ValueError(f"codes are finite (sample, dim), at least one, got shape {tuple(codes.shape)} or NaN in it")
    if not (step > 0 and reach >= step and np.isfinite(reach)):
        raise ValueError(f"needs 0 < step <= reach, got step {step} and reach {reach}")
    factor_units, limits = FactorUnits.of(reference), limits or Limits()
    name = direction.name if target is None else target
    bar = tqdm(total=1 + 2 * int(reach / step + 1e-9), desc=f"range of {name}", disable=not progress or None)

    def look(strength: float) -> tuple[FactorTable, float]:
        seen = decode(edit(codes, direction, strength, **options))
        bar.update()
        if quality is None:
            return read(seen), float("nan")
        value = float(np.mean(np.asarray(quality(seen))))
        if np.isnan(value) and strength == 0:
            raise ValueError("the quality of codes at strength 0 is NaN, so there is none to keep")
        return read(seen), -np.inf if np.isnan(value) else value  # what has no quality has lost it

    found = walk_strengths(look, name, factor_units, step * np.arange(1, int(reach / step + 1e-9) + 1), limits)
    bar.close()
    return found


def walk_strengths(
    look: Callable[[float], tuple[FactorTable, float]],
    target: str,
    factor_units: FactorUnits,
    strengths: Sequence[float] | np.ndarray,
    limits: Limits,
) -> Range:
    """The usable range, looking at rising positive `strengths` and their negatives until a limit is met.

    Args:
        look: the factors at a strength, and their quality.
        target, factor_units, limits: see `usable_range`.
    """
    factor, way = factor_units.target(target)
    base, good = look(0.0)
    readable = np.isfinite(factor_units.along(target, base, base))
    seen = {0.0: (0.0, np.zeros(len(factor_units.specs)), good)}
    ends = {}
    for side in (-1, 1):
        best, last, reached = 0.0, 0.0, 0.0
        why = "reach"
        for strength in side * np.asarray(strengths, dtype=float):
            table, quality = look(float(strength))
            along, others = factor_units.along(target, base, table), mean_known(factor_units.distances(base, table))
            others[factor] = 0.0
            moved = float(mean_known(along))
            seen[float(strength)] = (moved, others, quality)
            gain = side * (moved - last)
            best = max(best, gain)
            if not readable.any() or np.isnan(along[readable]).mean() > limits.unread:
                why = f"{factor_units.names[factor]} can no longer be read"
            elif np.nanmax(others) > limits.others:
                why = f"{factor_units.names[int(np.nanargmax(others))]} moves"
            elif good - quality > limits.quality:
                why = "quality falls"
            elif gain <= limits.saturation * best:
                why = "the target saturates"
            if why != "reach":
                break
            last, reached = moved, float(strength)
        ends[side] = (reached, why)
    tried = sorted(seen)
    curve, others, quality = (np.array([seen[s][i] for s in tried]) for i in range(3))
    (low, why_low), (high, why_high) = ends[-1], ends[1]
    of = (factor_units.names[factor], factor_units.names, factor_units.units[factor] if len(way) == 1 else float("nan"))
    return Range(low, high, why_low, why_high, np.array(tried), curve, others, quality, *of)


def mean_known(values: np.ndarray) -> np.ndarray:
    """Mean over the first axis of what is not NaN; NaN where nothing is."""
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(0)
    return np.where(known.any(0), total / np.maximum(known.sum(0), 1), np.nan)


__getattr__ = renamed(__name__, {"auto_range": "usable_range"})
