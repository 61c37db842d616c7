"""One good call of each public function of the modules of `latentlab.view` that `doors` has none of."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from doors_of_control import CLIP, Call, draw
from doors_of_study import asked

import latentlab as ll
from latentlab import view
from latentlab.metrics.flow import still
from latentlab.view import chart, contact_sheet, marks, plots, quality, report, style

CODES = draw(12, 4).double().numpy()
MAP = CODES[:, :2]
LINE = marks.Panel([marks.Line(np.arange(3), np.arange(3) ** 2, "squares")])
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><rect fill="#000000" width="1" height="1"/></svg>'


@functools.cache
def _map() -> view.projection.Projection:
    return view.project(CODES, repeats=0)


@functools.cache
def _flicker() -> ll.metrics.Flicker:
    return ll.flicker(CLIP, flow=still)


def _chart() -> chart.Chart:
    return chart.Chart([LINE], alt="Squares.")


def _saved(kind: type) -> Callable[..., str]:
    """Parts of a report are asked by the page that shows them."""
    return lambda **given: report.Report("Page", sections=(report.Section("One", parts=(kind(**given),)),)).html()


CARD = {"name": "000", "video": CLIP, "caption": "a red star"}
LEFT_OUT = {
    "Chart.figure": "a part of a report",
    "default_directions": "needs a space of moving shapes; tests/view/test_explorer.py asks it",
    **dict.fromkeys(("Projection", "Quality", "EncodedPlayer", "Scatter"), "results"),
    "HasQuality": "what a map of any tool may have",
    **dict.fromkeys(("Busy", "Cancelled", "PaintingJob", "Refused", "Server"), "of the page that paints"),
    **dict.fromkeys(("Session.frame", "Session.run", "Session.propagate"), "asked by its page, which checks them"),
    **{
        f"Explorer{method}": "draws in a thread of its own; tests/view/test_explorer.py asks it"
        for method in ("", ".wait", ".set", ".keep", ".recall", ".export", ".load")
    },
    **dict.fromkeys(("Lasso", "MaskBrush", "Served"), "widgets and servers; tests/view asks them"),
    **dict.fromkeys(
        (
            "report.Player",
            "Strip",
            "Table",
            "Section",
            "Report",
            "Report.save",
            "line_figure",
            "Figure",
            "adapt",
            "Card",
        ),
        "parts of a page; tests/view/test_report.py asks them",
    ),
    **{
        f"ExplorerState{method}": "what a control of the explorer sets; tests/view/test_explorer.py asks it"
        for method in ("", ".at", ".keyed", ".unkeyed", ".mask", ".moved", ".from_dict")
    },
    **dict.fromkeys(("Session", "mask_tensor", "moved_lines", "oklab"), "what pages and charts are made with"),
    **dict.fromkeys(("check_judging", "checked", "colored"), "checks that the functions of these pages share"),
}
CALLS: dict[str, Callable[[], Call]] = {
    # maps
    "Projection.transform": lambda: (_map().transform, {"codes": CODES}),
    "Projection.plot": lambda: (_map().plot, {"color": CODES[:, 0], "label": "a"}),
    "Projection.save": lambda: (_map().save, {"path": "map.npz"}),
    "project": asked(
        view.project, codes=CODES, method="pca", dims=2, seed=0, neighbours=3, judge=10, repeats=0, at_most=None
    ),
    "project_series": asked(
        view.project_series,
        steps=[CODES, CODES + 0.1],
        method="pca",
        dims=2,
        seed=0,
        neighbours=3,
        judge=10,
        repeats=0,
        at_most=None,
    ),
    "judge_map": asked(
        quality.judge_map, codes=CODES, points=MAP, refit=None, seed=0, neighbours=3, judge=10, repeats=0
    ),
    "scatter": asked(
        view.scatter.scatter,
        maps=MAP,
        factors={"light": CODES[:, 0]},
        clips=None,
        ids=None,
        steps=None,
        step_label="step",
        title="Map",
        fps=8.0,
    ),
    "Scatter.save": lambda: (view.scatter.scatter(MAP).save, {"path": "map.html"}),
    # charts
    "Chart": asked(lambda **given: chart.Chart(**given).svg(), panels=[LINE], alt="Squares.", note="", size=(3.0, 2.0)),
    "Chart.matplotlib": lambda: (_chart().matplotlib, {"dark": False}),
    "Chart.plotly": lambda: (_chart().plotly, {"dark": False}),
    "Chart.save": lambda: (_chart().save, {"path": "chart.svg", "dark": False}),
    "plots.flicker": lambda: (plots.flicker, {"found": _flicker(), "clip": 0}),
    "flicker_map": asked(plots.flicker_map, levels=np.where(MAP > 1, np.nan, np.abs(MAP))),
    "norms": asked(plots.norms, codes=CODES, bins=5),
    "scree": asked(plots.scree, codes=CODES, components=3, null=1, seed=0),
    "projection": asked(
        plots.projection, found=MAP, color=CODES[:, 0], label="light", factor=None, period=None, size=None
    ),
    "trajectory": asked(plots.trajectory, points=CODES.reshape(2, 12, 2), levels=[0.0, 1.0], label="noise"),
    "effect_matrix": asked(
        plots.effect_matrix, effects=CODES[:2, :2], directions=["a", "b"], factors=["c", "d"], label="sd", top=None
    ),
    "matrix": asked(
        plots.matrix,
        values=CODES[:2, :2],
        rows=["a", "b"],
        columns=["c", "d"],
        scale=style.Scale("sequential", 0, 1),
        alt="Shares",
        ylabel="",
        xlabel="",
    ),
    "metric_bars": asked(plots.metric_bars, scores={"mig": (0.4, (0.3, 0.5), 0.02)}, label="score"),
    "traversal": asked(
        plots.traversal, clips={"light": CLIP.expand(2, -1, -1, -1, -1)}, strengths=[-1.0, 1.0], frame=None
    ),
    "plots.attention": asked(
        plots.attention, maps=np.abs(CODES).reshape(2, 2, 3, 4), words=["red", "star"], top=None, frames=None
    ),
    # style
    "Scale": asked(
        lambda **given: style.Scale(**given).colors([0.5]), kind="sequential", low=0.0, high=1.0, label="", labels=()
    ),
    "Scale.colors": lambda: (style.Scale("sequential", 0, 1).colors, {"values": [0.1, 0.5], "dark": False}),
    "Scale.groups": asked(
        lambda **given: list(style.scale_of(np.array(["a", "b"])).groups(**given)), values=np.array([0, 1]), dark=False
    ),
    "scale_of": asked(style.scale_of, values=CODES[:, 0], label="light", kind="", period=None),
    # reports
    "contact_sheet": asked(
        contact_sheet.contact_sheet,
        cards=[contact_sheet.Card(**CARD)],
        title="A sheet",
        batch=0,
        notes=(),
        next="",
        post=False,
    ),
    # the explorer and the easel
}
