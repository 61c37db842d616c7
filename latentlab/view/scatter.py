"""A map to explore in a browser, in one HTML file that works offline: clips on hover, lasso, colours, a step slider."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import ArrayLike
from torch import Tensor
from tqdm.auto import tqdm

from latentlab.checks import as_numbers, clear_errors
from latentlab.factors import FactorTable
from latentlab.shapes import Video
from latentlab.store import write_text
from latentlab.view.pages import render_page
from latentlab.view.projection import Projection
from latentlab.view.report import Player
from latentlab.view.style import CATEGORIES, MAPS, PALETTE, colored

GRID = 65_535  # places along a side of the square that holds all maps


@dataclass(frozen=True, eq=False)
class Scatter:
    """A page that shows a map.

    Attributes:
        data: what the page draws, as JSON text.
        title: of the page.
        step_label: what the slider moves over.
        notes: said below the map.
        linked: whether clips are files beside the page.
    """

    data: str = field(repr=False)
    title: str
    step_label: str = ""
    notes: tuple[str, ...] = ()
    linked: bool = False

    def html(self) -> str:
        """The whole page."""
        return render_page(
            "scatter.html", title=self.title, step_label=self.step_label, notes=self.notes, data=Markup(self.data),
            media="'self' file:" if self.linked else "",
            alt=f"{self.title}: a map of points. Arrows go to the nearest point, Enter selects it, Escape clears the "
            "selection, plus and minus zoom, Shift with an arrow moves the view.",
        )  # fmt: skip

    @clear_errors
    def save(self, path: str | Path) -> None:
        """Writes the page; a run killed midway leaves an older one whole."""
        write_text(path, self.html())

    def _repr_html_(self) -> str:
        page, title = html.escape(self.html(), quote=True), html.escape(self.title, quote=True)
        look = 'sandbox="allow-scripts allow-downloads" style="width:100%;height:560px;border:0"'
        return f'<iframe srcdoc="{page}" title="{title}" {look}></iframe>'


@clear_errors
def scatter(
    maps: Projection | ArrayLike | Sequence[Projection] | Sequence[np.ndarray],
    factors: FactorTable | Mapping[str, ArrayLike] | None = None,
    *,
    clips: Video | Sequence[str | None] | Mapping[int, str | Video | None] | None = None,
    ids: Sequence[str | int] | None = None,
    steps: Sequence[Any] | None = None,
    step_label: str = "step",
    title: str = "Map of codes",
    fps: float = 8.0,
) -> Scatter:
    """Makes a page of one map, or of several that a slider turns into each other.

    Move by dragging, zoom by the wheel; the lasso (or Shift) selects, a click on a category selects it; arrows and
    Enter do the same by keys. The ids of the selection are copied or downloaded as JSON. `latentlab.view.lasso` brings
    a selection straight back to Python.

    Args:
        maps: of `project`, or `(sample, 2)`; several, of the same samples, as `project_series` makes them.
        factors: a table, or numbers or words by name, one a sample; each can colour the points.
        clips: what a point shows under the pointer. A video for each sample, or by row for some of them, lies inside
            the page (16 frames of 64 x 64 take about 6 kB); addresses, relative to the page, are read from there. A
            row that has none is None.
        ids: names of the samples; None is their row.
        steps: names of the maps, such as noise levels.
        step_label: what they are.
        title: of the page.
        fps: frames a second of the clips.

    Raises:
        ValueError: maps of different samples, or factors, clips, ids or steps of another number.

    >>> page = scatter(np.eye(3)[:, :2], {"kind": ["a", "b", "a"]}).html()
    >>> page.count("http")
    1
    """
    found = _several(maps)
    arrays = [as_numbers("maps", one).astype(float) for one in found]
    shapes = {a.shape for a in arrays}
    if len(shapes) != 1 or arrays[0].ndim != 2 or arrays[0].shape[1] != 2 or not np.isfinite(arrays).all():
        raise ValueError(f"maps must be finite and of one shape (sample, 2), got {sorted(shapes)}")
    count = len(arrays[0])
    names = None if ids is None else list(ids)
    shown = [f"{i + 1} of {len(arrays)}" for i in range(len(arrays))] if steps is None else [_word(s) for s in steps]
    if (names is not None and len(names) != count) or len(shown) != len(arrays):
        raise ValueError(
            f"{count} samples and {len(arrays)} maps need as many ids and steps, "
            f"got {len(names or range(count))} and {len(shown)}"
        )
    addresses = _addresses(clips, count, fps)
    qualities = [one.quality if isinstance(one, Projection) else None for one in found]
    data = {
        "count": count,
        "ids": names,
        "steps": shown,
        "quality": [None if q is None else str(q) for q in qualities],
        "factors": _factors(factors, count),
        "clips": addresses,
        "palette": [*CATEGORIES, PALETTE[-1]],
        "maps": {kind: MAPS[kind] for kind in ("sequential", "circular", "diverging")},
    }
    low, high = np.min([a.min(0) for a in arrays], 0), np.max([a.max(0) for a in arrays], 0)
    data["extent"] = ((high - low) / (float((high - low).max()) or 1.0)).tolist()
    data["places"] = [_places(a, low, high) for a in arrays]
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    notes = tuple(dict.fromkeys(note for one in found if isinstance(one, Projection) for note in one.notes))
    linked = any(not address.startswith("data:") for address in addresses.values())
    return Scatter(text.replace("<", "\\u003c"), title, step_label, notes, linked)


def _several(maps: Any) -> list[Projection | ArrayLike]:
    """Maps, one or several as they are given."""
    if isinstance(maps, Projection):
        return [maps]
    if not isinstance(maps, list | tuple) or (maps and as_numbers("maps", maps[0]).ndim == 1):
        maps = as_numbers("maps", maps)
        maps = list(maps) if maps.ndim == 3 else [maps]
    if not maps:
        raise ValueError("no map to show: give (sample, 2), or one or more of them")
    return list(maps)


def _places(points: np.ndarray, low: np.ndarray, high: np.ndarray) -> str:
    """Points on a grid common to all maps, so that a slider does not rescale them."""
    square = (points - (low + high) / 2) / (float((high - low).max()) or 1.0) + 0.5
    return base64.b64encode(np.round(square * GRID).clip(0, GRID).astype("<u2").tobytes()).decode("ascii")


def _factors(factors: FactorTable | Mapping[str, ArrayLike] | None, count: int) -> list[dict[str, Any]]:
    if factors is None:
        return []
    named = (
        {spec.name: (factors[spec.name], spec) for spec in factors.specs}
        if isinstance(factors, FactorTable)
        else {name: (values, None) for name, values in factors.items()}
    )
    rows = []
    for name, (column, spec) in named.items():
        values, scale = colored(column, "" if spec else name, spec, None, count)
        assert values is not None
        assert scale is not None
        packed = base64.b64encode(values.astype("<f4").tobytes()).decode("ascii")
        about = {
            "name": name,
            "label": scale.label,
            "kind": scale.kind,
            "low": scale.low,
            "high": scale.high,
            "labels": scale.labels,
        }
        rows.append({**about, "values": packed})
    return rows


def _addresses(clips: Any, count: int, fps: float) -> dict[int, str]:
    """By row: an address given, or the clip itself as one."""
    if clips is None:
        return {}
    if not isinstance(clips, Mapping):
        if len(clips) != count:
            raise ValueError(f"{len(clips)} clips for {count} samples; give some of them as a mapping of row to clip")
        clips = {i: clips[i : i + 1] if isinstance(clips, Tensor | np.ndarray) else clips[i] for i in range(count)}
    wrong = [row for row in clips if not isinstance(row, Integral) or int(row) not in range(count)]
    if wrong:
        raise ValueError(f"clips are given by row, from 0 to {count - 1}, got rows {wrong[:3]}")
    clips = {row: clip for row, clip in clips.items() if clip is not None}
    return {
        int(row): clip if isinstance(clip, str) else Player(clip, str(row), fps=fps).uri
        for row, clip in tqdm(clips.items(), desc="clips", disable=len(clips) < 100 or None)
    }


def _word(step: Any) -> str:
    return f"{step:.3g}" if isinstance(step, float) else str(step)
