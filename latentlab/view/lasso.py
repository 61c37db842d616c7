"""A map in a notebook whose lasso comes back to Python: the rows that are selected are there in the next cell."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from latentlab.view.plots import projection
from latentlab.view.projection import Projection
from latentlab.view.style import STOPS, colored

TOOLS = ("plotly", "jupyter-scatter")


class Lasso:
    """A map to select from, shown by a notebook.

    Args:
        found: of `project`, or any `(sample, 2)`.
        color: as for `latentlab.view.plots.projection`.
        tool: "plotly", or "jupyter-scatter", which draws millions of points and is an extra.
        options: for `latentlab.view.plots.projection`.

    Attributes:
        widget: what the notebook shows.

    Raises:
        ImportError: the tool, or the widgets that it needs, are not installed.
        ValueError: an unknown tool.

    In one cell `lasso = Lasso(found, factors["light"])`, then `lasso`; draw; in the next `codes[lasso.selected]`.
    """

    def __init__(
        self, found: Projection | ArrayLike, color: ArrayLike | None = None, *, tool: str = "plotly", **options: Any
    ) -> None:
        if tool not in TOOLS:
            raise ValueError(f"`tool` must be {' or '.join(TOOLS)}, got {tool!r}")
        self.count = len(np.asarray(found))
        self.widget = {"plotly": _plotly, "jupyter-scatter": _jupyter_scatter}[tool](found, color, options)
        self._read = {"plotly": _plotly_rows, "jupyter-scatter": _jupyter_scatter_rows}[tool]
        self._shown = {"plotly": lambda widget: widget, "jupyter-scatter": lambda widget: widget.show()}[tool]

    @property
    def selected(self) -> np.ndarray:
        """Rows inside the last lasso, in order; none before the first."""
        return np.sort(np.asarray(self._read(self.widget), dtype=np.int64))

    def _repr_mimebundle_(self, **options: Any) -> Any:
        return self._shown(self.widget)._repr_mimebundle_(**options)


def _plotly(found: Any, color: Any, options: dict[str, Any]) -> Any:
    chart = projection(found, color, **options)
    figure = chart.plotly()
    try:
        from plotly.graph_objects import FigureWidget

        widget = FigureWidget(figure)
    except ImportError as error:
        raise ImportError("a lasso needs anywidget; pip install 'latentlab[notebook]'") from error
    widget.update_layout(dragmode="lasso")
    return widget


def _plotly_rows(widget: Any) -> list[int]:
    return [int(trace.customdata[i]) for trace in widget.data for i in trace.selectedpoints or ()]


def _jupyter_scatter(found: Any, color: Any, options: dict[str, Any]) -> Any:
    try:
        import jscatter  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ImportError("jupyter-scatter is not installed; pip install 'latentlab[scatter]'") from error
    points = np.asarray(found, dtype=float)
    known = {name: options.get(name) for name in ("factor", "period")}
    values, scale = colored(color, options.get("label", ""), known["factor"], known["period"], len(points))
    widget = jscatter.Scatter(x=points[:, 0], y=points[:, 1])
    if values is not None and scale is not None and scale.kind == "categorical":
        words, colors = np.empty(len(values), dtype=object), {}
        for label, color, _, rows in scale.groups(values):
            words[rows] = label
            colors |= {label: color} if len(rows) else {}
        widget.color(by=words.astype(str), map=colors)
    elif values is not None and scale is not None:
        place = (values - scale.low) / (scale.high - scale.low or 1)
        place = place % 1 if scale.kind == "circular" else np.clip(place, 0, 1)
        stops = scale.colors(np.linspace(scale.low, scale.high, STOPS))
        if np.isnan(place).any():  # jupyter-scatter would call them 0; here a last colour, gray, is theirs
            place, stops = np.nan_to_num(place * (STOPS - 1) / STOPS, nan=1.0), [*stops, *scale.colors([np.nan])]
        widget.color(by=place, map=stops, norm=(0, 1))
    return widget


def _jupyter_scatter_rows(widget: Any) -> Any:
    return widget.selection()
