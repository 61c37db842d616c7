"""The lasso of a notebook: what the front end says comes back as rows."""

import importlib.util

import matplotlib.colors
import numpy as np
import pytest

from latentlab.factors import Factor
from latentlab.view.lasso import Lasso
from latentlab.view.style import colored

try:
    from jscatter.jscatter import order_map
except ImportError:
    order_map = None

POINTS = np.random.default_rng(0).normal(size=(6, 2))


def installed(*names: str):
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


def select(widget, chosen: list[tuple[int, int]]) -> None:
    """What plotly's front end sends after a lasso: (trace, point in it) of each point inside."""
    traces, points = [t for t, _ in chosen], [p for _, p in chosen]
    inside = {"xs": [0.0] * len(chosen), "ys": [0.0] * len(chosen), "point_indexes": points, "trace_indexes": traces}
    widget._js2py_pointsCallback = {"event_type": "plotly_selected", "points": inside, "selector": None}


@installed("plotly", "anywidget")
def test_rows_of_a_lasso():
    lasso = Lasso(POINTS, np.linspace(0, 1, 6))
    assert lasso.widget.layout.dragmode == "lasso"
    assert lasso.selected.tolist() == []
    select(lasso.widget, [(0, 4), (0, 1)])
    assert lasso.selected.tolist() == [1, 4]
    select(lasso.widget, [(0, 2)])
    assert lasso.selected.tolist() == [2]


@installed("plotly", "anywidget")
def test_rows_of_categories_are_those_of_the_map():
    lasso = Lasso(POINTS, ["b", "a", "b", "a", "b", "a"])
    select(lasso.widget, [(0, 0), (1, 2)])  # first of "a", third of "b"
    assert lasso.selected.tolist() == [1, 4]
    select(lasso.widget, [(1, 0)])  # the other category is empty now
    assert lasso.selected.tolist() == [0]
    assert POINTS[lasso.selected].shape == (1, 2)


@installed("jscatter")
def test_rows_of_jupyter_scatter():
    for color in (None, np.linspace(0, 1, 6), ["b", "a", "b", "a", "b", "a"]):
        lasso = Lasso(POINTS, color, tool="jupyter-scatter")
        assert lasso.selected.tolist() == []
        lasso.widget.selection([3, 1])
        assert lasso.selected.tolist() == [1, 3]


def colors_of(widget) -> list[str]:
    """What jupyter-scatter paints each point with: index or place of the point among the colours."""
    stops = [matplotlib.colors.to_hex(c) for c in order_map(widget._color_map, widget._color_order)]
    values = widget._points[:, 2]
    index = values if widget._color_categories else np.round(values * (len(stops) - 1))
    return [stops[int(i)] for i in index]


@installed("jscatter")
def test_jupyter_scatter_has_the_colours_of_the_map():
    """Also where nothing is known: gray, and not the colour of some number or category."""
    many = [f"kind {i}" for i in (10, 2, 1, 3, 5, 7)]  # of which some sort otherwise as text than as numbers
    shape = Factor("shape", "categorical", 0, 2, labels=("circle", "square", "star"))
    for color, options in (
        (["b", None, "a", "b", "a", "c"], {}),
        (many, {}),
        (np.array([2.0, np.nan, 0.0, 2.0, 7.0, 0.0]), {"factor": shape}),
        (np.array([0.2, np.nan, 0.4, 0.6, 0.8, 0.3]), {}),
        (np.array([-90.0, 370.0, 90.0, 180.0, 10.0, np.nan]), {"period": 360}),
        (np.array([0.2, 0.3, 0.4, 0.6, 0.8, 0.3]), {"factor": Factor("light", "continuous", 0, 1)}),
    ):
        values, scale = colored(color, "", options.get("factor"), options.get("period"), 6)
        shown = colors_of(Lasso(POINTS, color, tool="jupyter-scatter", **options).widget)
        assert shown == [matplotlib.colors.to_hex(c) for c in scale.colors(values)], color


def test_what_is_missing_is_named(monkeypatch):
    with pytest.raises(ValueError, match="plotly or jupyter-scatter, got 'bokeh'"):
        Lasso(POINTS, tool="bokeh")
    monkeypatch.setitem(__import__("sys").modules, "jscatter", None)
    with pytest.raises(ImportError, match=r"pip install 'latentlab\[scatter\]'"):
        Lasso(POINTS, tool="jupyter-scatter")
