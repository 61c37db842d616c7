"""What the scoreboard says of the bars: spaces beside the best baseline, and which factors separate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from latentlab.scoreboard.aggregate import grouped, mean_effects, mean_over_targets, scores_of
from latentlab.scoreboard.cell import CellResult
from latentlab.scoreboard.direction_score import DirectionScore
from latentlab.scoreboard.finders import NETWORK
from latentlab.scoreboard.worlds import CONTINUOUS, SPACES, VARIANTS
from latentlab.stats import interval

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


class Compared(NamedTuple):
    """A space: mean precision of `Effect` and of the best baseline."""

    space: str
    precision: float
    baseline: str
    baseline_precision: float

    @property
    def times(self) -> float:
        """As precise."""
        return self.precision / self.baseline_precision


def summarise(results: Sequence[CellResult]) -> str:
    """In two or three sentences: the leak on the oracle, the spaces, and the factors that separate somewhere."""
    groups = decisive_cells(results)
    said = []
    for group in groups:
        if (group[0].cell.space, group[0].cell.finder) == ("oracle", "effect"):
            leak = interval(mean_over_targets(result, "leakage") for result in group).mean
            said.append(f"Oracle, 1,000 labels: Effect leaks {leak:.3f} (bar {LEAK}).")
    if spaces := compared_spaces(groups):
        best = max(spaces, key=lambda one: one.precision)
        said.append(
            f"Best space, {best.space}, 1,000 labels: precision of Effect {best.precision:.2f} (bar {PRECISE}), "
            f"{best.times:.2f} times that of the best baseline, {best.baseline} (bar {TIMES})."
        )
    standings = [standings[0] for standings in by_factor(groups).values()]
    if standings:
        good = [one.factor for one in standings if one.precision >= PRECISE]
        bad = [one.factor for one in standings if one.precision < PRECISE]
        part = "separates" if len(good) == 1 else "separate"
        said.append(f"In some space {_listed(good)} {part}." if good else "No factor separates in any space.")
        said += [f"In none {_listed(bad)}, for what reason the table says."] if good and bad else []
    return " ".join(said)


def decisive_cells(results: Sequence[CellResult]) -> list[list[CellResult]]:
    """Cells that the bars are about, by seeds: true labels, 1,000 of them, the plain variant."""
    wanted = (VARIANTS[0], False, LABELS)
    return grouped([r for r in results if not r.failed and (r.cell.variant, r.cell.shuffled, r.cell.labels) == wanted])


def by_factor(groups: Sequence[list[CellResult]]) -> dict[str, list[Standing]]:
    """Standings of each continuous factor in the model's spaces, the best first."""
    found: dict[str, list[Standing]] = {}
    for group in groups:
        for name in CONTINUOUS:
            scores = scores_of(group, name)
            if scores and group[0].cell.space in SPACES:
                found.setdefault(name, []).append(_standing(group[0], name, scores))
    for standings in found.values():
        standings.sort(key=lambda one: -one.worth)
    return found


def _standing(first: CellResult, name: str, scores: Sequence[DirectionScore]) -> Standing:
    names, effects = first.factors, mean_effects(scores)
    order = sorted((i for i, other in enumerate(names) if other != name), key=lambda i: -effects[i])
    return Standing(
        name,
        first.cell.space,
        first.cell.finder,
        _mean_known([score.precision for score in scores]),
        float(effects[names.index(name)]),
        _mean_known([score.monotonicity for score in scores]),
        tuple((names[i], float(effects[i])) for i in order),
    )


def _mean_known(values: Sequence[float]) -> float:
    """What is not known counts as 0."""
    return float(np.mean(np.nan_to_num(values)))


def compared_spaces(groups: Sequence[list[CellResult]]) -> list[Compared]:
    """Each of the model's spaces: `Effect` beside the best baseline."""
    compared = []
    for space in SPACES:
        at = {
            group[0].cell.finder: interval(mean_over_targets(result, "precision") for result in group).mean
            for group in groups
            if group[0].cell.space == space
        }
        baselines = {name: value for name, value in at.items() if name not in OURS}
        if "effect" in at and baselines:
            best = max(baselines, key=lambda name: baselines[name])
            compared.append(Compared(space, at["effect"], best, baselines[best]))
    return compared


def network_wins(space: str, groups: Sequence[list[CellResult]]) -> tuple[list[str], list[str]]:
    """Targets on which the network leaks less than the best linear finder, and those on which it does not."""
    leaks: dict[str, dict[str, float]] = {}
    for group in (group for group in groups if group[0].cell.space == space):
        for name in (score.name for score in group[0].scores):
            known = [score.leakage for score in scores_of(group, name) if not np.isnan(score.leakage)]
            leaks.setdefault(name, {})[group[0].cell.finder] = float(np.mean(known)) if known else np.inf
    compared = {name: by for name, by in leaks.items() if NETWORK in by and len(by) > 1}
    worse = [name for name, by in compared.items() if by[NETWORK] > min(v for f, v in by.items() if f != NETWORK)]
    return [name for name in compared if name not in worse], worse


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
