"""The page of the scoreboard of directions: tables, effect matrices, side effects and the verdict on the bars.

A result is what `benchmarks/directions.py` measures of one finder in one space with one budget of labels, one variant
of the data and one seed: a dictionary with those, `fit_seconds`, `decoded`, the names of the `factors`, and `scores`,
each a `latentlab.study.scoreboard` score of one direction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from latentlab.data.moving.factors import FACTORS
from latentlab.study.scoreboard import interval
from latentlab.view.figure import Figure
from latentlab.view.plots import effect_matrix
from latentlab.view.report import Report, Section, Strip, Table

NETWORK = "manipulation network"  # not a direction: it moves every code its own way
OURS = ("effect", "dual", NETWORK)
VARIANTS = ("independent", "correlated 0.8", "10 % label noise", "unbalanced")
JUDGED = tuple(f.name for f in FACTORS if f.name != "blur")  # which `measure` can tell of few decoded clips
CONTINUOUS = tuple(f.name for f in FACTORS if f.kind == "continuous" and f.name in JUDGED)

FIGURES = {  # column of the table, and where it comes from
    "moved (sd)": "target",
    "precision": "precision",
    "leakage": "leakage",
    "ratio": "ratio",
    "local": "locality",
    "alignment": "alignment",
    "monotone": "monotonicity",
    "linear": "linearity",
    "usable (sd)": "range",
}
FIRST = ("moved (sd)", "precision", "leakage", "ratio", "local", "alignment")  # of two tables: all of it would not fit
COSTS = ("seeds", "seconds of fit", "clips decoded")


def page(results: Sequence[dict], strips: Mapping[str, Sequence[Strip]], settings: str) -> Report:
    """Everything on one page, with a space's `strips` of edited clips, if it has some."""
    sections = []
    for space in dict.fromkeys(r["space"] for r in results):
        of_space = [r for r in results if r["space"] == space]
        parts = []
        for variant in dict.fromkeys(r["variant"] for r in of_space):
            groups = sorted(grouped([r for r in of_space if r["variant"] == variant]), key=rank)
            if groups:
                parts += tables(groups, variant)
        shown = [g for g in grouped(of_space) if _is(g[0], variant=VARIANTS[0]) and g[0]["labels"] in (0, 1000)]
        shown.sort(key=rank)
        parts += [matrix(group) for group in shown]
        parts += side_effects(of_space)
        parts += strips.get(space, ())
        sections.append(Section(f"Space: {space}", ABOUT.get(space, ""), parts, HOW_TO_READ))
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
}
NONE = "\u2013"  # an empty cell
HOW_TO_READ = (
    "Moved is how far the target does, at most one: where the largest strength did not do it, the other figures are "
    "those of a small move, and with few clips a small move looks precise. Precision is the share of all that moves "
    "which is the target; 1 is perfect, one over the number of factors is chance. Leakage is what another factor moves "
    "on average when the target moves by one. Ratio is the editing precision ratio, how far the target moves in a clip "
    "over how far the others do, whichever way. Monotone is "
    "Spearman's correlation of strength and target, linear the R2 of a straight line, usable how many standard "
    "deviations of strength there are before something else moves by half of one. Local is 1 where motion leaves "
    "appearance alone and the reverse, alignment the cosine with the true direction."
)


def _is(result: dict, **wanted) -> bool:
    return all(result[name] == value for name, value in wanted.items())


def grouped(results: Sequence[dict]) -> list[list[dict]]:
    """Results that differ in the seed alone."""
    groups: dict[tuple, list[dict]] = {}
    for r in results:
        groups.setdefault((r["space"], r["labels"], r["finder"], r["variant"], r["shuffled"]), []).append(r)
    return list(groups.values())


def mean_over_targets(result: dict, figure: str) -> float:
    """One figure of a cell; a direction without any effect has no precision, and counts as 0."""
    values = []
    for row in result["scores"]:
        if row["name"] in CONTINUOUS or result["space"].startswith("oracle"):
            if figure == "target":
                value = row["effect"][_order([result])(row["name"])]
            else:
                value = row["high"] - row["low"] if figure == "range" else row[figure]
            values.append(0.0 if value is None and figure == "precision" else value)
    known = [v for v in values if v is not None]
    return float(np.mean(known)) if known else float("nan")


def rank(group: Sequence[dict]) -> tuple[int, float]:
    """Fewest labels first, then the most precise."""
    precision = interval([mean_over_targets(r, "precision") for r in group])[0]
    return group[0]["labels"], -np.nan_to_num(precision)


def tables(groups: Sequence[list[dict]], variant: str) -> list[Table]:
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


def table_row(group: Sequence[dict]) -> list:
    """Finder, labels, figures and costs."""
    first = group[0]
    cells = [_spread(*interval([mean_over_targets(r, figure) for r in group])) for figure in FIGURES.values()]
    name = f"{first['finder']}, shuffled" if first["shuffled"] else first["finder"]
    seconds = round(float(np.mean([r["fit_seconds"] for r in group])), 2)
    return [name, str(first["labels"]), *cells, len(group), seconds, int(np.mean([r["decoded"] for r in group]))]


def _spread(mean: float, low: float, high: float) -> str:
    if np.isnan(mean):
        return NONE
    half = (high - low) / 2
    digits = 0 if (most := max(mean, np.nan_to_num(half))) >= 10 else 1 if most >= 1.05 else 2 if most >= 0.1 else 3
    return f"{mean:.{digits}f}" if np.isnan(half) else f"{mean:.{digits}f} ± {half:.{digits}f}"


def verdict(results: Sequence[dict]) -> str:
    """The bars: leakage on the oracle, precision at 1,000 labels beside the best baseline, factors that do not part."""
    said = []
    groups = [g for g in grouped(results) if _is(g[0], variant=VARIANTS[0], shuffled=False)]
    for group in groups:
        if _is(group[0], space="oracle", finder="effect", labels=1000):
            leak = interval([mean_over_targets(r, "leakage") for r in group])[0]
            said.append(f"Oracle, 1,000 labels: Effect leaks {leak:.3f} (bar 0.02).")
    for space in ("latent", "noise", "vector"):
        at = {
            g[0]["finder"]: interval([mean_over_targets(r, "precision") for r in g])[0]
            for g in groups
            if _is(g[0], space=space) and g[0]["labels"] == 1000
        }
        baselines = {name: value for name, value in at.items() if name not in OURS}
        if "effect" not in at or not baselines:
            continue
        best = max(baselines, key=lambda name: baselines[name])
        said.append(
            f"{space.capitalize()}, 1,000 labels: precision of Effect {at['effect']:.2f} (bar 0.8), "
            f"{at['effect'] / baselines[best]:.2f} times that of the best baseline, {best} (bar 1.25)."
        )
        group = next(g for g in groups if _is(g[0], space=space, finder="effect", labels=1000))
        names = group[0]["factors"]
        for i, row in enumerate(group[0]["scores"]):
            mean = np.mean([r["scores"][i]["precision"] or 0.0 for r in group])
            effect = np.mean([r["scores"][i]["effect"] for r in group], 0)
            if row["name"] in CONTINUOUS and mean < 0.8:
                others = sorted((name for name in names if name != row["name"]), key=lambda n: -effect[names.index(n)])
                said.append(f"{row['name']} does not separate ({mean:.2f}): {' and '.join(others[:2])} move with it.")
    for space in sorted({g[0]["space"] for g in groups}):
        said += network_verdict(space, [g for g in groups if _is(g[0], space=space) and g[0]["labels"] == 1000])
    return " ".join(said)


def network_verdict(space: str, groups: Sequence[list[dict]]) -> list[str]:
    """Whether the network leaks less than the best linear finder, target by target, for one unit of target."""
    leaks: dict[str, dict[str, float]] = {}
    for group in groups:
        for row in group[0]["scores"]:
            own = [s["leakage"] for r in group for s in r["scores"] if s["name"] == row["name"]]
            known = [v for v in own if v is not None]
            leaks.setdefault(row["name"], {})[group[0]["finder"]] = float(np.mean(known)) if known else np.inf
    compared = {name: by for name, by in leaks.items() if NETWORK in by and len(by) > 1}
    if not compared:
        return []
    worse = [name for name, by in compared.items() if by[NETWORK] > min(v for f, v in by.items() if f != NETWORK)]
    less = f"{len(compared) - len(worse)} of {len(compared)} targets"
    return [
        f"{space.capitalize()}: the manipulation network leaks less than the best linear finder on {less}"
        + (f", not on {', '.join(worse)}." if worse else ".")
    ]


def matrix(group: Sequence[dict]) -> Figure:
    """Effect matrix, mean over seeds: what moves (columns) when a direction (row) moves its target by one."""
    names = sorted({row["name"] for r in group for row in r["scores"]}, key=_order(group))
    effects = [np.mean([row["effect"] for r in group for row in r["scores"] if row["name"] == n], 0) for n in names]
    note = f"{title(group[0])}: standard deviations that a factor (column) moves when the target (row) moves by one"
    return effect_matrix(effects, names, group[0]["factors"], top=1.0).figure(note)


def title(result: dict) -> str:
    """What a cell is of, in words."""
    shuffled = ", labels shuffled" if result["shuffled"] else ""
    return f"{result['finder']}{shuffled}, {result['labels']:,} labels"


def _order(group: Sequence[dict]) -> Callable[[str], int]:
    """Rows as the columns are ordered, so that a perfect matrix is a diagonal."""
    return lambda target: group[0]["factors"].index(target.split("@")[0].split("=")[0])


def side_effects(results: Sequence[dict]) -> list[Table]:
    """What edits do beside: background, flicker, drift, the way back; for the finders where it was measured."""
    names = ("background", "flicker_added", "drift_added", "by_frame", "cycle")
    columns = ["direction", "background (dB)", "flicker added", "drift added (sd)", "appearance by frame (sd)",
               "there and back (dB)"]  # fmt: skip
    tables = []
    for group in grouped(results):
        if group[0]["labels"] and "background" in group[0]["scores"][0]:
            rows = [
                [row["name"], *(_spread(*interval([r["scores"][i][n] or np.nan for r in group])) for n in names)]
                for i, row in enumerate(group[0]["scores"])
            ]
            note = f"{group[0]['finder']}, {group[0]['labels']} labels, {group[0]['variant']}; target moved by 1 sd"
            tables.append(Table(columns, rows, note=note))
    return tables
