"""Does a direction move what it says, and nothing else? Effect directions on held-out clips, judged by `measure`.

    python benchmarks/edits.py [--space latent,noise] [--clips 32] [--labelled 256]

Each clip is encoded into the space, moved by seven strengths and decoded. A score is the Spearman correlation of the
strength and the measured target, per clip; the table shows the median over clips. A circular factor is judged by the
cosine of the angle between what is measured and what the direction points to; for motion, by the velocity along it.
Beside it: precision, leakage and usable strengths (see `latentlab.study.scoreboard`), and the floor, what the space
loses without any edit.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass

import numpy as np
from scipy.stats import spearmanr
from tqdm.auto import tqdm

from latentlab.data.moving.dataset import HELD_OUT_SEED, MovingShapes, moving_shapes
from latentlab.data.moving.factors import NAMES
from latentlab.data.moving.measure import measure
from latentlab.directions.ruler import Ruler
from latentlab.factors import FactorTable
from latentlab.generator.load import load
from latentlab.metrics.perceptual import psnr
from latentlab.study.edit_space import DIRECTION_SEED, EditSpace
from latentlab.study.scoreboard import Sweep, score_sweep

DIRECTIONS = ("hue@0", "hue@120", "hue@240", "size", "light", "direction@0", "direction@90")
JUDGED = tuple(name for name in NAMES if name != "blur")  # which can be told of few decoded clips


@dataclass(frozen=True)
class Config:
    """What to measure."""

    model: str | None = None
    spaces: tuple[str, ...] = ("latent",)
    clips: int = 32
    reach: float = 2.0
    strengths: int = 7
    labelled: int | None = None  # clips that directions are found with; None is as many as the space's default


def run(config: Config) -> dict:
    """Measures and returns the figures."""
    generator = load(config.model)
    video, _ = moving_shapes(config.clips, HELD_OUT_SEED)
    strengths = np.linspace(-config.reach, config.reach, config.strengths)
    ruler = Ruler.of(MovingShapes(1000, DIRECTION_SEED).factors().select(JUDGED))
    figures: dict[str, dict] = {}
    floors: dict[str, float] = {}
    for kind in config.spaces:
        space = EditSpace(generator, kind, video)
        floors[kind] = round(float(psnr(space.decode(space.codes).cpu(), video).mean()), 2)
        found = space.find(labelled=config.labelled, progress=True)
        for name in tqdm(DIRECTIONS, desc=kind):
            read = [measure(space.edit(found[name], float(s)).cpu()) for s in strengths]
            target = np.array([towards(name, table) for table in read])
            scores = [_spearman(strengths, target[:, i]) for i in range(config.clips)]
            tables = tuple(table.select(JUDGED) for table in read)
            score = score_sweep(ruler, Sweep(name, tuple(strengths.tolist()), tables))
            figures.setdefault(name, {})[kind] = {
                "median_spearman": round(float(np.median(scores)), 3),
                "share_above_0.9": round(float(np.mean(np.array(scores) >= 0.9)), 2),
                "median_range": [round(float(np.nanmedian(row)), 3) for row in target],
                "precision": round(score.precision, 3),
                "leakage": round(score.leakage, 3),
                "usable": [score.low, score.high],
            }
    return {"config": asdict(config), "strengths": strengths.tolist(), "floor_psnr": floors, "edits": figures}


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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model")
    parser.add_argument("--space", default="latent")
    parser.add_argument("--clips", type=int, default=32)
    parser.add_argument("--reach", type=float, default=2.0)
    parser.add_argument("--labelled", type=int, help="clips that directions are found with")
    a = parser.parse_args()
    spaces = tuple(a.space.split(","))
    config = Config(model=a.model, spaces=spaces, clips=a.clips, reach=a.reach, labelled=a.labelled)
    print(json.dumps(run(config), indent=2))
