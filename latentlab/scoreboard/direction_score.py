"""The scoreboard: does a direction move its factor, and nothing else? Every figure is measured on decoded codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata
from tqdm.auto import tqdm

from latentlab.directions.edit import Moves
from latentlab.directions.factor_units import FactorUnits
from latentlab.directions.usable import Limits, mean_known, walk_strengths
from latentlab.factors import FactorTable
from latentlab.scoreboard.sweep import STRENGTHS, Move, Sweep, Testbed, between, sweep, where_one

STILL = 1e-3  # standard deviations, too few to be told from none
APPEARANCE = ("shape", "hue", "size", "background_hue", "light")
MOTION = ("direction", "speed", "rotation")


@dataclass(frozen=True)
class DirectionScore:
    """Figures of one direction; effects are in standard deviations of each factor.

    Attributes:
        name: of the direction, which says its target.
        strength: at which the target moves by one standard deviation, mean of both sides; the largest tried if it never
            does.
        reached: whether it does, on both sides.
        failed: the target moves by less than `STILL`, or a factor that could be read before can be read in no clip.
            Precision, ratio and locality are then 0, and leakage is NaN.
        unread: share of clips in which a factor that could be read before no longer can.
        effect: how far the mean over clips of each factor moves there: a row of the effect matrix, NaN where it can be
            read in no clip. What so few clips would show by chance, moving this way and that, is taken off.
        moved: how far each factor moves in a clip whichever way, mean over clips.
        precision: effect on the target over the sum of all effects.
        leakage: mean effect on the others over that on the target.
        ratio: editing precision ratio: how far the target moves in a clip over how far the others do.
        monotonicity: Spearman correlation of strength and target, median over clips.
        linearity: R2 of the straight line through the mean target over all strengths.
        low, high: usable strengths, see `usable_range`.
        locality: 1 if a direction of motion leaves appearance alone, or the reverse; NaN for factors that are neither.
        alignment: absolute cosine with the true direction; NaN without one.
        amount: effect on the target in the factor's own unit; NaN for angles and categories, whose unit is a turn.
        why: in words, why it failed, or that the target never moved by one standard deviation; "" for neither.
    """

    name: str
    strength: float
    reached: bool
    failed: bool
    unread: float
    effect: tuple[float, ...]
    moved: tuple[float, ...]
    precision: float
    leakage: float
    ratio: float
    monotonicity: float
    linearity: float
    low: float
    high: float
    locality: float
    alignment: float = float("nan")
    amount: float = float("nan")
    why: str = ""


def score_sweep(factor_units: FactorUnits, seen: Sweep, *, limits: Limits | None = None) -> DirectionScore:
    """All figures that a sweep tells.

    Raises:
        KeyError: the direction's name is no target.
    """
    factor, way = factor_units.target(seen.name)
    others = np.arange(len(factor_units.specs)) != factor
    curve = np.nan_to_num([mean_known(factor_units.along(seen.name, seen.base, table)) for table in seen.tables])
    sides = [where_one(curve, seen.strengths, side) for side in (-1, 1)]
    # Both sides count alike, so that a factor at the end of its range does not decide.
    low, high = (between(seen, s, lambda table: factor_units.shifts(seen.base, table)) for s, _ in sides)
    shifts = [(b - a) / 2 for a, b in zip(low, high, strict=True)]
    effect = np.array([_length_of_mean(shift) for shift in shifts])
    effect[factor] = abs(np.nan_to_num(mean_known(shifts[factor] @ way)))
    before = np.isfinite(factor_units.distances(seen.base, seen.base))
    after = np.stack([np.isfinite(shift).all(1) for shift in shifts], 1)
    lost = before.any(0) & ~(before & after).any(0)
    effect[lost] = np.nan
    failed = bool(lost.any() or effect[factor] < STILL)
    moved = np.nan_to_num(
        np.mean([between(seen, s, lambda t: _mean_moves(factor_units, seen, t)) for s, _ in sides], 0)
    )
    lookup = dict(zip(seen.strengths, seen.tables, strict=True))
    positive = [s for s in seen.strengths if s > 0 and -s in lookup]
    usable = walk_strengths(lambda s: (lookup[s], float("nan")), seen.name, factor_units, positive, limits or Limits())
    return DirectionScore(
        name=seen.name,
        strength=float(np.mean([abs(s) for s, _ in sides])),
        reached=all(found for _, found in sides),
        failed=failed,
        unread=float((before & ~after).any(1).mean()),
        effect=tuple(effect.tolist()),
        moved=tuple(moved.tolist()),
        precision=0.0 if failed else _ratio(effect[factor], effect.sum()),
        leakage=float("nan") if failed else _ratio(effect[others].mean(), effect[factor]),
        ratio=0.0 if failed else _ratio(moved[factor], moved[others].mean()),
        monotonicity=_monotonicity(factor_units, seen),
        linearity=_linearity(np.array(seen.strengths), curve),
        low=usable.low,
        high=usable.high,
        locality=_locality(factor_units, effect, factor),
        amount=float(effect[factor] * factor_units.units[factor]) if len(way) == 1 else float("nan"),
        why=_why(factor_units, np.asarray(lost), effect[factor], all(found for _, found in sides)),
    )


def _why(factor_units: FactorUnits, lost: np.ndarray, moved: float, reached: bool) -> str:
    if lost.any():
        names = ", ".join(name for name, gone in zip(factor_units.names, lost, strict=True) if gone)
        return f"{names} can be read in no clip any more"
    if moved < STILL:
        return f"the target moves by {moved:.2g} sd, which is none"
    return "" if reached else f"the target moves by {moved:.2f} sd at most, not by one"


def score_directions(
    testbed: Testbed,
    directions: Sequence[Moves],
    *,
    truth: dict[str, np.ndarray] | None = None,
    strengths: Sequence[float] = STRENGTHS,
    move: Move | None = None,
    progress: bool = False,
) -> list[DirectionScore]:
    """One score for each direction, whose name says its target.

    Args:
        testbed: where to try them.
        directions: from any finder.
        truth: true moves by name, as `paired_truth` finds them.
        strengths: rising, through 0.
        move: `(codes, direction, strength) -> codes`, where it is not `edit`.
        progress: show a bar.

    >>> from latentlab.directions import Effect
    >>> from latentlab.scoreboard.oracle import Oracle
    >>> oracle = Oracle()
    >>> codes, factors = oracle.draw(1000)
    >>> testbed = Testbed(oracle.draw(50, seed=1)[0], lambda codes: codes, oracle.read, factors)
    >>> found = Effect().fit(codes, factors)
    >>> bool(score_directions(testbed, [found["factor0"]])[0].leakage < 0.04)
    True
    """
    scores = []
    for direction in tqdm(directions, desc="directions", disable=not progress or None):
        score = score_sweep(testbed.factor_units, sweep(testbed, direction, strengths, move=move))
        if truth is not None and direction.name in truth:
            score = replace(score, alignment=_cosine(direction.vector, truth[direction.name]))
        scores.append(score)
    return scores


def match_targets(
    testbed: Testbed, directions: Sequence[Moves], targets: Sequence[str], *, strength: float = 2.0
) -> dict[str, tuple[int, int]]:
    """Which direction of an unlabelled set moves which target best: one each, by the Hungarian method.

    Each is tried at plus and minus `strength`; what is matched is the share of its effect that falls on the target.

    Args:
        directions: of the set, in any number.
        targets: names, see `FactorUnits.target`.

    Returns:
        For each target that got one, the index of its direction and the sign with which to take it.
    """
    factor_units = testbed.factor_units
    share = np.zeros((len(directions), len(targets)))
    for i, direction in enumerate(directions):
        seen = sweep(testbed, direction, (-strength, 0.0, strength))
        shifts = [mean_known(shift) for shift in factor_units.shifts(seen.tables[0], seen.tables[2])]
        total = sum(float(np.linalg.norm(s)) for s in shifts)
        if total > 0:  # and not NaN: after such a move some factor can be read in no clip
            share[i] = [shifts[k] @ way / total for k, way in map(factor_units.target, targets)]
    rows, columns = linear_sum_assignment(-np.abs(share))
    matched: dict[str, tuple[int, int]] = {}
    for r, c in zip(map(int, rows), map(int, columns), strict=True):
        matched[targets[c]] = (r, 1 if share[r, c] >= 0 else -1)
    return matched


def _length_of_mean(shifts: np.ndarray) -> float:
    """Length of the mean over clips, freed of its bias: |mean|^2 - (variance / clips) has no bias, |mean|^2 has."""
    shifts = shifts[np.isfinite(shifts).all(1)]
    if len(shifts) < 2:
        return float(np.linalg.norm(shifts.sum(0)))
    chance = shifts.var(0, ddof=1).sum() / len(shifts)
    return float(np.sqrt(max((shifts.mean(0) ** 2).sum() - chance, 0.0)))


def _mean_moves(factor_units: FactorUnits, seen: Sweep, table: FactorTable) -> list[np.ndarray]:
    return list(mean_known(factor_units.distances(seen.base, table)))


def _monotonicity(factor_units: FactorUnits, seen: Sweep) -> float:
    """Where the target is unreadable at half of the strengths or does not move, a clip scores 0."""
    target = np.stack([factor_units.along(seen.name, seen.base, table) for table in seen.tables])
    known = np.isfinite(target)
    ranks = [known.cumsum(0), np.nan_to_num(rankdata(target, axis=0, nan_policy="omit"))]  # strengths rise already
    count = np.maximum(known.sum(0), 1)
    strength, moved = (np.where(known, r - np.where(known, r, 0).sum(0) / count, 0.0) for r in ranks)
    length = np.sqrt((strength**2).sum(0) * (moved**2).sum(0))
    judged = (known.sum(0) > len(target) / 2) & (length > 0)
    return float(np.median(np.where(judged, (strength * moved).sum(0) / np.where(judged, length, 1), 0.0)))


def _linearity(strengths: np.ndarray, curve: np.ndarray) -> float:
    return float(np.corrcoef(strengths, curve)[0, 1] ** 2) if np.ptp(curve) > 0 else 0.0


def _locality(factor_units: FactorUnits, effect: np.ndarray, factor: int) -> float:
    groups = [group for group in (APPEARANCE, MOTION) if factor_units.names[factor] in group]
    if not groups:
        return float("nan")
    foreign = [name in {*APPEARANCE, *MOTION} - set(groups[0]) for name in factor_units.names]
    local = _ratio(effect[factor], effect[factor] + effect[foreign].sum())
    return 0.0 if np.isnan(local) else local


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else float("nan")


def _cosine(a: Float[np.ndarray, " dim"], b: Float[np.ndarray, " dim"]) -> float:
    length = np.linalg.norm(a) * np.linalg.norm(b)
    return float(abs(a @ b) / length) if length > 0 else 0.0
