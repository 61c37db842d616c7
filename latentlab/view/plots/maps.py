"""Maps of codes, and the ways of samples through them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from latentlab.checks import as_numbers, clear_errors
from latentlab.factors import Factor
from latentlab.view.chart import Chart
from latentlab.view.marks import NO_TICKS, Line, Mark, Panel, Points
from latentlab.view.quality import HasQuality
from latentlab.view.style import colored, scale_of

SHOWN = 24  # samples of a trajectory


@clear_errors
def projection(
    found: HasQuality | ArrayLike,
    color: ArrayLike | None = None,
    *,
    label: str = "",
    factor: Factor | None = None,
    period: float | None = None,
    size: float | None = None,
) -> Chart:
    """A map of codes, one point a sample.

    Args:
        found: of `project`, or any `(sample, 2)`.
        color: a number or word for each sample; words and few whole numbers get a hue and a marker each.
        label: of the colours, with unit.
        factor: says kind, range, unit and labels, so that hues of a circular factor meet.
        period: of a circular number that has no `factor`, such as 360.
        size: of the points; None is smaller for more.

    Raises:
        ValueError: not `(sample, 2)`, or not one colour a sample.

    >>> projection(np.eye(2), ["a", "b"], label="kind").alt
    'Map of 2 samples, coloured by kind.'
    """
    points = as_numbers("found", found).astype(float)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"a map to plot is (sample, 2), got shape {points.shape}")
    note = str(found.quality) if isinstance(found, HasQuality) else ""
    size = size or float(np.clip(90 / np.sqrt(len(points)), 1.5, 7))
    values, scale = colored(color, label, factor, period, len(points))
    mark = Points(points[:, 0], points[:, 1], values, scale, size=size)
    said = f", coloured by {scale.label}" if scale is not None and scale.label else ""
    panel = Panel([mark], xticks=NO_TICKS, yticks=NO_TICKS, equal=True)
    return Chart([panel], f"Map of {len(points):,} samples{said}.", note, (6.4, 5.2))


@clear_errors
def trajectory(points: ArrayLike, levels: ArrayLike, *, label: str = "noise level") -> Chart:
    """The way of samples through a map, such as an inversion from clip to noise.

    Args:
        points: `(step, sample, 2)`; of more than 24 samples the first 24 are shown.
        levels: one number a step.
        label: what they are.

    >>> trajectory(np.zeros((3, 2, 2)), [0, 0.5, 1]).alt
    'Ways of 2 samples over 3 steps of noise level.'
    """
    way, level = as_numbers("points", points).astype(float), as_numbers("levels", levels).astype(float)
    if way.ndim != 3 or not way.size or way.shape[2] != 2 or level.shape != way.shape[:1]:
        raise ValueError(f"a trajectory is (step, sample, 2) with a level a step, got {way.shape} and {level.shape}")
    count, way = way.shape[1], way[:, :SHOWN]
    marks: list[Mark] = [Line(way[:, i, 0], way[:, i, 1], soft=True) for i in range(way.shape[1])]
    flat, colors = way.reshape(-1, 2), np.repeat(level, way.shape[1])
    marks.append(Points(flat[:, 0], flat[:, 1], colors, scale_of(colors, label), size=4))
    for step, name, marker in ((0, f"{label} {level[0]:g}", 0), (-1, f"{label} {level[-1]:g}", 1)):
        marks.append(Points(way[step, :, 0], way[step, :, 1], name=name, size=7.5, marker=marker, hue=marker))
    panel = Panel(marks, xticks=NO_TICKS, yticks=NO_TICKS, equal=True)
    left = "" if count <= SHOWN else f"the first {SHOWN} of {count} samples"
    return Chart([panel], f"Ways of {way.shape[1]} samples over {len(way)} steps of {label}.", left, (6.4, 5.2))
