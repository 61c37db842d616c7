"""What the scoreboard of directions says of the bars: spaces beside the best baseline, and which factors separate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from latentlab.study.cells import grouped, matches, mean_effects, mean_over_targets
from latentlab.study.finders import NETWORK
from latentlab.study.scoreboard import interval
from latentlab.study.worlds import CONTINUOUS, SPACES, VARIANTS
from latentlab.view.report import Section, Table

OURS = ("effect", "dual", NETWORK)
LABELS = 1000  # that the bars are set at
PRECISE, TIMES, LEAK = 0.8, 1.25, 0.02  # the bars
FAR, STEADY = 0.95, 0.5  # standard deviations and rank correlation, below which a target falls short


@dataclass(frozen=True)
class Standing:
    """One finder's direction of one factor in one space, over seeds.

    Attributes:
        moved: how far the factor moves, standard deviations, at most about 1.
        beside: how far each other factor moves then, the most moved first.
    """

    factor: str
    space: str
    finder: str
    precision: float
    moved: float
    monotone: float
    beside: tuple[tuple[str, float], ...]

    @property
    def worth(self) -> float:
        """What the best is chosen by: hardly any move looks precise."""
        return self.precision * self.moved

    @property
    def why(self) -> str:
        """What keeps it from separating, as far as the figures tell."""
        if self.precision >= PRECISE:
            return "separates"
        if self.monotone < STEADY:
            return (
                f"does not follow the strength (rank correlation {self.monotone:.2f}): no one move does it in all clips"
            )
        if self.moved < FAR:
            return f"follows, but the largest strength moves it by no more than {self.moved:.2f}"
        return f"follows as far as one standard deviation; {self.beside[0][0]} is bound up with it"


def verdict(results: Sequence[dict]) -> str:
    """In two or three sentences: the leak on the oracle, the spaces, and the factors that separate somewhere."""
    groups = decisive_cells(results)
    said = []
    for group in groups:
        if matches(group[0], space="oracle", finder="effect", labels=LABELS):
            leak = interval([mean_over_targets(r, "leakage") for r in group])[0]
            said.append(f"Oracle, 1,000 labels: Effect leaks {leak:.3f} (bar {LEAK}).")
    if compared := _compared(groups):
        space, own, name, other = max(compared, key=lambda row: row[1])
        said.append(
            f"Best space, {space}, 1,000 labels: precision of Effect {own:.2f} (bar {PRECISE}), {own / other:.2f} "
            f"times that of the best baseline, {name} (bar {TIMES})."
        )
    best = [standings[0] for standings in by_factor(groups).values()]
    if best:
        good = [one.factor for one in best if one.precision >= PRECISE]
        bad = [one.factor for one in best if one.precision < PRECISE]
        part = "separates" if len(good) == 1 else "separate"
        said.append(f"In some space {_listed(good)} {part}." if good else "No factor separates in any space.")
        said += [f"In none {_listed(bad)}, for what reason the table says."] if good and bad else []
    return " ".join(said)


def summary_section(results: Sequence[dict]) -> Section | None:
    """The bars space by space, and each factor where it separates best; None without results at 1,000 labels."""
    groups, parts = decisive_cells(results), []
    if compared := _compared(groups):
        columns = ["space", "precision of Effect", "best baseline", "its precision", "times as precise"]
        rows = [[space, own, name, other, own / other] for space, own, name, other in compared]
        note = f"1,000 labels, mean over continuous factors; bars {PRECISE} and {TIMES} times"
        parts.append(Table(columns, rows, note=note))
    if factors := by_factor(groups):
        columns = ["factor", "best space", "finder", "precision", "moved (sd)", "what moves with it (sd)", "why"]
        best = sorted((standings[0] for standings in factors.values()), key=lambda one: -one.precision)
        rows = [
            [
                one.factor,
                one.space,
                one.finder,
                round(one.precision, 2),
                round(one.moved, 2),
                _moved(one.beside[:3]),
                one.why,
            ]
            for one in best
        ]
        parts.append(Table(columns, rows, note=f"1,000 labels; a factor separates from a precision of {PRECISE} on"))
    if network := [row for space in SPACES for row in _network(space, groups)]:
        parts.append(Table(["space", "targets", "network leaks less on", "not on"], network, note=OF_NETWORK))
    text = (
        "For each factor the space and finder that move it furthest and most precisely: the product decides, as hardly "
        "any move looks precise."
    )
    return Section("What separates, and what does not", text, parts) if parts else None


OF_NETWORK = "manipulation network against the best linear finder of each target, for one unit of target; 1,000 labels"


def decisive_cells(results: Sequence[dict]) -> list[list[dict]]:
    """Cells that the bars are about, by seeds: true labels, 1,000 of them, the plain variant."""
    of = {"variant": VARIANTS[0], "shuffled": False, "labels": LABELS}
    return [group for group in grouped([r for r in results if "scores" in r]) if matches(group[0], **of)]


def by_factor(groups: Sequence[list[dict]]) -> dict[str, list[Standing]]:
    """Standings of each continuous factor in the model's spaces, the best first."""
    found: dict[str, list[Standing]] = {}
    for group in groups:
        for name in CONTINUOUS:
            rows = [row for r in group for row in r["scores"] if row["name"] == name]
            if rows and group[0]["space"] in SPACES:
                found.setdefault(name, []).append(_standing(group, name, rows))
    for standings in found.values():
        standings.sort(key=lambda one: -one.worth)
    return found


def _standing(group: Sequence[dict], name: str, rows: Sequence[dict]) -> Standing:
    names, effects = group[0]["factors"], mean_effects(rows)
    order = sorted((i for i, other in enumerate(names) if other != name), key=lambda i: -effects[i])
    return Standing(
        name,
        group[0]["space"],
        group[0]["finder"],
        float(np.mean([row["precision"] or 0.0 for row in rows])),
        float(effects[names.index(name)]),
        float(np.mean([row["monotonicity"] or 0.0 for row in rows])),
        tuple((names[i], float(effects[i])) for i in order),
    )


def _compared(groups: Sequence[list[dict]]) -> list[tuple[str, float, str, float]]:
    """Each of the model's spaces: precision of Effect, the best baseline and its precision."""
    compared = []
    for space in SPACES:
        at = {
            group[0]["finder"]: interval([mean_over_targets(r, "precision") for r in group])[0]
            for group in groups
            if group[0]["space"] == space
        }
        baselines = {name: value for name, value in at.items() if name not in OURS}
        if "effect" in at and baselines:
            best = max(baselines, key=lambda name: baselines[name])
            compared.append((space, at["effect"], best, baselines[best]))
    return compared


def _network(space: str, groups: Sequence[list[dict]]) -> list[list[str]]:
    """Whether the network leaks less than the best linear finder, target by target."""
    leaks: dict[str, dict[str, float]] = {}
    for group in groups:
        for row in group[0]["scores"] if group[0]["space"] == space else ():
            own = [s["leakage"] for r in group for s in r["scores"] if s["name"] == row["name"]]
            known = [v for v in own if v is not None]
            leaks.setdefault(row["name"], {})[group[0]["finder"]] = float(np.mean(known)) if known else np.inf
    compared = {name: by for name, by in leaks.items() if NETWORK in by and len(by) > 1}
    worse = [name for name, by in compared.items() if by[NETWORK] > min(v for f, v in by.items() if f != NETWORK)]
    better = [name for name in compared if name not in worse]
    return [[space, f"{len(better)} of {len(compared)}", ", ".join(better), ", ".join(worse)]] if compared else []


def _moved(beside: Sequence[tuple[str, float]]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in beside if value >= 0.005) or "nothing"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
