"""What a chart is made of: marks on panels, described once for every way of drawing them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from latentlab.view.style import Scale


@dataclass(frozen=True, eq=False)
class Points:
    """Dots. `color` holds a number each, shown by `scale`; without it all have one hue."""

    x: np.ndarray
    y: np.ndarray
    color: np.ndarray | None = None
    scale: Scale | None = None
    name: str = ""
    size: float = 5.0
    marker: int = 0
    hue: int = 0


@dataclass(frozen=True, eq=False)
class Line:
    """A line, with a band from `low` to `high` if they are given; `soft` is a thin gray one."""

    x: np.ndarray
    y: np.ndarray
    name: str = ""
    hue: int = 0
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    soft: bool = False
    dots: bool = False


@dataclass(frozen=True, eq=False)
class Columns:
    """Bars from zero, side by side: a histogram."""

    edges: np.ndarray
    heights: np.ndarray
    name: str = ""
    hue: int = 0


@dataclass(frozen=True, eq=False)
class Intervals:
    """A row for each name: a bar to its value, the interval around it, and a tick at its null level; NaN is none."""

    names: Sequence[str]
    values: np.ndarray
    low: np.ndarray
    high: np.ndarray
    null: np.ndarray


@dataclass(frozen=True, eq=False)
class Heat:
    """Cells coloured by `scale`; NaN stays empty. `written` puts the numbers into the cells."""

    values: np.ndarray
    scale: Scale
    written: bool = False


@dataclass(frozen=True, eq=False)
class Picture:
    """Pixels `(height, width, 4)`, uint8 with opacity, first row on top."""

    pixels: np.ndarray


Mark = Points | Line | Columns | Intervals | Heat | Picture
Ticks = tuple[Sequence[float], Sequence[str]]
NO_TICKS: Ticks = ((), ())


@dataclass(frozen=True, eq=False)
class Panel:
    """Marks on common axes; `ticks` are places and their words, `equal` makes one unit as long both ways."""

    marks: Sequence[Mark]
    title: str = ""
    xlabel: str = ""
    ylabel: str = ""
    xticks: Ticks | None = None
    yticks: Ticks | None = None
    equal: bool = False
