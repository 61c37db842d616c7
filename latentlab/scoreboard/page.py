"""The page of the scoreboard of directions: tables, effect matrices, side effects, and what they say of the bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from latentlab.scoreboard.aggregate import grouped, mean_effects, mean_over_targets, order_of, rank, scores_of
from latentlab.scoreboard.cell import Cell, CellResult
from latentlab.scoreboard.direction_score import DirectionScore
from latentlab.scoreboard.summary import (
    OURS,
    PRECISE,
    TIMES,
    by_factor,
    compared_spaces,
    decisive_cells,
    network_wins,
    summarise,
)
from latentlab.scoreboard.worlds import SPACES, VARIANTS
from latentlab.stats import interval
from latentlab.view.figure import Figure
from latentlab.view.plots import effect_matrix
from latentlab.view.report import Report, Section, Strip, Table

FIGURES = {  # column of the table, and where it comes from
    "moved (sd)": "target",
    "precision": "precision",
    "leakage": "leakage",
    "ratio": "ratio",
    "local": "locality",
    "alignment": "alignment",
    "monotone": "monotonicity",
    "kept": "kept",
    "linear": "linearity",
    "usable (sd)": "range",
    "failed": "failed",
    "unread": "unread",
}
# of two tables, for room
FIRST = ("moved (sd)", "kept", "precision", "leakage", "failed", "unread", "ratio", "alignment")
COSTS = ("seeds", "seconds of fit", "clips decoded", "denoiser calls")


def scoreboard_page(results: Sequence[CellResult], strips: Mapping[str, Sequence[Strip]], settings: str) -> Report:
    """Everything on one page, with a space's `strips` of edited clips, if it has some."""
    lost, results = failures(results), [result for result in results if not result.failed]
    sections = [section for section in [summary_section(results)] if section]
    for space in dict.fromkeys(result.cell.space for result in results):
        of_space = [result for result in results if result.cell.space == space]
        parts = []
        for variant in dict.fromkeys(result.cell.variant for result in of_space):
            groups = sorted(grouped([result for result in of_space if result.cell.variant == variant]), key=rank)
            parts += finder_tables(groups, variant)
        plain = [r for r in of_space if r.cell.variant == VARIANTS[0] and r.cell.labels in (0, 1000)]
        shown = sorted(grouped(plain), key=rank)
        parts += [effects_figure(group) for group in shown]
        parts += fallen_short(shown)
        parts += side_effect_tables(of_space)
        parts += strips.get(space, ())
        sections.append(Section(f"Space: {space}", ABOUT.get(space, ""), parts, HOW_TO_READ))
    if lost:
        table = Table(["space", "finder", "labels", "seeds", "why"], lost)
        sections.append(Section("Not measured", "Cells that failed, and finders that do not fit a space.", [table]))
    count = len({result.cell.finder for result in results})
    lead = (
        f"Directions of {count} finders, each tried on clips that it has not seen, and judged by reading the factors "
        "back. A cell is the mean over the continuous factors, then over seeds, with its 95 % interval. "
        f"{summarise(results)}"
    )
    return Report("Directions against ground truth", lead, sections, f"settings: {settings}")


def summary_section(results: Sequence[CellResult]) -> Section | None:
    """The bars space by space, and each factor where it separates best; None without results at 1,000 labels."""
    groups, parts = decisive_cells(results), []
    if compared := compared_spaces(groups):
        columns = ["space", "precision of Effect", "best baseline", "its precision", "times as precise"]
        note = f"1,000 labels, mean over continuous factors; bars {PRECISE} and {TIMES} times"
        parts.append(Table(columns, [[*one, one.times] for one in compared], note=note))
    if factors := by_factor(groups):
        columns = ["factor", "best space", "finder", "precision", "moved (sd)", "what moves with it (sd)", "why"]
        best = sorted((standings[0] for standings in factors.values()), key=lambda one: -one.precision)
        rows = []
        for one in best:
            figures = [round(one.precision, 2), round(one.moved, 2)]
            rows.append([one.factor, one.space, one.finder, *figures, _moved(one.beside[:3]), one.why])
        parts.append(Table(columns, rows, note=f"1,000 labels; a factor separates from a precision of {PRECISE} on"))
    rows = []
    for space in SPACES:
        better, worse = network_wins(space, groups)
        if better or worse:
            rows.append([space, f"{len(better)} of {len(better + worse)}", ", ".join(better), ", ".join(worse)])
    if rows:
        parts.append(Table(["space", "targets", "network leaks less on", "not on"], rows, note=OF_NETWORK))
    text = (
        "For each factor the space and finder that move it furthest and most precisely: the product decides, as hardly "
        "any move looks precise."
    )
    return Section("What separates, and what does not", text, parts) if parts else None


OF_NETWORK = "manipulation network against the best linear finder of each target, for one unit of target; 1,000 labels"


def _moved(beside: Sequence[tuple[str, float]]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in beside if value >= 0.005) or "nothing"


ABOUT = {
    "oracle": "Synthetic: 64 correlated dims, factors linear in them, so that the true direction is known.",
    "oracle-tanh": "Synthetic: the same, bent by tanh, so that no direction is right everywhere.",
    "latent": "Latents of the autoencoder, edited and decoded.",
    "noise": "Inverted noise, edited, sampled and decoded.",
    "vector": "The short code of a vector VAE, edited and decoded.",
    "h-space": "The denoiser's innermost activations, moved while inverted clips are sampled again, and decoded.",
}
NONE = "\u2013"  # an empty cell
HOW_TO_READ = (
    "Moved is how far the target does, at most one: where the largest strength did not do it, the other figures are "
    "those of a small move, and with few clips a small move looks precise. Precision is the share of all that moves "
    "which is the target; 1 is perfect, one over the number of factors is chance. Leakage is what another factor moves "
    "on average when the target moves by one. Ratio is the editing precision ratio, how far the target moves in a clip "
    "over how far the others do, whichever way. Monotone is "
    "Spearman's correlation of strength and target, which is 1 also of moves that carry all else along; kept is the "
    "share of clips whose target moved and in which all else is within the tolerance of the contract of edits. Linear "
    "is the R2 of a straight line, usable how many standard "
    "deviations of strength there are before something else moves by half of one. Local is 1 where motion leaves "
    "appearance alone and the reverse, alignment the cosine with the true direction. Failed is the share of directions "
    "that do not move their target, or after which some factor can be read in no clip: their precision is 0, and their "
    "leakage that of the worst beside them, at least 1. Unread is the share of clips in which a factor can no longer "
    "be read. Denoiser calls count each clip of a call. A dash stands where nothing could be measured: no leakage "
    "where every direction failed, no alignment where the true direction is not known."
)


def failures(results: Sequence[CellResult]) -> list[list[str]]:
    """What was not measured, and why: space, finder, labels, seeds and the reason."""
    seeds: dict[tuple[str, ...], list[str]] = {}
    for result in results:
        if result.failed:
            cell = result.cell
            what = (cell.space, _finder(cell), str(cell.labels), result.failed)
            seeds.setdefault(what, []).append("all" if cell.seed is None else str(cell.seed))
    return [[*what, ", ".join(which), why] for (*what, why), which in seeds.items()]


def _finder(cell: Cell) -> str:
    return f"{cell.finder}, shuffled" if cell.shuffled else cell.finder


def finder_tables(groups: Sequence[list[CellResult]], variant: str) -> list[Table]:
    """All finders of a space: their figures, less those that none of them has, and what they took."""
    columns, rows = ["finder", "labels", *FIGURES, *COSTS], [table_row(group) for group in groups]
    told = {name: [row[i] for row in rows] for i, name in enumerate(columns) if any(row[i] != NONE for row in rows)}
    return [
        Table(names, list(zip(*(told[name] for name in names), strict=True)), note=f"labels: {variant}")
        for names in (
            ["finder", "labels", *(name for name in FIRST if name in told)],
            ["finder", "labels", *(name for name in told if name not in ("finder", "labels", *FIRST))],
        )
    ]


def fallen_short(groups: Sequence[list[CellResult]]) -> list[Table]:
    """Directions that failed or did not move their target by one: in how many seeds, how far they were tried, why."""
    rows = []
    for group in groups:
        found: dict[str, list[DirectionScore]] = {}
        for score in (score for result in group for score in result.scores if score.why):
            found.setdefault(score.name, []).append(score)
        for name in sorted(found, key=order_of(group)):
            tried = max(score.strength for score in found[name])
            why = "; ".join(dict.fromkeys(score.why for score in found[name]))
            rows.append([title(group[0].cell), name, f"{len(found[name])} of {len(group)}", f"{tried:.2g}", why])
    columns = ["finder", "direction", "seeds", "tried to (sd)", "why"]
    return [Table(columns, rows, note="What fell short")] if rows else []


def table_row(group: Sequence[CellResult]) -> list[Any]:
    """Finder, labels, figures and costs."""
    cell = group[0].cell
    cells = [_spread(*interval(mean_over_targets(r, figure) for r in group)) for figure in FIGURES.values()]
    seconds = round(float(np.mean([result.fit_seconds for result in group])), 2)
    costs = [int(np.mean([result.decoded for result in group])), int(np.mean([result.passes for result in group]))]
    return [_finder(cell), str(cell.labels), *cells, len(group), seconds, *costs]


def _spread(mean: float, low: float, high: float) -> str:
    if np.isnan(mean):
        return NONE
    half = (high - low) / 2
    digits = 0 if (most := max(mean, np.nan_to_num(half))) >= 10 else 1 if most >= 1.05 else 2 if most >= 0.1 else 3
    return f"{mean:.{digits}f}" if np.isnan(half) else f"{mean:.{digits}f} ± {half:.{digits}f}"


def effects_figure(group: Sequence[CellResult]) -> Figure:
    """Effect matrix, mean over seeds: what moves (columns) when a direction (row) moves its target by one."""
    names = sorted({score.name for result in group for score in result.scores}, key=order_of(group))
    effects = [mean_effects(scores_of(group, name)) for name in names]
    note = (
        f"{title(group[0].cell)}: standard deviations that a factor (column) moves when the target (row) moves by one"
    )
    return effect_matrix(effects, names, list(group[0].factors), top=1.0).figure(note)


def title(cell: Cell) -> str:
    """What a cell is of, in words."""
    shuffled = ", labels shuffled" if cell.shuffled else ""
    return f"{cell.finder}{shuffled}, {cell.labels:,} labels"


BESIDE = {  # column of the side effects, and where it comes from
    "kept (share)": "kept",
    "background (dB)": "background",
    "flicker added": "flicker_added",
    "drift added (sd)": "drift_added",
    "appearance by frame (sd)": "by_frame",
    "there and back (dB)": "cycle",
}


def side_effect_tables(results: Sequence[CellResult]) -> list[Table]:
    """What edits do beside: a row for each finder, and of ours one for each direction, means where it was measured."""
    groups = sorted((group for group in grouped(results) if group[0].beside), key=rank)
    if not groups:
        return []
    every = [[*_named(group[0].cell), *_beside(group, None)] for group in groups]
    tables = [Table(["finder", "labels", *BESIDE], every, note="mean over directions; target moved by 1 sd")]
    for group in (group for group in grouped(results) if group[0].beside and group[0].cell.finder in OURS):
        rows = [[score.name, *_beside(group, score.name)] for score in group[0].scores]
        cell = group[0].cell
        note = f"{cell.finder}, {cell.labels} labels, {cell.variant}; target moved by 1 sd"
        tables.append(Table(["direction", *BESIDE], rows, note=note))
    return tables


def _named(cell: Cell) -> list[str]:
    variant = "" if cell.variant == VARIANTS[0] else f", {cell.variant}"
    return [f"{cell.finder}{variant}", str(cell.labels)]


def _beside(group: Sequence[CellResult], target: str | None) -> list[str]:
    """Side effects of one target's directions, or of all, over seeds."""
    cells = []
    for name in BESIDE.values():
        means = []
        for result in group:
            beside = [b for s, b in zip(result.scores, result.beside, strict=False) if target in (None, s.name)]
            known = [value for value in (getattr(one, name) for one in beside) if not np.isnan(value)]
            means.append(float(np.mean(known)) if known else np.nan)
        cells.append(_spread(*interval(means)))
    return cells
