"""Do sliders move what they are called, by as much as they say, and nothing else? Alone, and two together.

python benchmarks/sliders.py [--steps 300] [--clips 12] [--out sliders]

Two sliders are trained on the shipped model, from captions (small to large, dim to bright) or from clips whose factor
is known, and their strength 1 is made one standard deviation. "spearman": of strength and factor over -2 to 2 in each
clip, mean. "slope": standard deviations a unit of strength, 1 is right. "others": how far the other factors move at
strengths 1 and 2, mean and worst. "interaction": both sliders at a strength against the sum of each alone, for either
factor, as a share of that sum. Clips are drawn under captions that say all but the two factors. Runs are kept under
`--out` and go on when they were stopped.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from latentlab.bench.flags import main
from latentlab.data.moving.captions import FULL_WORDINGS, caption
from latentlab.data.moving.dataset import HELD_OUT_SEED
from latentlab.data.moving.factors import FactorSampler
from latentlab.generator.adapter import Adapter
from latentlab.generator.load import load
from latentlab.study.sliders import SliderMoves, in_deviations, moves
from latentlab.train.lessons import Graded, Opposites
from latentlab.train.slider import SliderTraining, train_slider

WORDS = {"size": ("small", "large"), "light": ("dim", "bright"), "speed": ("slowly", "quickly")}


@dataclass(frozen=True)
class Config:
    """What to learn from, how long, how many clips the model draws for it, to make a unit by, and to judge by."""

    lesson: Literal["captions", "clips"] = "captions"
    first: str = "size"
    second: str = "light"
    steps: int = 300
    batch_size: int = 4
    rank: int = 4
    learning_rate: float = 1e-3
    drawn: int = 48
    read: int = 8
    clips: int = 12
    num_steps: int = 16
    seed: int = 0
    out: str = "sliders"


def slider(generator: Any, target: str, config: Config) -> Adapter:
    """One of the two, in standard deviations."""
    default = SliderTraining()
    own = {name: getattr(config, name) for name in ("steps", "batch_size", "learning_rate", "seed")}
    training = replace(default, rank=config.rank, clips=config.drawn, loop=replace(default.loop, **own, save_every=20))
    shown = Graded.moving_shapes(target) if config.lesson == "clips" else Opposites.within(generator, *WORDS[target])
    found = train_slider(generator, shown, Path(config.out) / f"{config.lesson}-{target}", training)
    return in_deviations(generator, found, target, clips=config.read, num_steps=config.num_steps, seed=config.seed + 1)


def figures(found: SliderMoves) -> dict[str, Any]:
    """Of one slider."""
    others = {}
    for k in (1.0, 2.0):
        apart = found.others(k)
        worst = max(apart, key=lambda name: apart[name])
        others[f"at {k:g}"] = {"mean": float(np.mean(list(apart.values()))), "worst": apart[worst], "which": worst}
    along = np.nanmean(found.along, 1).round(3).tolist()
    return {
        "spearman": found.spearman,
        "slope": found.slope,
        "along": dict(zip(map(str, found.strengths), along, strict=True)),
        "others": others,
    }


def run(config: Config) -> dict[str, Any]:
    """Trains both and returns the figures."""
    generator, world = load(), FactorSampler(HELD_OUT_SEED + 1)
    names = (config.first, config.second)
    sliders = [slider(generator, name, config) for name in names]
    said = [caption(world(i), i % FULL_WORDINGS, silent=names) for i in range(config.clips)]
    options: dict[str, Any] = {"num_steps": config.num_steps, "method": "ddim", "seed": config.seed + 2}

    def moved(*which: int) -> list[SliderMoves]:
        """Of both factors, read in the same clips."""
        drawn = moves(lambda k: generator.adapted({sliders[i]: k for i in which}).generate(said, **options), names[0])
        return [replace(drawn, target=name) for name in names]

    alone, joint, apart = [moved(0), moved(1)], moved(0, 1), {}
    for j, name in enumerate(names):
        sums = np.nanmean(alone[0][j].along + alone[1][j].along, 1)
        missing = (np.nanmean(joint[j].along, 1) - sums) / sums
        apart[name] = {f"{k:g}": float(share) for k, share in zip(joint[j].strengths, missing, strict=True)}
    return {
        "sliders": {name: figures(alone[i][i]) for i, name in enumerate(names)},
        "interaction": apart,
        "weights": [sum(t.numel() for u in s.updates.values() for t in u.tensors().values()) for s in sliders],
    }


if __name__ == "__main__":
    main(run)
