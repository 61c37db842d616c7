"""The page of the scoreboard of directions: tables, effect matrices, side effects and the verdict on the bars.

A result is a cell of `latentlab.study.cells` with its `fit_seconds`, clips `decoded` and network `passes`; or, in place
of its scores, why it `failed`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from latentlab.study.cells import grouped, matches, mean_effects, mean_over_targets, order_of, rank
from latentlab.study.scoreboard import interval
from latentlab.study.worlds import VARIANTS
from latentlab.view.figure import Figure
from latentlab.view.plots import effect_matrix
from latentlab.view.report import Report, Section, Strip, Table
from latentlab.view.verdict import OURS, summary_section, verdict

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


def scoreboard_page(results: Sequence[dict], strips: Mapping[str, Sequence[Strip]], settings: str) -> Report:
    """Everything on one page, with a space's `strips` of edited clips, if it has some."""
    lost, results = failures(results), [r for r in results if "scores" in r]
    sections = [section for section in [summary_section(results)] if section]
    for space in dict.fromkeys(r["space"] for r in results):
        of_space = [r for r in results if r["space"] == space]
        parts = []
        for variant in dict.fromkeys(r["variant"] for r in of_space):
            groups = sorted(grouped([r for r in of_space if r["variant"] == variant]), key=rank)
            if groups:
                parts += finder_tables(groups, variant)
        shown = [g for g in grouped(of_space) if matches(g[0], variant=VARIANTS[0]) and g[0]["labels"] in (0, 1000)]
        shown.sort(key=rank)
        parts += [effects_figure(group) for group in shown]
        parts += fallen_short(shown)
        parts += side_effects(of_space)
        parts += strips.get(space, ())
        sections.append(Section(f"Space: {space}", ABOUT.get(space, ""), parts, HOW_TO_READ))
    if lost:
        table = Table(["space", "finder", "labels", "seeds", "why"], lost)
        sections.append(Section("Not measured", "Cells that failed, and finders that do not fit a space.", [table]))
    count = len({r["finder"] for r in results})
    lead = (
        f"Directions of {count} finders, each tried on clips that it has not seen, and judged by reading the factors "
        "back. A cell is the mean over the continuous factors, then over seeds, with its 95 % interval. "
        f"{verdict(results)}"
    )
    return Report("Directions against ground truth", lead, sections, f"settings: {settings}")


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


def failures(results: Sequence[dict]) -> list[list[str]]:
    """What was not measured, and why: space, finder, labels, seeds and the reason."""
    seeds: dict[tuple[str, ...], list[str]] = {}
    for r in results:
        if "failed" in r:
            name = f"{r['finder']}, shuffled" if r.get("shuffled") else r["finder"]
            what = (r["space"], name, str(r.get("labels", 0)), r["failed"])
            seeds.setdefault(what, []).append(str(r.get("seed", "all")))
    return [[*what, ", ".join(which), why] for (*what, why), which in seeds.items()]


def finder_tables(groups: Sequence[list[dict]], variant: str) -> list[Table]:
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


def fallen_short(groups: Sequence[list[dict]]) -> list[Table]:
    """Directions that failed or did not move their target by one: in how many seeds, how far they were tried, why."""
    rows = []
    for group in groups:
        found: dict[str, list[dict]] = {}
        for row in (row for r in group for row in r["scores"] if row.get("why")):
            found.setdefault(row["name"], []).append(row)
        for name in sorted(found, key=order_of(group)):
            tried = max(row["strength"] for row in found[name])
            why = "; ".join(dict.fromkeys(row["why"] for row in found[name]))
            rows.append([title(group[0]), name, f"{len(found[name])} of {len(group)}", f"{tried:.2g}", why])
    columns = ["finder", "direction", "seeds", "tried to (sd)", "why"]
    return [Table(columns, rows, note="What fell short")] if rows else []


def table_row(group: Sequence[dict]) -> list:
    """Finder, labels, figures and costs."""
    first = group[0]
    cells = [_spread(*interval([mean_over_targets(r, figure) for r in group])) for figure in FIGURES.values()]
    name = f"{first['finder']}, shuffled" if first["shuffled"] else first["finder"]
    seconds = round(float(np.mean([r["fit_seconds"] for r in group])), 2)
    costs = [int(np.mean([r[cost] for r in group])) for cost in ("decoded", "passes")]
    return [name, str(first["labels"]), *cells, len(group), seconds, *costs]


def _spread(mean: float, low: float, high: float) -> str:
    if np.isnan(mean):
        return NONE
    half = (high - low) / 2
    digits = 0 if (most := max(mean, np.nan_to_num(half))) >= 10 else 1 if most >= 1.05 else 2 if most >= 0.1 else 3
    return f"{mean:.{digits}f}" if np.isnan(half) else f"{mean:.{digits}f} ± {half:.{digits}f}"


def effects_figure(group: Sequence[dict]) -> Figure:
    """Effect matrix, mean over seeds: what moves (columns) when a direction (row) moves its target by one."""
    names = sorted({row["name"] for r in group for row in r["scores"]}, key=order_of(group))
    effects = [mean_effects([row for r in group for row in r["scores"] if row["name"] == n]) for n in names]
    note = f"{title(group[0])}: standard deviations that a factor (column) moves when the target (row) moves by one"
    return effect_matrix(effects, names, group[0]["factors"], top=1.0).figure(note)


def title(result: dict) -> str:
    """What a cell is of, in words."""
    shuffled = ", labels shuffled" if result["shuffled"] else ""
    return f"{result['finder']}{shuffled}, {result['labels']:,} labels"


BESIDE = {  # column of the side effects, and where it comes from
    "kept (share)": "kept",
    "background (dB)": "background",
    "flicker added": "flicker_added",
    "drift added (sd)": "drift_added",
    "appearance by frame (sd)": "by_frame",
    "there and back (dB)": "cycle",
}


def side_effects(results: Sequence[dict]) -> list[Table]:
    """What edits do beside: a row for each finder, and of ours one for each direction, means where it was measured."""
    groups = [group for group in grouped(results) if BESIDE["background (dB)"] in group[0]["scores"][0]]
    if not groups:
        return []
    every = [[*_named(group), *_beside(group, None)] for group in sorted(groups, key=rank)]
    tables = [Table(["finder", "labels", *BESIDE], every, note="mean over directions; target moved by 1 sd")]
    for group in (group for group in groups if group[0]["finder"] in OURS):
        rows = [[row["name"], *_beside(group, row["name"])] for row in group[0]["scores"]]
        note = f"{group[0]['finder']}, {group[0]['labels']} labels, {group[0]['variant']}; target moved by 1 sd"
        tables.append(Table(["direction", *BESIDE], rows, note=note))
    return tables


def _named(group: Sequence[dict]) -> list[str]:
    variant = "" if group[0]["variant"] == VARIANTS[0] else f", {group[0]['variant']}"
    return [f"{group[0]['finder']}{variant}", str(group[0]["labels"])]


def _beside(group: Sequence[dict], target: str | None) -> list[str]:
    """Side effects of one target's directions, or of all, over seeds."""
    cells = []
    for name in BESIDE.values():
        seeds = [[row.get(name) for row in r["scores"] if target in (None, row["name"])] for r in group]
        known = [[value for value in values if value is not None] for values in seeds]
        cells.append(_spread(*interval([float(np.mean(values)) if values else np.nan for values in known])))
    return cells
