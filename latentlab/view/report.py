"""Report: clips as looping videos beside figures and numbers, in one HTML file that needs nothing else.

A report is sections, a section is parts, a part is a `Strip` of players, a `Table` or a `Figure`. The page makes no
request: clips and pictures lie inside it, and its content security policy forbids the rest.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from latentlab.shapes import Video
from latentlab.store import write_text
from latentlab.video import data_uri
from latentlab.view.chart import Chart
from latentlab.view.figure import Figure
from latentlab.view.marks import Line, Panel
from latentlab.view.pages import render_page
from latentlab.view.style import PALETTE

SMALL, SHOWN, WIDEST = 128, 160, 320  # clips up to SMALL px wide are shown at SHOWN px, others at most at WIDEST
NUMBER = re.compile(r"[-+<>]?\s?\d[\d\s.,e%±+-]*")  # text that belongs in a column of numbers: "< 0.01", "3 ± 1"


@dataclass(frozen=True, eq=False)
class Player:
    """One looping clip.

    Args:
        video: `(1, 3, frame, height, width)` in [-1, 1].
        title: a few words.
        note: what was measured, shown small, such as "38.2 dB".
        fps: frames a second.

    Raises:
        ValueError: if the video is not one clip.

    >>> import torch
    >>> Player(torch.zeros(1, 3, 4, 64, 64), "gray").size
    (160, 160)
    """

    video: Video
    title: str
    note: str = ""
    fps: float = 8.0

    def __post_init__(self) -> None:
        if self.video.ndim != 5 or self.video.shape[:2] != (1, 3):
            raise ValueError(f"player {self.title!r} takes one clip (1, 3, F, H, W), got {tuple(self.video.shape)}")

    @property
    def small(self) -> bool:
        """Whether the clip is enlarged, in square pixels."""
        return self.video.shape[-1] <= SMALL

    @property
    def size(self) -> tuple[int, int]:
        """Width and height on the page, in CSS pixels."""
        height, width = self.video.shape[-2:]
        shown = SHOWN if self.small else min(width, WIDEST)
        return shown, max(1, round(shown * height / width))

    @property
    def uri(self) -> str:
        """The clip as an mp4 address; small ones doubled, as h264 keeps one colour for 2 x 2 pixels."""
        return data_uri(self.video, self.fps, scale=2 if self.small else 1)

    def coded(self) -> EncodedPlayer:
        """The same without its frames, to be kept as JSON."""
        return EncodedPlayer(self.title, self.note, self.uri, self.size, self.small)


@dataclass(frozen=True)
class EncodedPlayer:
    """A `Player` whose clip is coded already; its fields are those of the same names there."""

    title: str
    note: str
    uri: str
    size: tuple[int, int]
    small: bool


@dataclass(frozen=True)
class Strip:
    """Players in a row that wraps.

    Args:
        players: none is allowed, and said on the page.

    >>> Strip([]).players
    []
    """

    players: Sequence[Player | EncodedPlayer]
    kind: ClassVar[str] = "strip"


@dataclass(frozen=True)
class Table:
    """A small table; columns of numbers are aligned right and share their decimals.

    Args:
        columns: the headers, with units.
        rows: cells are text, numbers, or None where there is none; the first cell names its row.
        note: shown below.

    Raises:
        ValueError: if a row has not one cell a column.

    >>> Table(["method", "PSNR (dB)"], [["ddim", 31.456], ["leapfrog", 42]]).cells()
    [['ddim', '31.5'], ['leapfrog', '42']]
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    note: str = ""
    kind: ClassVar[str] = "table"

    def __post_init__(self) -> None:
        for number, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise ValueError(f"row {number} of a table of {len(self.columns)} columns has {len(row)} cells: {row}")

    def cells(self) -> list[list[str]]:
        """All cells as text, row by row."""
        written = [_column(column) for column in self._by_column()]
        return [[column[i] for column in written] for i in range(len(self.rows))]

    def numeric(self) -> list[bool]:
        """Whether each column holds numbers."""
        return [all(_is_number(value) for value in column) for column in self._by_column()]

    def _by_column(self) -> list[list[Any]]:
        """The cells column by column, numbers of numpy and torch as Python's own."""
        plain = [
            [value.item() if isinstance(value, np.generic | Tensor) else value for value in row] for row in self.rows
        ]
        return [[row[i] for row in plain] for i in range(len(self.columns))]


Part = Strip | Table | Figure


@dataclass(frozen=True)
class Section:
    """One question of the report.

    Args:
        title: its heading.
        text: paragraphs, divided by empty lines; may be empty.
        parts: strips, tables and figures, in order.
        how_to_read: one line that says what to look for.

    >>> Section("Inversion", "Clips and their reconstructions.").parts
    ()
    """

    title: str
    text: str = ""
    parts: Sequence[Part] = ()
    how_to_read: str = ""


@dataclass(frozen=True)
class Report:
    """A page of sections that works offline, from a file, in light and dark.

    Args:
        title: of the page.
        lead: one paragraph that says what was found.
        sections: in order; from four on, the page has a table of contents.
        footer: such as versions and seeds.

    >>> "<h1>Inversion</h1>" in Report("Inversion").html()
    True
    """

    title: str
    lead: str = ""
    sections: Sequence[Section] = ()
    footer: str = ""

    def html(self) -> str:
        """Returns the whole page."""
        return render_page("report.html", report=self, palette=PALETTE)

    def save(self, path: str | Path) -> None:
        """Writes the page to a file; a run killed midway leaves an older one whole."""
        write_text(path, self.html())


def line_figure(
    x: Sequence[float], series: Mapping[str, Sequence[float]], xlabel: str, ylabel: str, caption: str = ""
) -> Figure:
    """Draws lines as SVG that takes the text colour and font of the page.

    Args:
        x: shared by all series.
        series: by name, each as long as `x`; NaN leaves a gap.
        xlabel: with unit.
        ylabel: with unit.
        caption: shown below.

    Returns:
        The figure, its `alt` made of the labels and of where each line starts and ends.

    Raises:
        ValueError: if a series is not as long as `x`.

    >>> line_figure([1, 2], {"a": [3, 4]}, "step", "loss").alt
    'Lines of loss against step. a: 3 to 4.'
    """
    for name, y in series.items():
        if len(y) != len(x):
            raise ValueError(f"series {name!r} has {len(y)} values for {len(x)} of x")
    ends = [f"{name}: {float(y[0]):.3g} to {float(y[-1]):.3g}." for name, y in series.items() if len(y)]
    alt = " ".join([f"Lines of {ylabel} against {xlabel}.", *ends])
    lines = [
        Line(np.array(x, float), np.array(y, float), name, hue, dots=len(x) <= 20)
        for hue, (name, y) in enumerate(series.items())
    ]
    return Chart([Panel(lines, xlabel=xlabel, ylabel=ylabel)], alt, size=(5, 3)).figure(caption)


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return bool(NUMBER.fullmatch(value.strip()))
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _column(values: list[Any]) -> list[str]:
    """Floats with as many decimals as give their largest three digits, or each three digits if that hides one."""
    sizes = [abs(v) for v in values if isinstance(v, float) and math.isfinite(v) and v]
    decimals = max(0, 2 - math.floor(math.log10(max(sizes)))) if sizes else 0
    form = f".{decimals}f" if not sizes or (decimals < 7 and min(sizes) >= 10.0**-decimals) else ".3g"
    return ["\u2013" if v is None else format(v, form) if isinstance(v, float) else str(v) for v in values]
