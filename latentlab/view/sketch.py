"""Lines and maps of a clip, written as SVG and PNG directly: matplotlib takes ten times as long as the scores."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
from jaxtyping import Float
from markupsafe import Markup

from latentlab.view.figure import Figure
from latentlab.view.style import PALETTE, Scale

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 360, 200, 40, 34, 20  # of a picture of lines, and its margins
DASHES = ("none", "6 3", "6 3 1.5 3", "1.5 3")
MAP_WIDTH = 288  # pixels, about, to which the cells of a map are enlarged


def sketch_lines(series: Mapping[str, Sequence[float]], xlabel: str, ylabel: str, first: int = 0) -> Figure:
    """Lines from zero up over whole numbers, such as frames, in the page's colours.

    Args:
        series: by name, all of one length; NaN leaves a gap.
        xlabel: of the frames.
        ylabel: with unit.
        first: number of the first frame.

    >>> sketch_lines({"whole": [0.5, 1.0]}, "frame", "jitter").alt
    'Lines of jitter against frame. whole: 0.5 to 1.'
    """
    values = np.array([list(y) for y in series.values()], float)
    count, finite = values.shape[1], values[np.isfinite(values)]
    step = _round_up(max(float(finite.max(initial=0)), 1e-2) / 3)
    high = step * max(1, int(np.ceil(finite.max(initial=0) / step)))
    x = np.linspace(LEFT + 6, WIDTH - 8, count)
    y = HEIGHT - BOTTOM - values / high * (HEIGHT - BOTTOM - TOP)

    drawn = []
    for tick in np.arange(0, high + step / 2, step):
        at = HEIGHT - BOTTOM - tick / high * (HEIGHT - BOTTOM - TOP)
        drawn.append(f'<path d="M{LEFT} {at:.1f}H{WIDTH}" stroke="currentColor" stroke-opacity="0.15"/>')
        drawn.append(_text(LEFT - 5, at + 3.5, f"{tick:.3g}", "end"))
    for i in sorted({0, count // 2, count - 1}) if count else ():
        drawn.append(_text(x[i], HEIGHT - BOTTOM + 14, str(first + i), "middle"))
    drawn.append(_text((LEFT + WIDTH) / 2, HEIGHT - 4, xlabel, "middle"))
    drawn.append(_text(0, 10, ylabel, "start"))
    for i, (name, row) in enumerate(zip(series, y, strict=True)):
        ink = f"var(--series-{i}, {PALETTE[i][0]})"
        drawn.append(
            f'<path d="{_path(x, row)}" fill="none" stroke-width="1.6" stroke-linecap="round" '
            f'stroke-dasharray="{DASHES[i]}" style="stroke: {ink}"/>'
        )
        drawn.append(_text(WIDTH - 8 - 58 * (len(series) - 1 - i), 10, name, "end", f' style="fill: {ink}"'))
    ends = [f"{name}: {row[0]:.3g} to {row[-1]:.3g}." for name, row in zip(series, values, strict=True) if count]
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-size="10" '
        f'style="max-width: {WIDTH}pt; min-width: {0.7 * WIDTH:.0f}pt">{"".join(drawn)}</svg>'
    )
    return Figure(Markup(svg), " ".join([f"Lines of {ylabel} against {xlabel}.", *ends]))


def sketch_map(levels: Float[np.ndarray, "height width"], alt: str, caption: str) -> Figure:
    """Cells from blue, zero, to yellow, the 99.5th percentile or 1; NaN stays empty.

    Args:
        levels: 0 and more.
        alt: what it shows.
        caption: in which `{top}` is the number of the last colour.

    >>> sketch_map(np.eye(3), "Diagonal.", "yellow is {top}").caption
    'yellow is 1'
    """
    from PIL import Image

    top = max(1.0, float(np.nanquantile(levels, 0.995))) if np.isfinite(levels).any() else 1.0
    hues = Scale("sequential", 0, top).colors(levels.ravel())
    colors = np.array([[*bytes.fromhex(hue[1:]), 255] for hue in hues], np.uint8).reshape(*levels.shape, 4)
    colors[np.isnan(levels)] = 0
    large = max(1, round(MAP_WIDTH / levels.shape[1]))
    file = io.BytesIO()
    Image.fromarray(colors.repeat(large, 0).repeat(large, 1)).save(file, "PNG")
    return Figure(file.getvalue(), alt, caption.format(top=f"{top:.3g}"))


def _path(x: np.ndarray, y: np.ndarray) -> str:
    """A line through the finite points, a new one after each gap; a point alone is a dot of the round cap."""
    parts, pen = [], False
    for a, b in zip(x, y, strict=True):
        if np.isfinite(b):
            parts.append(f"{'L' if pen else 'M'}{a:.1f} {b:.1f}" + ("" if pen else "h0"))
        pen = bool(np.isfinite(b))
    return "".join(parts)


def _text(x: float, y: float, text: str, anchor: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="currentColor"{more}>{escape(text)}</text>'


def _round_up(x: float) -> float:
    """The next of 1, 2, 5, 10 times a power of ten."""
    power = 10 ** np.floor(np.log10(x))
    return float(next(m * power for m in (1, 2, 5, 10) if m * power >= x * (1 - 1e-9)))
