"""Does a direction move what it says, and nothing else? Effect directions on held-out clips, judged by `measure`.

    python benchmarks/edits.py [--spaces latent,noise] [--clips 32] [--labelled 256]

Each clip is encoded into the space, moved by seven strengths and decoded. A score is the Spearman correlation of the
strength and the measured target, per clip; the table shows the median over clips. A circular factor is judged by the
cosine of the angle between what is measured and what the direction points to; for motion, by the velocity along it.
The null is what directions from one half of the clips to the other reach, halves drawn at random, whichever their sign.
A move that carries all else along has a correlation of 1 as well, so beside it stands the share of clips that keep the
contract of an edit (`latentlab.study.contract`) at the strongest move: the target moved, and all else, the shape's
outline among it, is within its tolerance. Then precision, leakage and usable strengths (see `latentlab.scoreboard`),
and the floor, what the space loses without any edit.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import torch
from scipy.stats import spearmanr
from tqdm.auto import tqdm

from latentlab.bench.flags import main
from latentlab.bench.spread import median, percent
from latentlab.data.moving.dataset import HELD_OUT_SEED, MovingShapes, moving_shapes
from latentlab.data.moving.factors import NAMES
from latentlab.data.moving.measure import measure
from latentlab.directions import Direction
from latentlab.directions.factor_units import FactorUnits
from latentlab.factors import FactorTable
from latentlab.generator.load import load
from latentlab.metrics.perceptual import psnr
from latentlab.names import SpaceKind
from latentlab.scoreboard.direction_score import Sweep, score_sweep
from latentlab.shapes import Codes, Video
from latentlab.spaces import Around
from latentlab.study.account import SEEN
from latentlab.study.contract import judge_rest
from latentlab.study.edit_space import DIRECTION_SEED, edit_space
from latentlab.study.sources import find_directions
from latentlab.study.steps import Step, draw
from latentlab.view.report import Player

DIRECTIONS = ("hue@0", "hue@120", "hue@240", "size", "light", "direction@0", "direction@90")
SHOWN = ("hue@0", "size", "light")  # whose clips are on the page
JUDGED = tuple(name for name in NAMES if name != "blur")  # which can be told of few decoded clips


@dataclass(frozen=True)
class Config:
    """What to measure."""

    model: str | None = None
    spaces: tuple[SpaceKind, ...] = ("latent",)
    clips: int = 32
    reach: float = 2.0
    strengths: int = 7
    labelled: int | None = None  # clips that directions are found with; None is as many as the space's default
    nulls: int = 2  # directions between random halves


def run(config: Config) -> dict:
    """Measures and returns the figures."""
    generator = load(config.model)
    video, _ = moving_shapes(config.clips, HELD_OUT_SEED)
    strengths = np.linspace(-config.reach, config.reach, config.strengths)
    factor_units = FactorUnits.of(MovingShapes(1000, DIRECTION_SEED).factors().select(JUDGED))
    figures: dict[str, dict] = {}
    floors: dict[str, float] = {}
    clips = [Player(video[:1], "a held-out clip")]
    for kind in config.spaces:
        here = edit_space(generator, kind).around(video)
        floors[kind] = round(float(psnr(here.unedited.cpu(), video).mean()), 2)
        found = find_directions(generator, space=kind, labelled=config.labelled, progress=True)
        by_chance = []
        for seed in tqdm(range(config.nulls), desc=f"{kind}, null"):
            chance = between_halves(here.codes, seed)
            by_chance.append([measure(moved(here, chance, s)) for s in strengths])
        for name in tqdm(DIRECTIONS, desc=kind):
            edits = [moved(here, found[name], s) for s in strengths]
            read = [measure(edit) for edit in edits]
            score = judge(name, read, strengths, factor_units)
            nulls = [judge(name, tables, strengths, factor_units) for tables in by_chance]

            def null(figure: str, nulls: list[Judged] = nulls) -> float | None:
                return float(np.mean([getattr(one, figure) for one in nulls])) if nulls else None

            figures[f"{name}, {kind}"] = {
                "median_spearman": median(score.spearman, null("size_of_median")),
                "percent_above_0.9": percent(score.spearman >= 0.9),
                "kept_percent": percent(kept(name, here.unedited.cpu(), edits[-1], factor_units)),
                "median_range": [round(float(np.nanmedian(towards(name, table))), 3) for table in read],
                "precision": {"value": round(score.precision, 3), "null": null("precision")},
                "leakage": {"value": round(score.leakage, 3), "null": null("leakage")},
                "usable": list(score.usable),
            }
            if name in SHOWN:
                ends = ((strengths[0], edits[0]), (strengths[-1], edits[-1]))
                clips += [Player(edit[:1], f"{name}, {kind}", f"{s:+g} standard deviations") for s, edit in ends]
    return {
        "strengths": strengths.tolist(),
        "floor_psnr": floors,
        "edits": figures,
        "_clips": [asdict(clip.coded()) for clip in clips],
    }


@dataclass(frozen=True)
class Judged:
    """How one direction did: Spearman correlation of each clip, and what `score_sweep` found over all of them."""

    spearman: np.ndarray
    precision: float
    leakage: float
    usable: tuple[float, float]

    @property
    def size_of_median(self) -> float:
        """A direction found by chance may as well be turned round."""
        return abs(float(np.median(self.spearman)))


def judge(name: str, read: list[FactorTable], strengths: np.ndarray, factor_units: FactorUnits) -> Judged:
    """A direction that should move `name`, by what is read of its clips, a table a strength."""
    target = np.array([towards(name, table) for table in read])
    spearman = np.array([_spearman(strengths, clip) for clip in target.T])
    tables = tuple(table.select(JUDGED) for table in read)
    score = score_sweep(factor_units, Sweep(name, tuple(strengths.tolist()), tables))
    return Judged(spearman, score.precision, score.leakage, (score.low, score.high))


def kept(name: str, unedited: Video, edited: Video, factor_units: FactorUnits) -> np.ndarray:
    """Which clips moved along their target, and kept all else."""
    went = factor_units.along(name, *(measure(video).select(JUDGED) for video in (unedited, edited)))
    factor = factor_units.names[factor_units.target(name)[0]]
    return (went >= SEEN) & judge_rest(unedited, edited, [factor]).kept


def moved(here: Around, direction: Direction, strength: float) -> Video:
    """The clips, edited."""
    return draw([Step(direction, float(strength))], here).video.cpu()


def between_halves(codes: Codes, seed: int) -> Direction:
    """From the mean of one random half of the clips to that of the other: a difference of means on shuffled labels."""
    codes = codes.float().cpu()
    order = torch.randperm(len(codes), generator=torch.Generator().manual_seed(seed))
    first, second = order.tensor_split(2)
    way = codes[first].mean(0) - codes[second].mean(0)
    way = way / way.norm()
    return Direction(f"halves {seed}", way.numpy(), float((codes @ way).std()))


def towards(name: str, read: FactorTable) -> np.ndarray:
    """How far clips are along a direction, one number a clip."""
    factor, _, angle = name.partition("@")
    if not angle:
        return read[factor]
    cosine = np.cos(np.deg2rad(read[factor] - float(angle)))
    if factor != "direction":
        return cosine
    return np.nan_to_num(cosine) * read["speed"]  # a clip at rest has no direction and no velocity either


def _spearman(strengths: np.ndarray, target: np.ndarray) -> float:
    """Rank correlation over the strengths at which the target can be read; unreadable at half of them scores 0."""
    known = np.isfinite(target)
    if known.sum() <= len(strengths) / 2 or np.ptp(target[known]) == 0:
        return 0.0
    return float(spearmanr(strengths[known], target[known])[0])  # type: ignore[arg-type]


if __name__ == "__main__":
    main(run)
