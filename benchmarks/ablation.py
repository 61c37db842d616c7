"""What do attention in time and a penalty on flicker do to the clips? Three denoisers, trained on alike.

python benchmarks/ablation.py [--steps 300] [--clips 256] [--weight 1] [--out ablation]

Each goes on from the shipped denoiser for the same steps on the same batches: with its temporal attention taken out, as
it is, and with `flicker_loss` beside its error. The runs are kept under `--out` and go on when they were stopped.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from latentlab.bench.flags import main
from latentlab.bench.spread import mean
from latentlab.data.moving.captions import captions
from latentlab.data.moving.dataset import HELD_OUT_SEED, MovingShapes, moving_shapes
from latentlab.generator.denoiser import DenoiserConfig
from latentlab.generator.load import load
from latentlab.generator.native import NativeGenerator
from latentlab.metrics import flicker
from latentlab.metrics.sets import compare
from latentlab.score import reader_td
from latentlab.train.denoiser import DenoiserTraining, train_denoiser
from latentlab.view.report import Player

COMPONENTS = ("overall", "whole", "regional", "texture", "motion_jitter")


@dataclass(frozen=True)
class Config:
    """How long to train, and how many clips to judge by."""

    steps: int = 300
    clips: int = 256
    weight: float = 1.0
    batch_size: int = 16
    learning_rate: float = 2e-4
    training_clips: int = 4096
    num_steps: int = 25
    seed: int = 0
    out: str = "ablation"


def run(config: Config) -> dict:
    """Trains the three and returns the figures of each, beside those of the shipped denoiser and of real clips."""
    shipped = load()
    real, factors = moving_shapes(config.clips, HELD_OUT_SEED)
    said = [captions(row)[i % 3] for i, row in enumerate(factors.values)]
    features = reader_td()
    reference = features.collect(real.split(16))
    arms = {"shipped": shipped, **{name: trained(name, shipped, config) for name in ARMS}}
    figures, shown = {}, {f"real clip: {said[0]}": real[:1]}
    for name, generator in arms.items():
        made = generator.generate(said, seed=config.seed, num_steps=config.num_steps, progress=name).cpu()
        distance = compare(features.collect(made.split(16)), reference, name=features.name, seed=config.seed)
        frechet = {"value": distance.value, "interval": distance.interval, "null": distance.floor}
        figures[name] = {"frechet(reader-td)": frechet, **flickers(made)}
        shown[name] = made[:1]
    clips = [asdict(Player(clip, title).coded()) for title, clip in shown.items()]
    return {**figures, "real clips": flickers(real), "_clips": clips}


ARMS = {
    "without temporal attention": lambda base, weight: replace(
        base, network=replace(base.network, temporal_attention=False)
    ),
    "with temporal attention": lambda base, weight: base,
    "with the flicker loss": lambda base, weight: replace(base, flicker=weight),
}


def trained(name: str, shipped: NativeGenerator, config: Config) -> NativeGenerator:
    """The shipped generator with its denoiser trained on in one way."""
    loop = replace(
        DenoiserTraining().loop, steps=config.steps, batch_size=config.batch_size, ema=0.98, seed=config.seed,
        learning_rate=config.learning_rate, sample_every=config.steps, workers=0,
    )  # fmt: skip
    shape = shipped.denoiser.config
    assert isinstance(shape, DenoiserConfig)  # the shipped model is a U-Net
    base = DenoiserTraining(loop=loop, network=shape, clips=config.training_clips)
    denoiser = train_denoiser(
        MovingShapes(config.training_clips), shipped.autoencoder, shipped.clip_model,
        Path(config.out) / name.replace(" ", "_"), ARMS[name](base, config.weight), device=str(shipped.device),
        start=shipped.denoiser, encoded=Path(config.out) / "latents",
    )  # fmt: skip
    return NativeGenerator(shipped.autoencoder, denoiser, shipped.clip_model, shipped.config)


def flickers(video: torch.Tensor) -> dict[str, Any]:
    """Means over the clips, 8-bit levels; `motion_jitter` is a ratio, acceleration over speed."""
    found = [flicker(part) for part in video.split(16)]
    return {name: mean(torch.cat([getattr(part, name) for part in found])) for name in COMPONENTS}


if __name__ == "__main__":
    main(run)
