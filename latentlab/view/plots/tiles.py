"""Rows of small pictures: traversals of directions, attention to words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from latentlab.checks import as_numbers, clear_errors
from latentlab.shapes import Video
from latentlab.view.chart import Chart
from latentlab.view.marks import Panel, Picture
from latentlab.view.style import MAPS


@clear_errors
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


@clear_errors
def attention(
    maps: ArrayLike, words: Sequence[str], *, top: float | None = None, frames: Sequence[int] | None = None
) -> Chart:
    """Where words are looked at: a row for each word, a column for each frame.

    Args:
        maps: `(frame, word, height, width)`, 0 or more.
        words: of the caption.
        top: value of the last colour; None is the 99.5th percentile.
        frames: which of the clip's they are; None counts them from 0.
    """
    values = as_numbers("maps", maps).astype(float)
    if values.ndim != 4 or values.shape[1] != len(words) or not values.size or np.isinf(values).any():
        found = f"{values.shape}{', some infinite' * bool(np.isinf(values).any())}"
        raise ValueError(f"attention maps are (frame, {len(words)} words, height, width) and finite, got {found}")
    top = top or float(np.nanquantile(np.nan_to_num(values), 0.995)) or 1.0
    stops = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in MAPS["sequential"]], dtype=np.uint8)
    index = (np.clip(np.nan_to_num(values) / top, 0, 1) * (len(stops) - 1)).round().astype(int)
    numbers = list(range(len(values)) if frames is None else frames)
    if len(numbers) != len(values):
        raise ValueError(f"frames= numbers {len(values)} maps, got {len(numbers)}")
    columns = [f"frame {number}" if i == 0 else str(number) for i, number in enumerate(numbers)]
    note = f"one colour scale, dark 0 to yellow {top:.3g}"
    alt = f"Attention to {', '.join(words)} over {len(values)} frames."
    return _tiles(stops[index].swapaxes(0, 1), list(words), columns, alt, note)


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
