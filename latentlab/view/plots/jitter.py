"""Flicker over the frames and over the picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from latentlab.checks import as_numbers, clear_errors
from latentlab.metrics.temporal import Flicker
from latentlab.view.chart import Chart
from latentlab.view.marks import NO_TICKS, Heat, Line, Panel
from latentlab.view.style import Scale


@clear_errors
def flicker(found: Flicker, clip: int = 0) -> Chart:
    """Flicker of a clip: its series over the frames, and where in the picture it is.

    Args:
        found: of `latentlab.flicker`.
        clip: which of its clips.
    """
    names = ("overall", "whole", "regional", "texture")
    series = {name: found.series[name][clip].detach().cpu().double().numpy() for name in names}
    frames = np.arange(1, len(series["overall"]) + 1)
    lines = [Line(frames, y, name, hue) for hue, (name, y) in enumerate(series.items())]
    where = flicker_map(found.maps["overall"][clip].detach().cpu().double().numpy())
    panels = [Panel(lines, xlabel="frame", ylabel="jitter (8-bit levels)"), replace(where, title="where")]
    alt = f"Flicker over {len(frames)} frames, overall {float(found.overall[clip]):.2f} levels, and its map."
    return Chart(panels, alt, size=(9, 3.6))


def flicker_map(levels: np.ndarray) -> Panel:
    """Where in a picture `(height, width)` it flickers, up to the 99.5th percentile: one spot must not darken all else.

    >>> flicker_map(np.full((2, 2), 3.0)).marks[0].scale.high
    3.0
    """
    levels = as_numbers("levels", levels).astype(float)
    top = max(1.0, float(np.nanquantile(levels, 0.995))) if np.isfinite(levels).any() else 1.0
    heat = Heat(levels, Scale("sequential", 0, top, "8-bit levels"))
    return Panel([heat], xticks=NO_TICKS, yticks=NO_TICKS)
