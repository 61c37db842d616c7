"""Charts by plotly, for screens: the same marks, with zoom and values under the pointer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from latentlab.view.marks import Columns, Heat, Intervals, Line, Mark, Panel, Picture, Points
from latentlab.view.style import MAPS, PAGE, PALETTE, SCREEN_DASHES, SCREEN_MARKERS, SOFT, TEXT, Scale

GRAY = len(PALETTE) - 1
SPARE = ["zoomIn", "zoomOut", "autoScale", "resetScale"]  # buttons that the wheel and a double click spare; colour
# bars and legends need their room
MANY = 2_000  # points from which WebGL draws them


def plotly_figure(panels: Sequence[Panel], note: str, size: tuple[float, float], dark: bool) -> Any:
    """A `plotly.graph_objects.Figure`, on a ground of its own: a notebook or a site may be dark or light."""
    try:
        from plotly.subplots import make_subplots
    except ImportError as error:
        raise ImportError("plotly is not installed; pip install 'latentlab[notebook]'") from error
    figure = make_subplots(1, len(panels), subplot_titles=[panel.title for panel in panels])
    for column, panel in enumerate(panels, 1):
        where: Any = {"row": 1, "col": column}
        framed = any(isinstance(mark, Heat | Picture) for mark in panel.marks)
        grid = {
            "showgrid": not framed,
            "gridcolor": "rgba(128,128,128,.2)",
            "zeroline": False,
            "automargin": True,
            "ticklabelstandoff": 4,
        }
        figure.update_xaxes(title=panel.xlabel, **grid, **_ticks(panel.xticks), **where)
        figure.update_yaxes(title=panel.ylabel, **grid, **_ticks(panel.yticks), **where)
        for mark in panel.marks:
            for trace in _traces(mark, dark, TEXT[dark], _bar_place(column, len(panels))):
                figure.add_trace(trace, **where)
            if isinstance(mark, Heat | Picture):
                figure.update_yaxes(autorange="reversed", **where)
            if isinstance(mark, Intervals):
                figure.update_yaxes(autorange="reversed", showgrid=False, **where)
        square = any(isinstance(m, Picture) or (isinstance(m, Heat) and not m.written) for m in panel.marks)
        if panel.equal or square:
            axis = "x" if column == 1 else f"x{column}"
            figure.update_yaxes(scaleanchor=axis, scaleratio=1, constrain="domain", **where)
            figure.update_xaxes(constrain="domain", **where)
    width, height = (round(100 * inches) for inches in size)
    figure.update_layout(
        template="none", width=width, height=height, paper_bgcolor=PAGE[dark], plot_bgcolor=PAGE[dark],
        font={"color": TEXT[dark], "size": 13}, margin={"l": 60, "r": 20, "t": 40, "b": 80 if note else 50},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}, bargap=0,
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": SOFT[dark], "activecolor": TEXT[dark], "remove": SPARE},
    )  # fmt: skip
    if note:
        words = {"text": _wrapped(note, (width - 80) // 6), "font": {"size": 11, "color": SOFT[dark]}}
        place = {"xref": "paper", "yref": "paper", "x": 0, "y": 0, "xanchor": "left", "yanchor": "top", "yshift": -38}
        figure.add_annotation(**words, **place, showarrow=False, align="left")
    return figure


def _traces(mark: Mark, dark: bool, ink: str, bar: dict[str, Any]) -> list[Any]:
    import plotly.graph_objects as go

    if isinstance(mark, Points):
        return _points(mark, dark, bar)
    if isinstance(mark, Line):
        color = PALETTE[GRAY if mark.soft else mark.hue % len(PALETTE)][dark]
        line = {"color": color, "width": 1 if mark.soft else 2.2}
        line["dash"] = "solid" if mark.soft else SCREEN_DASHES[mark.hue % len(SCREEN_DASHES)]
        mode = "lines+markers" if mark.dots else "lines"
        shown = {"name": mark.name, "showlegend": bool(mark.name), "hoverinfo": "skip" if mark.soft else "all"}
        traces = [go.Scatter(x=mark.x, y=mark.y, mode=mode, line=line, **shown)]
        if mark.low is not None and mark.high is not None:
            x, y = np.concatenate([mark.x, mark.x[::-1]]), np.concatenate([mark.high, mark.low[::-1]])
            fill = {"fill": "toself", "fillcolor": color, "opacity": 0.2, "line": {"width": 0}}
            traces.append(go.Scatter(x=x, y=y, showlegend=False, hoverinfo="skip", **fill))
        return traces
    if isinstance(mark, Columns):
        middle, width = (mark.edges[1:] + mark.edges[:-1]) / 2, np.diff(mark.edges)
        fill = {"color": PALETTE[mark.hue][dark], "opacity": 0.55}
        return [go.Bar(x=middle, y=mark.heights, width=width, marker=fill, name=mark.name, showlegend=bool(mark.name))]
    if isinstance(mark, Intervals):
        return _intervals(mark, dark, ink)
    if isinstance(mark, Heat):
        scale = mark.scale
        text: Any = {"text": mark.values, "texttemplate": "%{text:.2f}"} if mark.written else {}
        edges = {"zmin": scale.low, "zmax": scale.high, "colorscale": _stops(scale)}
        label = {"title": {"text": scale.label, "side": "right"}, "outlinewidth": 0, "thickness": 14, **bar}
        return [go.Heatmap(z=mark.values, **edges, **text, colorbar=label, hoverongaps=False)]
    assert isinstance(mark, Picture)
    return [go.Image(z=mark.pixels, colormodel="rgba", hoverinfo="skip")]


def _points(mark: Points, dark: bool, bar: dict[str, Any]) -> list[Any]:
    import plotly.graph_objects as go

    kind = go.Scattergl if len(mark.x) > MANY else go.Scatter
    scale, size = mark.scale, mark.size * 1.4
    if scale is None or mark.color is None:
        look = {"color": PALETTE[mark.hue][dark], "size": size, "symbol": SCREEN_MARKERS[mark.marker]}
        shown = {"name": mark.name, "showlegend": bool(mark.name)}
        return [kind(x=mark.x, y=mark.y, mode="markers", marker=look, customdata=np.arange(len(mark.x)), **shown)]
    if scale.kind != "categorical":
        label = {"title": {"text": scale.label, "side": "right"}, "outlinewidth": 0, "thickness": 14, **bar}
        if scale.kind == "circular" and scale.high == 360:
            label["tickvals"] = [0, 90, 180, 270, 360]
        turn = scale.high - scale.low
        numbers = scale.low + (mark.color - scale.low) % turn if scale.kind == "circular" else mark.color
        colored = {"color": numbers, "colorscale": _stops(scale), "cmin": scale.low, "cmax": scale.high}
        look = {**colored, "size": size, "colorbar": label, "showscale": True, "symbol": SCREEN_MARKERS[mark.marker]}
        ids = np.arange(len(mark.x))
        tip = "row %{customdata}: %{marker.color:.3g}<extra></extra>"
        return [kind(x=mark.x, y=mark.y, mode="markers", marker=look, customdata=ids, hovertemplate=tip,
                     showlegend=False)]  # fmt: skip
    traces = []
    for label, color, marker, rows in scale.groups(mark.color, dark):
        look = {"color": color, "size": size, "symbol": SCREEN_MARKERS[marker]}
        tip = "row %{customdata}<extra>" + label + "</extra>"
        traces.append(kind(x=mark.x[rows], y=mark.y[rows], mode="markers", marker=look, name=label,
                           customdata=rows, hovertemplate=tip))  # fmt: skip
    return traces


def _intervals(mark: Intervals, dark: bool, ink: str) -> list[Any]:
    import plotly.graph_objects as go

    names = list(mark.names)
    bars = {"marker": {"color": PALETTE[0][dark], "opacity": 0.75}, "width": 0.55, "showlegend": False}
    traces: list[Any] = [go.Bar(x=mark.values, y=names, orientation="h", name="value", **bars)]
    if np.isfinite(mark.low).any():
        ends = {"array": mark.high - mark.values, "arrayminus": mark.values - mark.low, "symmetric": False}
        look = {"mode": "markers", "marker": {"color": ink, "size": 1}, "name": "95 % interval"}
        traces.append(go.Scatter(x=mark.values, y=names, error_x={**ends, "color": ink, "width": 0}, **look))
    if np.isfinite(mark.null).any():
        color = PALETTE[1][dark]
        tick = {"symbol": "line-ns", "size": 18, "line": {"color": color, "width": 3}}
        traces.append(go.Scatter(x=mark.null, y=names, mode="markers", marker=tick, name="null level"))
    return traces


def _stops(scale: Scale) -> list[list[Any]]:
    colors = MAPS[scale.kind]
    return [[i / (len(colors) - 1), color] for i, color in enumerate(colors)]


def _ticks(ticks: Any) -> dict[str, Any]:
    if ticks is None:
        return {}
    return {"tickvals": list(ticks[0]), "ticktext": list(ticks[1]), "showticklabels": bool(len(ticks[0])), "ticks": ""}


def _bar_place(column: int, count: int) -> dict[str, Any]:
    """Beside its own panel: panels share the width, with a gap of 0.2 / count as plotly leaves it."""
    gap = 0.2 / count
    width = (1 - gap * (count - 1)) / count
    return {"x": column * width + (column - 1) * gap + 0.01, "xanchor": "left"}


def _wrapped(text: str, width: int) -> str:
    import textwrap

    return "<br>".join(textwrap.wrap(text, width))
