"""How wrong may latents be before shapes are lost? Noise on the latents of held-out clips, and shapes read afterwards.

    python benchmarks/latent_noise.py [--model FOLDER] [--clips 150]

A denoiser's latents are never exact, so an autoencoder is only as good as it is under noise. The noise is the same in
all frames, in standard deviations of the latents. "apart" is how far two shapes of middle size are from each other
where they are, all other factors being equal: root mean square, in the same unit.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import torch
from tqdm.auto import tqdm

from latentlab.bench.flags import main
from latentlab.bench.spread import mean, percent
from latentlab.data.moving.dataset import HELD_OUT_SEED, moving_shapes
from latentlab.data.moving.factors import SHAPES
from latentlab.data.moving.measure import measure
from latentlab.data.moving.reader import load_reader
from latentlab.generator.generator import Generator
from latentlab.generator.load import load
from latentlab.metrics import psnr

OBJECT = 0.1  # of the largest deviation from the background: where a shape is


@dataclass(frozen=True)
class Config:
    """What to measure."""

    model: str | None = None
    clips: int = 150
    noises: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3)
    scenes: int = 6  # that are drawn once with each shape
    seed: int = 0


def run(config: Config) -> dict:
    """Measures and returns the figures."""
    generator, reader = load(config.model), load_reader()
    video, factors = moving_shapes(config.clips, HELD_OUT_SEED)
    latents, shapes = generator.encode(video), factors["shape"]
    names = np.array(SHAPES)[shapes.astype(int)]
    noise = torch.randn(latents[:, :, :1].shape, generator=torch.Generator().manual_seed(config.seed)).to(latents)
    rows = {}
    for level in tqdm(config.noises, desc="noise"):
        again = generator.decode(latents + level * noise).cpu()
        rows[str(level)] = {
            "psnr": mean(psnr(again, video)),
            "shape (reader)": percent(np.equal(reader.read_shape(again), names), null=100 / len(SHAPES)),
            "shape (measure)": percent(measure(again)["shape"] == shapes, null=100 / len(SHAPES)),
        }
    return {"noise": rows, "apart": apart(generator, config.scenes)}


def apart(generator: Generator, scenes: int) -> dict[str, dict]:
    """Distance of each two shapes, mean over scenes."""
    sweep = {"shape": list(range(len(SHAPES)))}
    found: dict[str, list[float]] = {}
    video, _ = moving_shapes(scenes * len(SHAPES), HELD_OUT_SEED, sweep=sweep, fixed={"size": 6.5})
    for scene in generator.encode(video).split(len(SHAPES)):
        background = scene.flatten(3).median(-1).values[..., None, None]
        deviation = (scene - background).square().sum(1).mean((0, 1))
        there = deviation > OBJECT * deviation.max()
        for i, j in itertools.combinations(range(len(SHAPES)), 2):
            gap = (scene[i] - scene[j])[..., there].square().mean().sqrt()
            found.setdefault(f"{SHAPES[i]}, {SHAPES[j]}", []).append(float(gap))
    return {pair: mean(gaps) for pair, gaps in found.items()}


if __name__ == "__main__":
    main(run)
