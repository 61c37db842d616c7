"""Are factors of what adapters were trained on read off their weights? A space of small adapters of moving shapes.

python benchmarks/weight_space.py [--count 256] [--steps 100] [--out weight_space]

Each adapter of rank 1 is trained on one clip without a caption, whose hue, size, light and background are drawn anew;
its other factors are those of all. Their codes in `WeightSpace` are scored against these factors (MIG, DCI, with the
level that chance reaches and a 95 % interval), and directions of `Effect` that are found in half of them are tried on
the other half: "leakage" is how far the other factors move where the target moves by one standard deviation, read off
the clips that the moved codes draw. Adapters are kept under `--out`; a run that was stopped goes on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from latentlab.bench.flags import main
from latentlab.data.moving.dataset import TRAIN_SEED, MovingShapes
from latentlab.data.moving.measure import measure
from latentlab.directions import Effect
from latentlab.factors import FactorTable
from latentlab.generator.adapter import Adapter
from latentlab.generator.generator import Generator
from latentlab.generator.load import load
from latentlab.metrics.disentanglement import score
from latentlab.scoreboard.direction_score import score_directions
from latentlab.scoreboard.sweep import Testbed
from latentlab.spaces import WeightSpace
from latentlab.train.adapter import AdapterTraining, train_adapter
from latentlab.train.pictures import Examples

VARIED = ("hue", "size", "light", "background_hue")
HELD = {"shape": 3, "start_x": 32.0, "start_y": 32.0, "direction": 0.0, "speed": 0.3, "rotation": 0.0, "blur": 0.0}
TARGETS = ("hue@0", "hue@90", "size", "light", "background_hue@0", "background_hue@90")
STRENGTHS = (-2.0, -1.0, 0.0, 1.0, 2.0)


@dataclass(frozen=True)
class Config:
    """How many adapters, how they are trained, and how their directions are tried."""

    count: int = 256
    steps: int = 100
    batch_size: int = 4
    learning_rate: float = 3e-3
    dims: int = 10
    tried: int = 8
    num_steps: int = 12
    seed: int = 0
    out: str = "weight_space"


def adapters(generator: Generator, clips: MovingShapes, config: Config) -> list[Adapter]:
    """One for each clip, all from one beginning."""
    loop = replace(
        AdapterTraining().loop, steps=config.steps, batch_size=config.batch_size, learning_rate=config.learning_rate,
        warmup=1, seed=config.seed, save_every=config.steps, ema=0.9,
    )  # fmt: skip
    training, found = AdapterTraining(rank=1, prior=0.0, loop=loop), []
    for i in tqdm(range(config.count), desc="adapters"):
        folder = Path(config.out) / f"{i:04d}"
        file = folder / "adapter.safetensors"
        if not file.exists():
            train_adapter(generator, Examples(clips.clip(i), ("",), {}), folder, training)
        found.append(Adapter.read(file))
    return found


def run(config: Config) -> dict[str, Any]:
    """Trains what is not there yet, and returns the figures."""
    generator, clips = load(), MovingShapes(config.count, TRAIN_SEED + 7, fixed=HELD)
    factors: FactorTable = clips.sampler.table(range(config.count)).select(VARIED)
    space = WeightSpace(
        generator, adapters(generator, clips, config), dims=config.dims, seed=config.seed, guidance=1.0,
        num_steps=config.num_steps,
    )  # fmt: skip
    found = score(space.codes, factors, ("mig", "dci"), null=10, bootstrap=20, progress=False)
    metrics = {
        name: {"value": s.value, "null": s.null, "adjusted": s.adjusted, "ci": s.ci, "per_factor": s.per_factor}
        for name, s in found.items()
    }
    half = config.count // 2
    directions = Effect().fit(space.codes[:half], factors[:half])
    testbed = Testbed(
        space.codes[half : half + config.tried],
        space.decode,
        lambda video: measure(video).select(VARIED),
        factors,
    )
    with torch.no_grad():
        scores = score_directions(testbed, [directions[name] for name in TARGETS], strengths=STRENGTHS)
    drawn = testbed.base
    off = {name: float(np.nanmean(testbed.factor_units.distances(drawn, factors[half : half + config.tried])[:, i]))
           for i, name in enumerate(VARIED)}  # fmt: skip
    return {
        "dims": space.dim,
        "explained": [round(float(share), 3) for share in space.explained],
        "metrics": metrics,
        "directions": {
            s.name: {"leakage": s.leakage, "spearman": s.monotonicity, "reached": s.reached, "why": s.why}
            for s in scores
        },
        "leakage, mean": float(np.nanmean([s.leakage for s in scores])),
        "adapters draw other factors than they were shown, sd": off,
    }


if __name__ == "__main__":
    main(run)
