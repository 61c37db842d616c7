"""Charts by matplotlib, for files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from latentlab.view.marks import Columns, Heat, Intervals, Line, Mark, Panel, Picture, Points
from latentlab.view.style import DASHES, INK, MAPS, MARKERS, PAGE, PALETTE, SOFT, TEXT, Scale

GRAY = len(PALETTE) - 1


def matplotlib_figure(panels: Sequence[Panel], note: str, size: tuple[float, float], dark: bool | None) -> Figure:
    """The figure; `dark` None draws in the ink that a report turns into its own."""
    ink = INK if dark is None else TEXT[dark]
    soft = INK if dark is None else SOFT[dark]
    colored = dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), ink)
    page = "none" if dark is None else PAGE[dark]
    style: Any = {"font.size": 10, "axes.titlesize": 10, "text.parse_math": False, **colored}
    with rc_context(style):
        figure = Figure(figsize=size, layout="constrained", facecolor=page)
        row = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, panel in zip(row, panels, strict=True):
            _panel(axes, panel, bool(dark), ink)
        if note:
            figure.supxlabel(note, x=0.02, ha="left", fontsize=8.5, color=soft, wrap=True)
    return figure


def _panel(axes: Axes, panel: Panel, dark: bool, ink: str) -> None:
    axes.set_facecolor("none")
    bare = panel.xticks is not None and not len(panel.xticks[0])  # a map, whose axes mean nothing
    framed = bare or any(isinstance(mark, Heat | Picture) for mark in panel.marks)
    axes.spines[:].set_visible(False) if framed else axes.spines[["top", "right"]].set_visible(False)
    if not framed:
        axes.grid(color=ink, alpha=0.12, linewidth=0.6)
        axes.set_axisbelow(True)
    for mark in panel.marks:
        _mark(axes, mark, dark, ink)
    axes.set(xlabel=panel.xlabel, ylabel=panel.ylabel)
    axes.set_title(panel.title, loc="left")
    for axis, ticks in ((axes.xaxis, panel.xticks), (axes.yaxis, panel.yticks)):
        if ticks is not None:
            axis.set_ticks(list(ticks[0]), labels=list(ticks[1]))
            axis.grid(False)
    if framed:
        axes.tick_params(length=0)
    if panel.equal:
        axes.set_aspect("equal", adjustable="datalim")
    handles, names = axes.get_legend_handles_labels()
    if names:
        longest = max(map(len, names))
        columns = len(names) if sum(len(name) + 5 for name in names) <= 50 else 2 if longest < 22 else 1
        axes.legend(
            handles, [name.strip() for name in names], loc="lower left", frameon=False,
            bbox_to_anchor=(0, 1.08 if panel.title else 1.02),
            ncols=columns, borderaxespad=0, handlelength=2.2, columnspacing=1.2, handletextpad=0.5, fontsize=9,
        )  # fmt: skip


def _mark(axes: Axes, mark: Mark, dark: bool, ink: str) -> None:
    if isinstance(mark, Points):
        _points(axes, mark, dark)
    elif isinstance(mark, Line):
        color = PALETTE[GRAY if mark.soft else mark.hue % len(PALETTE)][dark]
        dash = "-" if mark.soft else DASHES[mark.hue % len(DASHES)]
        if mark.low is not None and mark.high is not None:
            axes.fill_between(mark.x, mark.low, mark.high, color=color, alpha=0.2, linewidth=0)
        axes.plot(
            mark.x, mark.y, color=color, linestyle=dash, linewidth=0.8 if mark.soft else 1.8,
            marker="o" if mark.dots else "", markersize=4, label=_label(mark.name), zorder=1.5 if mark.soft else 2,
        )  # fmt: skip
    elif isinstance(mark, Columns):
        color = PALETTE[mark.hue][dark]
        axes.bar(mark.edges[:-1], mark.heights, np.diff(mark.edges), align="edge", color=color, alpha=0.55,
                 label=_label(mark.name))  # fmt: skip
    elif isinstance(mark, Intervals):
        _intervals(axes, mark, dark, ink)
    elif isinstance(mark, Heat):
        _heat(axes, mark, ink)
    else:
        assert isinstance(mark, Picture)
        axes.imshow(mark.pixels, interpolation="nearest", aspect="equal")


def _points(axes: Axes, mark: Points, dark: bool) -> None:
    flat: dict[str, Any] = {"s": mark.size**2, "linewidths": 0, "rasterized": len(mark.x) > 5000}
    if mark.scale is None or mark.color is None:
        axes.scatter(
            mark.x, mark.y, color=PALETTE[mark.hue][dark], marker=MARKERS[mark.marker], label=_label(mark.name), **flat
        )
        return
    if mark.scale.kind != "categorical":
        axes.scatter(mark.x, mark.y, c=mark.scale.colors(mark.color, dark), marker=MARKERS[mark.marker], **flat)
        _bar(axes, mark.scale)
        return
    for label, color, marker, rows in mark.scale.groups(mark.color, dark):
        axes.scatter(mark.x[rows], mark.y[rows], color=color, marker=MARKERS[marker], label=_label(label), **flat)


def _bar(axes: Axes, scale: Scale) -> None:
    mappable = ScalarMappable(Normalize(scale.low, scale.high or 1), ListedColormap(list(MAPS[scale.kind])))
    assert axes.figure is not None
    bar: Any = axes.figure.colorbar(mappable, ax=axes, fraction=0.05, pad=0.03, shrink=0.9, label=scale.label)
    bar.outline.set_visible(False)
    if scale.kind == "circular" and scale.high == 360:
        bar.set_ticks([0, 90, 180, 270, 360])


def _intervals(axes: Axes, mark: Intervals, dark: bool, ink: str) -> None:
    rows = np.arange(len(mark.names))
    axes.barh(rows, mark.values, height=0.55, color=PALETTE[0][dark], alpha=0.75)
    known = np.isfinite(mark.low) & np.isfinite(mark.high)
    axes.hlines(rows[known], mark.low[known], mark.high[known], color=ink, linewidth=1.6)
    null = np.isfinite(mark.null)
    axes.vlines(mark.null[null], rows[null] - 0.4, rows[null] + 0.4, color=PALETTE[1][dark], linewidth=2.4)
    axes.set_yticks(rows, list(mark.names))
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
    if known.any():
        axes.add_line(Line2D([], [], color=ink, linewidth=1.6, label="95 % interval"))
    if null.any():
        axes.add_line(Line2D([], [], color=PALETTE[1][dark], linewidth=2.4, label="null level"))


def _heat(axes: Axes, mark: Heat, ink: str) -> None:
    scale, (rows, columns) = mark.scale, mark.values.shape
    shown = np.ma.masked_invalid(mark.values)
    axes.imshow(
        shown, cmap=ListedColormap(list(MAPS[scale.kind])), vmin=scale.low, vmax=scale.high, interpolation="nearest",
        aspect="auto" if mark.written else "equal",
    )  # fmt: skip
    _bar(axes, scale)
    if not mark.written:
        return
    for i in range(rows):
        for j in range(columns):
            value = mark.values[i, j]
            if np.isfinite(value):
                color = readable(scale.colors([value])[0])
                axes.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=8.5, color=color)


def _label(name: str) -> str | None:
    """A name for the legend, from which matplotlib leaves those that begin with an underscore."""
    return f" {name}" if name else None


def readable(background: str) -> str:
    """Black or white, whichever has more contrast on a colour (WCAG's relative luminance)."""
    linear = [(int(background[i : i + 2], 16) / 255) ** 2.2 for i in (1, 3, 5)]
    return "#ffffff" if 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] < 0.18 else "#000000"
