"""The page of `latentlab score`: distances of sets, a row for each clip, and the clips that flicker most."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch.nn.functional as F
from jaxtyping import Float

from latentlab.metrics.residual import ROUNDING
from latentlab.score.result import AllScores, ClipRow, SetScores
from latentlab.shapes import Video
from latentlab.video import read
from latentlab.view.figure import Figure
from latentlab.view.report import WIDEST, Player, Report, Section, Strip, Table
from latentlab.view.sketch import sketch_lines, sketch_map

JitterSeries = Mapping[str, Sequence[float | None]]  # of jitter, one number a frame
SHOWN = 6  # clips with their series and maps


def scores_page(
    scores: AllScores, columns: Sequence[str], worst: Sequence[tuple[ClipRow, JitterSeries, Sequence]], footer: str = ""
) -> Report:
    """The page of what `latentlab.score.score_clips` found.

    Args:
        scores: all of it.
        columns: numbers of a row, in order; those that no clip has are left out.
        worst: rows shown one by one, with their series and maps; the clips are read again from their files.
        footer: versions and seed.
    """
    rows = scores.clips
    shown = [name for name in columns if name in scores.mean]
    table = Table(["clip", "frames", *shown], [[r.clip, r.frames, *(r.figures.get(n) for n in shown)] for r in rows])
    how = (
        "overall to difference: 8-bit levels a frame; motion is taken out of all but the difference. "
        f"Rounding to 8 bits alone reads up to {ROUNDING:.2f} where something moves."
    )
    sections = [Section("Clips", parts=[table], how_to_read=how)]
    if scores.against:
        sections.insert(0, _set_section(scores.against))
    sections += [_clip_section(*one) for one in worst]
    if bad := scores.unreadable:
        sections.append(Section("Not scored", parts=[Table(["file", "why"], [[k, v] for k, v in bad.items()])]))
    if others := scores.left_out:
        sections.append(Section("Left out", parts=[Table(["file", "why"], [[k, v] for k, v in others.items()])]))
    if unseen := [[r.clip, r.reason] for r in rows if r.reason]:
        why = "Too little of these clips can be followed from frame to frame for a number of their flicker."
        sections.append(Section("Flicker not measured", why, [Table(["clip", "why"], unseen)]))
    if notes := [[r.clip, said] for r in rows for said in (r.note, r.partner_note, r.features_note) if said]:
        sections.append(Section("Notes", parts=[Table(["clip", "what was done or could not be"], notes)]))
    mean = scores.mean.get("overall")
    lead = f"{len(rows)} clips, " + ("flicker not measured." if mean is None else f"mean flicker {mean:.2f} levels.")
    return Report("Scores", lead, sections, footer)


def _set_section(sets: SetScores) -> Section:
    if sets.frechet is None or sets.kernel is None:
        return Section("Against the reference", sets.note)
    columns = ["distance", "value", "from", "to", "floor", "without bias", "clips", "of the reference"]
    found = sets.frechet, sets.kernel
    rows = [[s.name, s.value, *(s.interval or (None, None)), s.floor, s.infinity, *s.clips] for s in found]
    note = "; ".join(
        f"{s.name}: floor from {s.parts:.4g} between parts of {s.part_clips[0]} and {s.part_clips[1]} clips"
        for s in found
        if s.part_clips
    )
    text = sets.frechet.warning
    if sets.inside:
        text += f"\n\nPrecision {sets.inside.precision:.2f}, recall {sets.inside.recall:.2f}."
    how = (
        "The floor is what two sets of these sizes score that differ in nothing, estimated from parts of the "
        "reference; a distance near it says that no difference is seen."
    )
    return Section("Against the reference", text, [Table(columns, rows, note)], how)


def _clip_section(row: ClipRow, series: JitterSeries, levels: Sequence) -> Section:
    """A clip with its series and its map; of a clip scored in parts, the first part plays."""
    clip = read(row.clip, stop=min(row.part, row.frames))
    kinds = ("overall", "whole", "regional", "texture")
    curves = {name: [math.nan if x is None else x for x in series[name]] for name in kinds}
    lines = sketch_lines(curves, "frame", "jitter (8-bit levels)", first=1)  # inner frames count from the second
    said = {"overall": row.figures.get("overall"), "motion": row.figures.get("motion_jitter")}
    note = ", ".join(f"{name} {value:.2f}" for name, value in said.items() if value is not None)
    player = Player(_small(clip.video), Path(row.clip).name, note, fps=clip.fps)
    return Section(Path(row.clip).name, row.note, [Strip([player]), lines, _map(np.array(levels, float))])


def _small(video: Video) -> Video:
    """No wider than it is shown, so that the page stays light."""
    height, width = video.shape[3:]
    if width <= WIDEST:
        return video
    size = (max(1, round(height * WIDEST / width)), WIDEST)
    return F.interpolate(video[0].transpose(0, 1), size, mode="area").transpose(0, 1)[None]


def _map(levels: Float[np.ndarray, "height width"]) -> Figure:
    caption = (
        "Where it flickers, over all frames; blue is none, yellow is {top} 8-bit levels and more, empty never seen."
    )
    return sketch_map(levels, "Map of the flicker over the picture", caption)
