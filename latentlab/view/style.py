"""One visual language for files, screens and pages: hues, markers and colour maps, safe for the colour-blind.

The maps are paths in OKLab (Ottosson 2020), where equal steps look equal. All differ in lightness or in blue against
yellow, which those who confuse red and green see too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from latentlab.checks import MayBeNaN, as_numbers, clear_errors
from latentlab.factors import Factor, as_array

# (on light, on dark): Okabe and Ito's hues, each at least 3:1 against its background; dashes tell them apart too
PALETTE = (
    ("#0072b2", "#56b4e9"),
    ("#c04f00", "#f58a42"),
    ("#00805c", "#35c89b"),
    ("#a8478a", "#e39bc2"),
    ("#6b6b6b", "#b5b5b5"),
)
# categories need more: each 3:1 too, and a marker of its own where markers are drawn
CATEGORIES = (
    *PALETTE[:4],
    ("#857000", "#ece04a"),
    ("#5b47c0", "#a99cff"),
    ("#8c1d40", "#ff7d9c"),
    ("#00808a", "#5fdce6"),
)
DASHES = ("-", "--", "-.", ":")
SCREEN_DASHES = ("solid", "dash", "dashdot", "dot")  # the same, as plotly calls them
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
SCREEN_MARKERS = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "x")
INK = "#010203"  # stands for the page's text colour until the figure is finished
PAGE = {False: "#ffffff", True: "#131416"}  # by dark
TEXT = {False: "#1b1c1e", True: "#e7e8ea"}
SOFT = {False: "#5b5f66", True: "#a2a7af"}
STOPS, FEW = 65, 12  # colours of a map; whole numbers that are called few span less than this

ScaleKind = Literal["sequential", "circular", "diverging", "categorical"]


@clear_errors
@dataclass(frozen=True)
class Scale:
    """How numbers become colours.

    Args:
        kind: sequential, circular (its ends meet), diverging (gray in the middle) or categorical (indices of labels).
        low: number of the first colour.
        high: number of the last colour.
        label: with unit.
        labels: of the categories.

    >>> Scale("circular", 0, 360, "hue (degrees)").colors([0.0, 360.0])
    ['#d5b4bc', '#d5b4bc']
    """

    kind: ScaleKind
    low: MayBeNaN
    high: MayBeNaN
    label: str = ""
    labels: tuple[str, ...] = ()

    @clear_errors
    def colors(self, values: Sequence[float] | np.ndarray, dark: bool = False) -> list[str]:
        """Colour of each number; NaN is gray."""
        values = as_numbers("values", values).astype(float)
        gray = PALETTE[-1][dark]
        if self.kind == "categorical":
            return [gray if v != v else CATEGORIES[int(v) % len(CATEGORIES)][dark] for v in values]
        place = (values - self.low) / (self.high - self.low or 1)
        place = place % 1 if self.kind == "circular" else np.clip(place, 0, 1)
        stops = MAPS[self.kind]
        return [gray if p != p else stops[round(p * (STOPS - 1))] for p in place]

    @clear_errors
    def groups(self, values: np.ndarray, dark: bool = False) -> Iterator[tuple[str, str, int, np.ndarray]]:
        """Label, colour, place among the markers and rows of each category; NaN is the last, "unknown"."""
        values = as_numbers("values", values)
        for i, label in enumerate(self.labels):
            yield label, self.colors([i], dark)[0], i % len(MARKERS), np.flatnonzero(values == i)
        if np.isnan(values).any():
            yield "unknown", PALETTE[-1][dark], len(MARKERS) - 1, np.flatnonzero(np.isnan(values))


@clear_errors
def scale_of(values: np.ndarray, label: str = "", kind: str = "", period: float | None = None) -> Scale:
    """The scale that fits numbers: circular with a period, categorical for text and few whole numbers.

    >>> scale_of(np.array([0.0, 0.25, 1.0])).kind
    'sequential'
    >>> scale_of(np.array(["star", "circle", "star"])).labels
    ('circle', 'star')
    """
    if values.dtype.kind in "USOb":
        return _categorical(sorted(set(_words(values)) - {""}), label)
    if period is not None:
        if not 0 < period < np.inf:
            raise ValueError(f"`period` must be a positive number, such as 360, got {period}")
        return Scale("circular", 0, period, label)
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    if kind == "diverging":
        reach = max(abs(low), abs(high)) or 1.0  # all zeros are in the middle of some scale
        return Scale("diverging", -reach, reach, label)
    if not kind and values.dtype.kind in "iu" and high - low < FEW:
        return _categorical(_words(np.unique(values)), label)
    return Scale("sequential", low, high, label)


def colored(
    color: ArrayLike | None, label: str, factor: Factor | None, period: float | None, count: int
) -> tuple[np.ndarray | None, Scale | None]:
    """Numbers and their scale; categories become the index of their label, NaN where there is none."""
    if color is None:
        return None, None
    values = as_array(color)
    if values.shape != (count,):
        raise ValueError(f"`color` needs one value for each of {count} points, got shape {values.shape}")
    if factor is None:
        scale = scale_of(values, label, period=period)
        if scale.kind == "categorical":
            index: dict[str, Any] = {word: i for i, word in enumerate(scale.labels)}
            return np.array([index.get(word, np.nan) for word in _words(values)], dtype=float), scale
        return values.astype(float), scale
    label, values = label or factor.name + (f" ({factor.unit})" if factor.unit else ""), values.astype(float)
    if factor.kind == "categorical":
        known = np.isin(values, range(len(factor.labels)))
        return np.where(known, values, np.nan), _categorical(factor.labels, label)
    kind: ScaleKind = "circular" if factor.kind == "circular" else "sequential"
    return values, Scale(kind, factor.low, factor.high, label)


def _categorical(labels: Sequence[str], label: str) -> Scale:
    return Scale("categorical", 0, max(1, len(labels) - 1), label, tuple(labels))


def _words(values: np.ndarray) -> list[str]:
    """Values as words, empty where none is known."""
    values = values.astype(str) if values.dtype.kind == "S" else values
    return ["" if value is None or value != value else str(value) for value in values]


@clear_errors
def oklab(lab: np.ndarray) -> np.ndarray:
    """sRGB in [0, 1] of OKLab colours `(..., 3)` (Ottosson 2020)."""
    to_lms = np.array(
        [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.291485548]]
    )
    to_rgb = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.707614701],
        ]
    )
    linear = np.clip((lab @ to_lms.T) ** 3 @ to_rgb.T, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def _hex(lab: np.ndarray) -> tuple[str, ...]:
    return tuple("#" + "".join(f"{round(255 * float(c)):02x}" for c in rgb) for rgb in oklab(lab))


def _through(*colors: tuple[float, float, float]) -> tuple[str, ...]:
    place = np.linspace(0, len(colors) - 1, STOPS)
    return _hex(np.stack([np.interp(place, range(len(colors)), c) for c in zip(*colors, strict=True)], 1))


def _around() -> tuple[str, ...]:
    """A circle in lightness against blue-yellow, tilted into red-green for those who see it."""
    angle = np.linspace(0, 2 * np.pi, STOPS)
    cos, sin = np.cos(angle), np.sin(angle)
    return _hex(np.stack([0.62 + 0.18 * cos, 0.06 * cos - 0.02, 0.12 * sin], 1))


MAPS: dict[str, tuple[str, ...]] = {
    "sequential": _through(
        (0.40, 0.01, -0.13), (0.51, -0.03, -0.11), (0.62, -0.07, -0.02), (0.73, -0.08, 0.08), (0.86, -0.02, 0.16)
    ),
    "circular": _around(),
    "diverging": _through(
        (0.40, -0.03, -0.12), (0.68, -0.03, -0.08), (0.94, 0.0, 0.0), (0.72, 0.06, 0.09), (0.47, 0.10, 0.09)
    ),
}  # fmt: skip
