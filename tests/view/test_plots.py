"""Plots: the numbers drawn are those given, by both drawers, and files come out the same and well formed."""

import base64
import importlib.util
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from scipy.stats import chi

import latentlab as ll
from latentlab.factors import Factor
from latentlab.view import plots
from latentlab.view.chart import Chart
from latentlab.view.chart_matplotlib import readable
from latentlab.view.marks import Columns, Heat, Intervals, Line, Picture, Points
from latentlab.view.projection import project
from latentlab.view.report import Report, Section
from latentlab.view.style import PAGE, TEXT

RNG = np.random.default_rng(0)
SHAPE = Factor("shape", "categorical", 0, 1, labels=("star", "circle"))
screens = pytest.mark.skipif(importlib.util.find_spec("plotly") is None, reason="plotly is not installed (notebook)")


def flickering() -> Chart:
    return plots.flicker(ll.flicker(torch.rand(1, 3, 6, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1))


CHARTS = {
    "map": lambda: plots.projection(RNG.normal(size=(30, 2))),
    "map by shape": lambda: plots.projection(RNG.normal(size=(4, 2)), ["a", "b", "a", "<c>"], label="shape"),
    "map by hue": lambda: plots.projection(RNG.normal(size=(4, 2)), [0.0, 90, 180, np.nan], period=360),
    "map by cluster": lambda: plots.projection(RNG.normal(size=(4, 2)), [-1, 0, 1, -1]),
    "map by what is known": lambda: plots.projection(RNG.normal(size=(4, 2)), [0, np.nan, 1, 0], factor=SHAPE),
    "trajectory": lambda: plots.trajectory(RNG.normal(size=(5, 3, 2)), np.linspace(0, 1, 5)),
    "traversal": lambda: plots.traversal({"light": torch.zeros(3, 3, 4, 8, 8)}, [-1, 0, 1]),
    "effects": lambda: plots.effect_matrix([[1.0, np.nan], [-0.2, 0.9]], ["a", "b"], ["light", "size"]),
    "bars": lambda: plots.metric_bars({"mig": (0.4, (0.3, 0.5), 0.1), "sap": 0.2}),
    "flicker": flickering,
    "norms": lambda: plots.norms(RNG.normal(size=(50, 9))),
    "scree": lambda: plots.scree(RNG.normal(size=(50, 9))),
    "attention": lambda: plots.attention(RNG.random((3, 2, 4, 4)), ["red", "star"]),
}


def marks(chart: Chart, kind: type) -> list:
    return [mark for panel in chart.panels for mark in panel.marks if isinstance(mark, kind)]


@pytest.mark.parametrize("name", CHARTS)
def test_files_are_well_formed_and_repeat(name, tmp_path):
    chart = CHARTS[name]()
    ElementTree.fromstring(chart.svg())
    assert chart.svg() == chart.svg()
    for dark in (False, True):
        chart.save(tmp_path / "new" / "a.png", dark=dark)
        assert (tmp_path / "new" / "a.png").read_bytes().startswith(b"\x89PNG")
    svg = str(chart.figure().svg_or_png)
    ElementTree.fromstring(svg)
    assert "currentColor" in svg or name == "map"  # where nothing is written


@screens
@pytest.mark.parametrize("name", CHARTS)
def test_screens_show_as_many_points_as_files(name):
    chart = CHARTS[name]()
    figure = chart.plotly(dark=True)
    drawn = sum(len(t.x) for t in figure.data if t.type in ("scatter", "scattergl") and t.mode == "markers")
    rows = sum(len(m.names) * 2 for m in marks(chart, Intervals))
    assert drawn == sum(len(m.x) for m in marks(chart, Points)) + rows
    assert sum(t.type == "heatmap" for t in figure.data) == len(marks(chart, Heat))
    assert sum(t.type == "image" for t in figure.data) == len(marks(chart, Picture))
    assert "script" in figure.to_html(include_plotlyjs=False)


def test_files_show_every_point_of_a_category():
    for name in ("map by cluster", "map by what is known"):
        (axes,) = CHARTS[name]().matplotlib().axes
        assert sum(len(drawn.get_offsets()) for drawn in axes.collections) == 4
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["star", "circle", "unknown"]


@screens
@pytest.mark.parametrize("dark", [False, True])
def test_screens_have_a_ground_of_their_own(dark, tmp_path):
    layout = CHARTS["bars"]().plotly(dark=dark).layout
    assert (layout.paper_bgcolor, layout.plot_bgcolor, layout.font.color) == (PAGE[dark], PAGE[dark], TEXT[dark])
    CHARTS["bars"]().save(tmp_path / "bars.html", dark=dark)
    assert f'<body style="background:{PAGE[dark]}">' in (tmp_path / "bars.html").read_text()


@screens
def test_angles_are_wrapped_on_screens_as_in_files():
    around = plots.projection(np.zeros((3, 2)), [-90.0, 370.0, 90.0], period=360)
    (trace,) = around.plotly().data
    np.testing.assert_array_equal(trace.marker.color, [270, 10, 90])


@screens
def test_a_notebook_shows_plotly_and_a_page_is_written(tmp_path, monkeypatch):
    import plotly.io

    pytest.importorskip("nbformat", reason="nbformat, which notebooks bring, is not installed")
    monkeypatch.setattr(plotly.io.renderers, "default", "plotly_mimetype")
    chart = CHARTS["map"]()
    shown = chart._repr_mimebundle_()
    assert any("plotly" in kind for kind in shown)
    assert base64.b64decode(shown["image/png"]).startswith(b"\x89PNG")
    chart.save(tmp_path / "map.html")
    assert "https://" not in (tmp_path / "map.html").read_text()[:300]


def test_without_plotly_a_notebook_shows_a_picture(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "plotly.subplots", None)
    chart = CHARTS["map"]()
    assert "<svg" in chart._repr_mimebundle_()["image/svg+xml"]
    with pytest.raises(ImportError, match=r"pip install 'latentlab\[notebook\]'"):
        chart.plotly()


def test_a_projection_plots_itself_with_its_quality():
    found = project(RNG.normal(size=(40, 5)), repeats=0)
    chart = found.plot(np.arange(40) * 9.0, factor=Factor("hue", "circular", 0, 360, "degrees"))
    (points,) = marks(chart, Points)
    np.testing.assert_array_equal(points.x, found.points[:, 0])
    assert (points.scale.kind, points.scale.label) == ("circular", "hue (degrees)")
    assert f"trustworthiness {found.quality.trustworthiness:.2f}" in chart.note


def test_words_get_the_index_of_their_label():
    (points,) = marks(plots.projection(np.eye(2), ["star", "circle"]), Points)
    assert [points.scale.labels[int(i)] for i in points.color] == ["star", "circle"]


def test_pictures_of_a_traversal_are_the_frames():
    clip = torch.zeros(2, 3, 3, 64, 64)
    clip[0, 0, 1] = 1.0
    (picture,) = marks(plots.traversal({"red": clip}, [0, 2]), Picture)
    assert picture.pixels[10, 10].tolist() == [255, 128, 128, 255]
    assert picture.pixels[10, -10].tolist() == [128, 128, 128, 255]
    assert 0 in picture.pixels[..., 3]


def test_interval_of_an_adjusted_score_is_drawn_around_the_published_one():
    score = SimpleNamespace(name="mig", value=0.55, null=0.1, adjusted=0.5, ci=(0.4, 0.6))
    (bars,) = marks(plots.metric_bars([score]), Intervals)
    assert (bars.low[0], bars.high[0]) == (pytest.approx(0.46), pytest.approx(0.64))
    assert bars.values[0] == pytest.approx(0.1 + 0.5 * 0.9)


@pytest.mark.parametrize("score", [0.4, np.float32(0.4), torch.tensor(0.4), (0.4, None, None), [0.4, None, None]])
def test_a_score_is_a_number_of_any_kind(score):
    (bars,) = marks(plots.metric_bars({"a": score}), Intervals)
    assert bars.values[0] == pytest.approx(0.4)
    assert np.isnan([bars.low[0], bars.null[0]]).all()


def test_codes_that_are_all_the_same_have_a_norm():
    (columns,) = marks(plots.norms(np.ones((5, 4))), Columns)
    assert columns.edges[0] < 2 < columns.edges[-1]


def test_norms_follow_the_law():
    chart = plots.norms(np.random.default_rng(0).normal(size=(4000, 64)))
    (columns,), (law,) = marks(chart, Columns), marks(chart, Line)
    assert columns.heights @ np.diff(columns.edges) == pytest.approx(1)
    middle = (columns.edges[1:] + columns.edges[:-1]) / 2
    np.testing.assert_allclose(columns.heights, chi(64).pdf(middle), atol=0.09)
    assert law.y.max() == pytest.approx(chi(64).pdf(np.sqrt(63)), rel=0.01)


def test_scree_is_the_variance_and_structure_exceeds_the_null():
    codes = np.random.default_rng(0).normal(size=(200, 1)) @ np.ones((1, 6)) + np.random.default_rng(1).normal(
        size=(200, 6)
    )
    for rows in (codes, codes[:5]):  # fewer samples than dims takes the other way
        share, null, _ = marks(plots.scree(rows), Line)
        values = np.linalg.svd(rows - rows.mean(0), compute_uv=False) ** 2
        np.testing.assert_allclose(share.y, (values / values.sum())[: len(share.y)], atol=1e-9)
    share, null, _ = marks(plots.scree(codes), Line)
    assert share.y[0] > 2 * null.y[0]
    assert share.y[1] < null.y[1]


def test_attention_has_one_scale():
    maps = np.zeros((2, 2, 4, 4))
    maps[0, 1] = 1.0
    (picture,) = marks(plots.attention(maps, ["a", "b"], top=1.0), Picture)
    assert picture.pixels[2, 2].tolist() != picture.pixels[-2, 2].tolist()
    assert picture.pixels[2, 2].tolist() == picture.pixels[2, -2].tolist()


def test_text_on_colours_can_be_read():
    assert (readable("#000000"), readable("#0072b2"), readable("#eeee22")) == ("#ffffff", "#ffffff", "#000000")


def test_charts_are_parts_of_a_report():
    html = Report("r", sections=[Section("s", parts=[CHARTS["bars"]().figure("Scores.")])]).html()
    assert "var(--series-0" in html
    assert "Scores." in html


def test_mistakes_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"\(sample, 2\), got shape \(3, 3\)"):
        plots.projection(np.eye(3))
    with pytest.raises(ValueError, match="one value for each of 2 points"):
        plots.projection(np.eye(2), [1, 2, 3])
    with pytest.raises(ValueError, match=r"\(step, sample, 2\) with a level a step"):
        plots.trajectory(np.zeros((3, 2, 2)), [0, 1])
    with pytest.raises(ValueError, match=r"got \(0, 3, 2\) and \(0,\)"):
        plots.trajectory(np.zeros((0, 3, 2)), [])
    for wrong in ("high", None, (0.4, 0.1), [0.4, 0.3, 0.1], torch.ones(2)):
        with pytest.raises(ValueError, match=r"'a' must be a Score, a number or \(value"):
            plots.metric_bars({"a": wrong})
    with pytest.raises(ValueError, match="all codes are the same"):
        plots.scree(np.ones((9, 4)))
    with pytest.raises(ValueError, match="each of 2 strengths"):
        plots.traversal({"a": torch.zeros(3, 3, 4, 8, 8)}, [0, 1])
    with pytest.raises(ValueError, match="at least one direction"):
        plots.traversal({}, [0, 1])
    with pytest.raises(ValueError, match=r"effects must be \(1, 2\)"):
        plots.effect_matrix([[1.0]], ["a"], ["b", "c"])
    with pytest.raises(ValueError, match="no scores"):
        plots.metric_bars({})
    with pytest.raises(ValueError, match="2 words"):
        plots.attention(np.zeros((3, 1, 4, 4)), ["a", "b"])
    with pytest.raises(ValueError, match=r"\.png, \.svg, \.pdf or \.html, got 'a\.jpg'"):
        CHARTS["map"]().save(tmp_path / "a.jpg")
