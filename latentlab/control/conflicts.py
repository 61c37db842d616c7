"""Which conditions of a fusion disagree: where, at which levels, and who wins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from jaxtyping import Float
from torch import Tensor

from latentlab.checks import Seed, clear_errors
from latentlab.control.fusion import Fused, FusedPart, Fusion
from latentlab.generator.condition import Caption
from latentlab.generator.generator import Generator
from latentlab.generator.sampler import DRAW, Sampler
from latentlab.shapes import Latents


@dataclass(frozen=True)
class Disagreement:
    """Two conditions that pull apart at one level.

    Attributes:
        first, second: their names.
        level: flow time.
        cosine: between what the two change of the velocity, below 0.
        lost: share of their lengths that adding them takes away, 1 - |d_i + d_j| / (|d_i| + |d_j|).
        winner: whose change has the larger cosine with what the rule made of all.
        where: latents in which they pull apart, 1, `(frame, height, width)`, mean over clips.
    """

    first: str
    second: str
    level: float
    cosine: float
    lost: float
    winner: str
    where: Float[Tensor, "frame height width"]


@dataclass(frozen=True)
class Conflicts:
    """All disagreements of a run, from noise down.

    Attributes:
        rows: one for each pair and level.
    """

    rows: tuple[Disagreement, ...]

    def lines(self) -> list[str]:
        """A sentence for each pair."""
        pairs = dict.fromkeys((row.first, row.second) for row in self.rows)
        return [_line([row for row in self.rows if (row.first, row.second) == pair]) for pair in pairs]


@torch.no_grad()
@clear_errors
def conflicts(
    generator: Generator, fusion: Fusion, caption: Caption = "", *, seed: Seed = 0, sampler: Sampler = DRAW
) -> Conflicts:
    """Draws a clip for each caption under a fusion, and notes at each level which conditions pull apart.

    Args:
        generator: any that reads the conditions.
        fusion: see there.
        caption: of the run.
        seed: of the noise.
        sampler: how.

    >>> import latentlab as ll
    >>> from latentlab.control import Fusion, Given
    >>> both = Fusion([Given("a red star"), Given("a blue star", weight=0.5)])
    >>> found = conflicts(ll.load(device="cpu"), both, sampler=ll.DRAW.but(num_steps=2))
    >>> {row.winner for row in found.rows} <= {"'a red star'", "'a blue star'"}
    True
    """
    rows: list[Disagreement] = []

    def watch(s: float, parts: Sequence[FusedPart], deltas: Sequence[Latents], change: Latents) -> None:
        for (one, d), (other, e) in combinations(zip(parts, deltas, strict=True), 2):
            cosine = _cosine(d, e)
            if cosine >= 0:
                continue
            names = sorted((one.label, other.label))
            winner = one.label if _cosine(d, change) >= _cosine(e, change) else other.label
            lost = 1 - float((d + e).norm() / (d.norm() + e.norm()))
            where = ((d * e).sum(1) < 0).float().mean(0).cpu()
            rows.append(Disagreement(names[0], names[1], s, cosine, lost, winner, where))

    bound = fusion.bound(generator.unguided)
    watched = generator.guided(Fused(bound.parts, bound.rule, watch))
    condition = generator.as_condition(caption)
    watched.sample(generator.noise(len(condition), seed=seed), condition, sampler=sampler)
    return Conflicts(tuple(sorted(rows, key=lambda row: (-row.level, row.first, row.second))))


def _cosine(a: Latents, b: Latents) -> float:
    return float((a * b).sum() / (a.norm() * b.norm()).clamp(min=1e-12))


def _line(rows: Sequence[Disagreement]) -> str:
    worst = min(rows, key=lambda row: row.cosine)
    wins = sum(row.winner == worst.first for row in rows)
    won = worst.first if wins == len(rows) else worst.second if not wins else f"{worst.first} at {wins} of {len(rows)}"
    share = float(torch.stack([row.where for row in rows]).mean())
    return (
        f"{worst.first} and {worst.second} pull apart from flow time {rows[0].level:.3g} to {rows[-1].level:.3g}, in "
        f"{share:.0%} of the clip; cosine {worst.cosine:.2f} at {worst.level:.3g}, where {worst.lost:.0%} is lost; "
        f"won: {won}{'' if wins in (0, len(rows)) else f' levels, {worst.second} at the others'}"
    )
