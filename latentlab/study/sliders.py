"""What a slider does: how far each strength moves its factor and all others, in standard deviations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.stats import spearmanr

from latentlab.checks import Count, Seed, clear_errors
from latentlab.data.moving.captions import FULL_WORDINGS, caption
from latentlab.data.moving.dataset import HELD_OUT_SEED
from latentlab.data.moving.factors import FACTORS, FactorSampler
from latentlab.data.moving.measure import measure
from latentlab.directions.factor_units import FactorUnits
from latentlab.directions.target import Target
from latentlab.directions.usable import mean_known
from latentlab.factors import FactorTable
from latentlab.generator.adapter import Adapter
from latentlab.generator.generator import Generator
from latentlab.shapes import Video


@dataclass(frozen=True, eq=False)
class SliderMoves:
    """Factors of clips of the same noise and captions, at several strengths.

    Attributes:
        target: what is to move, "light" or "hue@240".
        strengths: without 0.
        base: factors at strength 0.
        moved: factors at each strength.

    >>> specs = FACTORS[2:3]
    >>> tables = [FactorTable(np.array([[6.0 + k], [8.0 + k]]), specs) for k in (0.0, -1.0, 1.0)]
    >>> found = SliderMoves("size", (-1.0, 1.0), tables[0], tuple(tables[1:]))
    >>> round(found.spearman, 2), round(found.slope, 2)  # a pixel is 0.74 standard deviations
    (1.0, 0.74)
    """

    target: str
    strengths: tuple[float, ...]
    base: FactorTable
    moved: tuple[FactorTable, ...]

    @cached_property
    def along(self) -> Float[np.ndarray, "strength clip"]:
        """How far the target moved the way that its name says, in standard deviations; NaN where it is not read."""
        return np.stack([self._factor_units.along(self.target, self.base, table) for table in self.moved])

    @property
    def spearman(self) -> float:
        """Rank correlation of strength and factor, of each clip with the base among its strengths; mean over clips."""
        strengths, found = np.array([*self.strengths, 0.0]), []
        for row in np.concatenate([self.along, np.zeros((1, self.along.shape[1]))]).T:
            if (known := np.isfinite(row)).sum() > 2:
                ranks: Any = spearmanr(strengths[known], row[known])
                found.append(ranks.statistic)
        return float(np.mean(found)) if found else float("nan")

    @property
    def slope(self) -> float:
        """Standard deviations that strength 1 moves the target, by least squares through the base."""
        k = np.array(self.strengths)[:, None] * np.isfinite(self.along)
        return float((k * np.nan_to_num(self.along)).sum() / np.square(k).sum())

    @clear_errors
    def others(self, strength: float) -> dict[str, float]:
        """How far each other factor moved at a strength, either way, whichever way: mean over clips that show it."""
        own = Target.parse(self.target, self.base.specs).factor
        tables = [table for k, table in zip(self.strengths, self.moved, strict=True) if abs(k) == strength]
        if not tables:
            raise ValueError(f"no clips were drawn at strength {strength:g}; there are {self.strengths}")
        mean = mean_known(np.concatenate([self._factor_units.distances(self.base, table) for table in tables]))
        named = zip(self.base.names, mean, strict=True)
        return {name: float(far) for name, far in named if name != own and np.isfinite(far)}

    @cached_property
    def _factor_units(self) -> FactorUnits:
        return FactorUnits.of(FactorSampler(0).table(range(2000)).select(self.base.names))


@clear_errors
def moves(
    draw: Callable[[float], Video], target: str, strengths: Sequence[float] = (-2.0, -1.0, 1.0, 2.0)
) -> SliderMoves:
    """Draws clips at strengths and reads their factors, as `measure` does those of moving shapes.

    Args:
        draw: clips at a strength, always of the same noise.
        target: what is to move.
        strengths: without 0, which is always drawn.

    >>> from latentlab.data.moving.dataset import MovingShapes
    >>> drawn = lambda k: MovingShapes(1, fixed={"light": 0.75 + 0.1 * k}).clip(0)
    >>> found = moves(drawn, "light", (-1.0, 1.0))
    >>> found.along.round(1).tolist(), max(found.others(1.0).values()) < 0.01
    ([[-0.7], [0.7]], True)
    """
    return SliderMoves(target, tuple(strengths), measure(draw(0.0)), tuple(measure(draw(k)) for k in strengths))


@clear_errors
def open_captions(target: str, count: Count, seed: Seed = HELD_OUT_SEED) -> list[str]:
    """Captions of moving shapes that say everything but the target."""
    name, world = Target.parse(target, FACTORS).factor, FactorSampler(seed)
    return [caption(world(i), i % FULL_WORDINGS, silent=[name]) for i in range(count)]


@clear_errors
def in_deviations(
    generator: Generator,
    slider: Adapter,
    target: str,
    *,
    clips: Count = 8,
    num_steps: Count = 16,
    seed: Seed = 0,
    passes: Count = 2,
) -> Adapter:
    """The slider whose strength 1 moves a factor of moving shapes by one standard deviation.

    Clips are drawn under captions that leave the factor open, and read; the first pass looks at strength 0.5, the next
    ones at what is then 1.

    Args:
        generator: that the slider was trained on.
        slider: as trained.
        target: what it moves, "size" or "hue@240".
        clips, num_steps, seed: of what is drawn.
        passes: how often to measure.

    Raises:
        ValueError: a slider that moves the factor by less than a twentieth of a deviation, or the other way.
    """
    said = open_captions(target, clips)

    def drawing(adapter: Adapter) -> Callable[[float], Video]:
        options: dict[str, Any] = {"num_steps": num_steps, "method": "ddim", "seed": seed}
        return lambda k: generator.adapted({adapter: k}).generate(said, **options)

    for i in range(passes):
        strength = 0.5 if i == 0 else 1.0
        slope = moves(drawing(slider), target, (-strength, strength)).slope
        if not slope > 0.05:
            raise ValueError(
                f"{slider.name!r} moves {target} by {slope:.2f} standard deviations at strength 1, which is no unit"
            )
        slider = slider.scaled(1 / slope)
    return replace(slider, about={**slider.about, "unit": f"standard deviations of {target}"})
