"""Plots of what latentlab computes, each a `Chart`: matplotlib for files, plotly for screens, one visual language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from latentlab.factors import Factor
from latentlab.shapes import Video
from latentlab.view.chart import Chart, Columns, Heat, Intervals, Line, Mark, Panel, Picture, Points
from latentlab.view.style import MAPS, Scale, colored, scale_of

if TYPE_CHECKING:
    from latentlab.metrics.temporal import Flicker
    from latentlab.view.projection import Projection

NO_TICKS: tuple[list[float], list[str]] = ([], [])
SHOWN = 24  # samples of a trajectory


def projection(
    found: Projection | ArrayLike,
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
    points = np.asarray(found, dtype=float)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"a map to plot is (sample, 2), got shape {points.shape}")
    note = str(getattr(found, "quality", ""))
    size = size or float(np.clip(90 / np.sqrt(len(points)), 1.5, 7))
    values, scale = colored(color, label, factor, period, len(points))
    mark = Points(points[:, 0], points[:, 1], values, scale, size=size)
    said = f", coloured by {scale.label}" if scale is not None and scale.label else ""
    panel = Panel([mark], xticks=NO_TICKS, yticks=NO_TICKS, equal=True)
    return Chart([panel], f"Map of {len(points):,} samples{said}.", note, (6.4, 5.2))


def trajectory(points: ArrayLike, levels: ArrayLike, *, label: str = "noise level") -> Chart:
    """The way of samples through a map, such as an inversion from clip to noise.

    Args:
        points: `(step, sample, 2)`; of more than 24 samples the first 24 are shown.
        levels: one number a step.
        label: what they are.

    >>> trajectory(np.zeros((3, 2, 2)), [0, 0.5, 1]).alt
    'Ways of 2 samples over 3 steps of noise level.'
    """
    way, level = np.asarray(points, dtype=float), np.asarray(levels, dtype=float)
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


def traversal(clips: Mapping[str, Video], strengths: Sequence[float], *, frame: int | None = None) -> Chart:
    """Pictures along directions: a row for each direction, a column for each strength.

    Args:
        clips: by name of the direction, `(strength, 3, frame, height, width)` in [-1, 1].
        strengths: in standard deviations.
        frame: shown; None is the middle one.

    Raises:
        ValueError: no clips, or not one for each strength.
    """
    if not clips:
        raise ValueError("no clips to show: give at least one direction")
    rows = []
    for name, video in clips.items():
        if video.ndim != 5 or len(video) != len(strengths):
            raise ValueError(
                f"{name!r} needs a clip (3, F, H, W) for each of {len(strengths)} strengths, got {tuple(video.shape)}"
            )
        picked = video[:, :, video.shape[2] // 2 if frame is None else frame].detach().cpu().float()
        rows.append(((picked.permute(0, 2, 3, 1) + 1) * 127.5).round().clamp(0, 255).byte().numpy())
    words = [f"{s:+g} sd" if s else "source" for s in strengths]
    names = ", ".join(clips)
    return _tiles(np.stack(rows), list(clips), words, f"Pictures along {names}, from {words[0]} to {words[-1]}.")


def effect_matrix(
    effects: ArrayLike,
    directions: Sequence[str],
    factors: Sequence[str],
    *,
    label: str = "effect (sd)",
    top: float | None = None,
) -> Chart:
    """What each direction moves: a row for each direction, a column for each factor, the numbers written in.

    Args:
        effects: `(direction, factor)`; NaN stays empty.
        directions: names of the rows.
        factors: names of the columns.
        label: of the colours, with unit.
        top: value of the last colour, its negative has the first; None is the largest effect.

    Raises:
        ValueError: effects of another shape.

    >>> effect_matrix([[1.0, 0.1]], ["light"], ["light", "size"]).alt
    'Effects of 1 directions on 2 factors, from 0.1 to 1.'
    """
    values = np.asarray(effects, dtype=float)
    if values.shape != (len(directions), len(factors)):
        raise ValueError(f"effects must be ({len(directions)}, {len(factors)}), got {values.shape}")
    scale = scale_of(values, label, "diverging") if top is None else Scale("diverging", -top, top, label)
    alt = f"Effects of {len(directions)} directions on {len(factors)} factors"
    return matrix(values, directions, factors, scale, alt, ylabel="direction", xlabel="factor")


def matrix(
    values: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    scale: Scale,
    alt: str,
    *,
    ylabel: str = "",
    xlabel: str = "",
) -> Chart:
    """A table in colours, the numbers written in; NaN stays empty.

    >>> matrix(np.eye(2), ["a", "b"], ["c", "d"], Scale("sequential", 0, 1), "Shares").alt
    'Shares, from 0 to 1.'
    """
    shown = values.round(2) + 0.0  # no minus before a zero
    words = [name.replace("_", "\n") for name in columns]
    panel = Panel(
        [Heat(shown, scale, written=True)], xlabel=xlabel, ylabel=ylabel, xticks=(range(len(words)), words),
        yticks=(range(len(rows)), rows),
    )  # fmt: skip
    low, high = (f"{x:.3g}" for x in (np.nanmin(shown), np.nanmax(shown)))
    return Chart([panel], f"{alt}, from {low} to {high}.", size=(2.6 + 0.8 * len(columns), 1.4 + 0.42 * len(rows)))


def metric_bars(scores: Mapping[str, Any] | Sequence[Any], *, label: str = "score") -> Chart:
    """Scores as bars, with their intervals and the level that codes which know nothing reach.

    Args:
        scores: by name: a disentanglement `Score`, a number, or `(value, (low, high) or None, null level or None)`. A
            sequence of `Score` has its names inside.

    Raises:
        ValueError: no scores, or one that is none of these.

    >>> metric_bars({"mig": (0.4, (0.35, 0.45), 0.02)}).alt
    'Bars of score. mig: 0.4, null level 0.02.'
    """
    named = scores if isinstance(scores, Mapping) else {score.name: score for score in scores}
    if not named:
        raise ValueError("no scores to show")
    rows = {name: _measured(name, score) for name, score in named.items()}
    values, low, high, null = (np.array(column, dtype=float) for column in zip(*rows.values(), strict=True))
    said = [
        f"{name}: {row[0]:.3g}{'' if row[3] != row[3] else f', null level {row[3]:.3g}'}." for name, row in rows.items()
    ]
    panel = Panel([Intervals(list(rows), values, low, high, null)], xlabel=label)
    return Chart([panel], " ".join([f"Bars of {label}.", *said]), size=(6, 1.2 + 0.38 * len(rows)))


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
    top = max(1.0, float(np.nanquantile(levels, 0.995))) if np.isfinite(levels).any() else 1.0
    heat = Heat(levels, Scale("sequential", 0, top, "8-bit levels"))
    return Panel([heat], xticks=NO_TICKS, yticks=NO_TICKS)


def norms(codes: ArrayLike, *, bins: int = 40) -> Chart:
    """Norms of codes beside the law they follow if the codes are standard normal: chi with `dim` degrees of freedom.

    >>> norms(np.random.default_rng(0).normal(size=(50, 9))).alt
    'Norms of 50 codes, mean 2.95; the chi law of 9 dims has mean 2.92.'
    """
    from scipy.stats import chi

    from latentlab.view.quality import checked

    rows = checked(codes, least=1)
    norm, dim = np.linalg.norm(rows.astype(np.float64), axis=1), rows.shape[1]
    heights, edges = np.histogram(norm, bins=bins, density=True)
    law: Any = chi(dim)
    low, high = min(edges[0], law.ppf(0.001)), max(edges[-1], law.ppf(0.999))
    x = np.linspace(low, high, 200)
    marks = [Columns(edges, heights, f"{len(norm):,} codes"), Line(x, law.pdf(x), f"chi law, {dim:,} dims", hue=1)]
    alt = (
        f"Norms of {len(norm):,} codes, mean {norm.mean():.3g}; the chi law of {dim:,} dims has mean {law.mean():.3g}."
    )
    return Chart([Panel(marks, xlabel="norm of a code", ylabel="density")], alt)


def scree(codes: ArrayLike, *, components: int = 30, null: int = 3, seed: int = 0) -> Chart:
    """Variance of the principal components, beside that of codes whose dims were shuffled apart (Horn 1965).

    Args:
        codes: `(sample, dim)`.
        components: shown, at most.
        null: shuffles, whose mean is the level that structure has to exceed; 0 leaves it out.
        seed: of the shuffles.
    """
    from latentlab.view.quality import checked

    rows = checked(codes)
    shown = min(components, *rows.shape)
    variance = _variances(rows)
    total = variance.sum()
    number = np.arange(1, shown + 1)
    lines: list[Mark] = [Line(number, variance[:shown] / total, "codes", dots=shown <= 30)]
    if null:
        rng = np.random.default_rng(seed)
        levels = np.mean([_variances(rng.permuted(rows, axis=0)) for _ in range(null)], axis=0)
        lines.append(Line(number, levels[:shown] / total, "dims shuffled apart", hue=1))
    summed = Line(number, np.cumsum(variance[:shown]) / total, hue=2, dots=shown <= 30)
    panels = [
        Panel(lines, xlabel="component", ylabel="share of the variance"),
        Panel([summed], xlabel="component", ylabel="share up to here"),
    ]
    first, all_shown = variance[0] / total, variance[:shown].sum() / total
    alt = f"Variance of {shown} components, the first {first:.0%}, together {all_shown:.0%}."
    return Chart(panels, alt, size=(8, 3.4))


def attention(maps: ArrayLike, words: Sequence[str], *, top: float | None = None) -> Chart:
    """Where words are looked at: a row for each word, a column for each frame.

    Args:
        maps: `(frame, word, height, width)`, 0 or more.
        words: of the caption.
        top: value of the last colour; None is the 99.5th percentile.
    """
    maps = maps.detach().cpu().float() if hasattr(maps, "detach") else maps  # type: ignore[union-attr]
    values = np.asarray(maps, dtype=float)
    if values.ndim != 4 or values.shape[1] != len(words):
        raise ValueError(f"attention maps are (frame, {len(words)} words, height, width), got {values.shape}")
    top = top or float(np.nanquantile(values, 0.995)) or 1.0
    stops = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in MAPS["sequential"]], dtype=np.uint8)
    index = (np.clip(np.nan_to_num(values) / top, 0, 1) * (len(stops) - 1)).round().astype(int)
    frames = [f"frame {i}" if i == 0 else str(i) for i in range(len(values))]
    note = f"one colour scale, dark 0 to yellow {top:.3g}"
    alt = f"Attention to {', '.join(words)} over {len(values)} frames."
    return _tiles(stops[index].swapaxes(0, 1), list(words), frames, alt, note)


def _measured(name: str, score: Any) -> tuple[float, float, float, float]:
    """Value, interval and null level, NaN for none."""
    nan = float("nan")
    try:
        score = score.item() if hasattr(score, "item") else score  # numpy's and torch's own
        if isinstance(score, int | float):
            value, interval, null = score, None, None
        elif isinstance(score, Sequence):
            value, interval, null = score
        else:
            value, interval, null = score.value, score.ci, score.null
            if interval is not None and score.adjusted is not None and null is not None:
                interval = [
                    null + end * (1 - null) for end in interval
                ]  # of the adjusted value; bars show the published
        low, high = (nan, nan) if interval is None else interval
        return float(value), float(low), float(high), nan if null is None else float(null)
    except (AttributeError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"{name!r} must be a Score, a number or (value, (low, high) or None, null level or None), got {score!r}"
        ) from error


def _variances(rows: np.ndarray) -> np.ndarray:
    """Of the principal components, from whichever of the two covariance matrices is smaller."""
    centred = rows - rows.mean(0)
    n, dim = rows.shape
    matrix = centred.T @ centred if dim <= n else centred @ centred.T
    return np.clip(np.linalg.eigvalsh(matrix)[::-1], 0, None) / (n - 1)


def _tiles(pictures: np.ndarray, rows: list[str], columns: list[str], alt: str, note: str = "") -> Chart:
    """Pictures `(row, column, height, width, 3)` as one, with clear gaps between them."""
    height, width = pictures.shape[2:4]
    larger = max(1, 64 // max(height, width))  # small ones in squares, so that the gaps are thin
    pictures = pictures.repeat(larger, axis=2).repeat(larger, axis=3)
    height, width = height * larger, width * larger
    gap = max(2, round(0.05 * width))
    whole = np.zeros((len(rows) * (height + gap) - gap, len(columns) * (width + gap) - gap, 4), dtype=np.uint8)
    for i in range(len(rows)):
        for j in range(len(columns)):
            top, left = i * (height + gap), j * (width + gap)
            whole[top : top + height, left : left + width] = np.dstack(
                [pictures[i, j], np.full((height, width), 255, dtype=np.uint8)]
            )
    middle = [i * (height + gap) + height / 2 for i in range(len(rows))]
    centre = [j * (width + gap) + width / 2 for j in range(len(columns))]
    panel = Panel([Picture(whole)], xticks=(centre, columns), yticks=(middle, rows))
    tile = min(1.1, 10 / len(columns))
    return Chart([panel], alt, note, (1.4 + tile * len(columns), 0.7 + tile * height / width * len(rows)))
