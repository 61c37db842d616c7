"""The page of `latentlab score`: distances of sets, a row for each clip, and the clips that flicker most."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from latentlab.metrics.temporal import flicker
from latentlab.video import read
from latentlab.view.report import Figure, Player, Report, Section, Strip, Table, line_figure

SHOWN = 6  # clips with their series and maps
MAP_WIDTH = 480


def page(result: dict[str, Any], columns: Sequence[str], footer: str = "") -> Report:
    """The page of a result of `latentlab.score.score`.

    Args:
        result: as `scores.json` holds it; the clips shown are read again from their files.
        columns: numbers of a row, in order; those that no clip has are left out.
        footer: versions and seed.
    """
    rows = result["clips"]
    shown = [name for name in columns if name in result["mean"]]
    table = Table(["clip", "frames", *shown], [[r["clip"], r["frames"], *(r[n] for n in shown)] for r in rows])
    worst = sorted(rows, key=lambda row: -row["overall"])[:SHOWN]
    how = "overall to difference: 8-bit levels a frame; motion is taken out of all but the difference."
    sections = [Section("Clips", parts=[table], how_to_read=how)]
    if sets := result["against"]:
        sections.insert(0, _set_section(sets))
    sections += [_clip_section(row) for row in worst]
    if bad := result["unreadable"]:
        sections.append(Section("Not scored", parts=[Table(["file", "why"], [[k, v] for k, v in bad.items()])]))
    lead = f"{len(rows)} clips, mean flicker {result['mean']['overall']:.2f} levels."
    return Report("Scores", lead, sections, footer)


def _set_section(sets: dict[str, Any]) -> Section:
    if "note" in sets:
        return Section("Against the reference", sets["note"])
    columns = ["distance", "value", "from", "to", "floor", "n", "n of the reference"]
    rows = [[s["name"], s["value"], *(s["interval"] or (None, None)), s["floor"], *s["samples"]]
            for s in (sets["frechet"], sets["kernel"])]  # fmt: skip
    text = sets["frechet"]["warning"]
    if "precision" in sets:
        text += f"\n\nPrecision {sets['precision']:.2f}, recall {sets['recall']:.2f}."
    how = "The floor is what two parts of the reference score; a distance near it says that no difference is seen."
    return Section("Against the reference", text, [Table(columns, rows)], how)


def _clip_section(row: dict[str, Any]) -> Section:
    """A clip with its series and its map, read again for the page."""
    clip = read(row["clip"], stop=min(row["part"], row["frames"]))
    found = flicker(clip.video)
    series = {name: found.series[name][0].tolist() for name in ("overall", "whole", "regional", "texture")}
    lines = line_figure(range(1, clip.video.shape[2] - 1), series, "frame", "jitter (8-bit levels)")
    note = f"overall {row['overall']:.2f}, motion {row['motion_jitter']:.2f}"
    parts = [
        Strip([Player(clip.video, Path(row["clip"]).name, note, fps=clip.fps)]),
        lines,
        _map(found.maps["overall"][0]),
    ]
    return Section(Path(row["clip"]).name, row["note"], parts)


def _map(levels: Tensor) -> Figure:
    """Colours from 0 to the 99.5th percentile, so that one bright spot does not darken all else."""
    from matplotlib import colormaps
    from matplotlib.image import imsave

    stride = math.ceil(levels.shape[1] / MAP_WIDTH)
    levels = F.avg_pool2d(levels[None], stride, ceil_mode=True)[0]
    larger = max(1, MAP_WIDTH // (2 * levels.shape[1]))  # small clips in squares that can be seen
    levels = levels.repeat_interleave(larger, 0).repeat_interleave(larger, 1)
    top = max(1.0, math.ceil(float(np.quantile(levels.nan_to_num(), 0.995))))
    file = io.BytesIO()
    imsave(file, np.ma.masked_invalid(levels.numpy()), cmap=colormaps["magma"], vmin=0, vmax=top, format="png")
    caption = f"Where it flickers, over all frames: black 0, yellow {top:g} levels and more; white is never seen."
    return Figure(file.getvalue(), alt="Map of the flicker over the picture", caption=caption)
