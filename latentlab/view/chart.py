"""A chart is panels, a panel is marks: described once, drawn by matplotlib for files and by plotly for screens."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from latentlab.checks import clear_errors
from latentlab.store import replacing, write_text
from latentlab.view.figure import Figure, adapt
from latentlab.view.marks import Panel
from latentlab.view.style import PAGE


@clear_errors
@dataclass(frozen=True, eq=False)
class Chart:
    """Panels side by side.

    Args:
        panels: from left to right.
        alt: what the chart shows, for those who do not see it.
        note: a line below, such as the quality of a map.
        size: width and height in inches; a screen takes 100 pixels for one.

    A notebook shows a chart by plotly if it is installed, else as a picture.

    >>> import numpy as np
    >>> from latentlab.view.marks import Line
    >>> line = Line(np.arange(3), np.arange(3) ** 2, "squares")
    >>> chart = Chart([Panel([line], xlabel="n")], alt="Squares of 0, 1 and 2.")
    >>> "<svg" in chart.svg()
    True
    """

    panels: Sequence[Panel] = field(repr=False)
    alt: str
    note: str = ""
    size: tuple[float, float] = (6.0, 4.0)

    def __post_init__(self) -> None:
        if not len(self.panels):
            raise ValueError("a chart has one panel at least, got none")

    @clear_errors
    def matplotlib(self, *, dark: bool = False):
        """The chart as a matplotlib figure, without pyplot, whose figures are global."""
        from latentlab.view.chart_matplotlib import matplotlib_figure

        return matplotlib_figure(self.panels, self.note, self.size, dark)

    @clear_errors
    def plotly(self, *, dark: bool = False):
        """The chart as a plotly figure.

        Raises:
            ImportError: plotly is not installed.
        """
        from latentlab.view.chart_plotly import plotly_figure

        return plotly_figure(self.panels, self.note, self.size, dark)

    def svg(self) -> str:
        """SVG on white, the same for the same chart."""
        return self._svg(False)

    @clear_errors
    def figure(self, caption: str = "") -> Figure:
        """The chart as part of a report, where it takes the page's colours."""
        return Figure(adapt(replace(self, note="")._svg(None)), self.alt, caption or self.note)

    @clear_errors
    def save(self, path: str | Path, *, dark: bool = False) -> None:
        """Writes a file of the kind its name says: .png, .svg, .pdf, or .html, which works offline (plotly, 5 MB).

        Raises:
            ValueError: another ending.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".html":
            page = self.plotly(dark=dark).to_html(include_plotlyjs=True)
            write_text(path, page.replace("<body>", f'<body style="background:{PAGE[dark]}">', 1))
        elif path.suffix == ".svg":
            write_text(path, self._svg(dark))
        elif path.suffix in (".png", ".pdf"):
            with replacing(path) as partial:
                self.matplotlib(dark=dark).savefig(partial, dpi=150, metadata=_unsaid(path.suffix))
        else:
            raise ValueError(f"a chart is saved as .png, .svg, .pdf or .html, got {path.name!r}")

    def _svg(self, dark: bool | None) -> str:
        """None is the ink of a report's page."""
        from matplotlib import rc_context

        from latentlab.view.chart_matplotlib import matplotlib_figure

        file = io.StringIO()
        salt = repr(self)  # ids that repeat from run to run, but not on a page
        with rc_context({"svg.fonttype": "none", "svg.hashsalt": salt, "text.parse_math": False}):
            figure = matplotlib_figure(self.panels, self.note, self.size, dark)
            figure.savefig(file, format="svg", transparent=dark is None, metadata=_unsaid(".svg"))
        return file.getvalue()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        """Plotly where it runs, and a still picture for readers that run nothing, such as a page of a repository."""
        try:
            screen = self.plotly()._repr_mimebundle_(include, exclude)  # nothing, outside of a notebook
        except ImportError:
            screen = None
        if not screen:
            return {"image/svg+xml": self.svg(), "text/plain": self.alt}
        file = io.BytesIO()
        self.matplotlib().savefig(file, format="png", dpi=80, metadata=_unsaid(".png"))
        return {**screen, "image/png": base64.b64encode(file.getvalue()).decode("ascii"), "text/plain": self.alt}


def _unsaid(suffix: str) -> dict[str, None]:
    """Metadata that would differ from run to run, left out."""
    names = {".svg": ("Creator", "Date", "Format", "Type"), ".pdf": ("CreationDate",), ".png": ("Software",)}
    return dict.fromkeys(names[suffix])
