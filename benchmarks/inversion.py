"""What does a round trip through noise lose, and what does the solver cost? Held-out clips, guidance 1.

python benchmarks/inversion.py [--clips 32] [--steps 25]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import asdict, dataclass

import torch

from latentlab.data.moving.dataset import HELD_OUT_SEED, moving_shapes
from latentlab.generator.generator import Generator
from latentlab.generator.load import load
from latentlab.study.roundtrip import roundtrip


@dataclass(frozen=True)
class Config:
    """What to measure."""

    model: str | None = None
    clips: int = 32
    num_steps: int = 25
    repeats: int = 7


def run(config: Config) -> dict:
    """Measures and returns the figures."""
    generator = load(config.model)
    video, _ = moving_shapes(config.clips, HELD_OUT_SEED)
    methods = ("ddim", "midpoint", "heun")
    trips = {
        m: roundtrip(generator, video, num_steps=config.num_steps, method=m, progress=True).numbers() for m in methods
    }
    return {"config": asdict(config), "roundtrip": trips, "cost": cost(generator, config)}


def cost(generator: Generator, config: Config) -> dict[str, float]:
    """A sample of one clip against as many bare calls of the network, alternating, medians."""
    noise = generator.noise(1)
    condition = generator.condition("")
    time_of = torch.full((1,), 0.5, device=generator.device)
    generator.sample(noise, num_steps=3, method="ddim")

    def loop() -> None:
        generator.sample(noise, condition, num_steps=config.num_steps, method="ddim")

    @torch.no_grad()
    def bare() -> None:
        for _ in range(config.num_steps):
            generator.denoiser(noise, time_of, condition.tokens, condition.mask)

    def guided() -> None:
        generator.generate("a red star moving left", num_steps=config.num_steps)

    seconds: dict[str, list[float]] = {"loop": [], "bare": [], "guided": []}
    for _ in range(config.repeats):
        for name, work in (("loop", loop), ("bare", bare), ("guided", guided)):
            began = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - began)
    ratios = [a / b for a, b in zip(seconds["loop"], seconds["bare"], strict=True)]
    return {
        "sample_seconds": round(statistics.median(seconds["loop"]), 3),
        "bare_seconds": round(statistics.median(seconds["bare"]), 3),
        "ratio": round(statistics.median(ratios), 3),
        "one_captioned_clip_seconds": round(statistics.median(seconds["guided"]), 3),
        "threads": torch.get_num_threads(),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model")
    parser.add_argument("--clips", type=int, default=32)
    parser.add_argument("--steps", type=int, default=25)
    a = parser.parse_args()
    print(json.dumps(run(Config(model=a.model, clips=a.clips, num_steps=a.steps)), indent=2))
