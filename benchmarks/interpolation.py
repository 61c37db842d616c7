"""Which path between clips is even, smooth and likely? Near and distant pairs, in latents, inverted and drawn noise.

Near pairs of drawn noise are correlated at 0.6, distant ones independent. Then: even spacing, interpolation learned
from sequences against the straight line, and slerp's speed.

python benchmarks/interpolation.py [--pairs 4] [--points 9]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import asdict, dataclass

import torch
from scipy.stats import chi2
from tqdm.auto import tqdm

from latentlab.data.moving.dataset import HELD_OUT_SEED, moving_shapes
from latentlab.generator.generator import Generator
from latentlab.generator.load import load
from latentlab.interpolate import advise, combine, fit_between, held_out_error, lerp, nlerp, slerp, uniform
from latentlab.metrics import flicker


def combined(a: torch.Tensor, b: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """The path of `combine` between two points."""
    return torch.stack([combine(torch.stack([a, b]), [1 - float(u), float(u)]) for u in t])


PATHS = {"lerp": lerp, "nlerp": nlerp, "slerp": slerp, "combine": combined}
CORRELATION = 0.6  # of near seeds
TRAINING_SEED, SPAN = 20, 8  # of the sequences that interpolation is learned from; frames between the known ones


@dataclass(frozen=True)
class Config:
    """What to measure."""

    model: str | None = None
    pairs: int = 4
    points: int = 9
    num_steps: int = 15
    sequences: int = 1024
    learning_steps: int = 1500


def run(config: Config) -> dict:
    """Measures and returns the figures."""
    generator = load(config.model)
    video, _ = moving_shapes(8 * config.pairs, HELD_OUT_SEED)
    latents = generator.encode(video)
    noise = generator.invert(latents, num_steps=config.num_steps, progress="inverting").noise

    def decode(noise: torch.Tensor) -> torch.Tensor:
        return generator.decode(generator.sample(noise, num_steps=config.num_steps))

    spaces = {
        "latents": (latents, generator.decode),
        "noise": (noise, decode),
        "seeds": (seeds(generator, config), decode),
    }
    clips = choose_pairs(latents, config.pairs)
    drawn = {
        "near": [(i, config.pairs + i) for i in range(config.pairs)],
        "distant": [(i, 2 * config.pairs + i) for i in range(config.pairs)],
    }
    pairs: dict[str, dict[str, list[tuple[int, int]]]] = {"latents": clips, "noise": clips, "seeds": drawn}
    return {
        "config": asdict(config),
        "weights": generator.fingerprint(),
        "advice": {name: asdict(advise(points)) for name, (points, _) in spaces.items()},
        "paths": {
            f"{far} pairs, {s}, {p}": paths(spaces[s][0], spaces[s][1], pairs[s][far], p, config)
            for far in ("near", "distant")
            for s in spaces
            for p in PATHS
        },
        "evenly_spaced_slerp_in_noise": even(noise, decode, pairs["noise"]["distant"], config),
        "learned": learned(generator, latents, config),
        "slerp_speed": speed(),
    }


def seeds(generator: Generator, config: Config) -> torch.Tensor:
    """Drawn noise: the first ends, ends correlated with them, independent ones."""
    first, other, last = generator.noise(3 * config.pairs).split(config.pairs)
    return torch.cat([first, CORRELATION * first + (1 - CORRELATION**2) ** 0.5 * other, last])


def choose_pairs(latents: torch.Tensor, count: int) -> dict[str, list[tuple[int, int]]]:
    """The first clips, each with the clip whose latents are nearest, and with the one farthest away."""
    apart = torch.cdist(latents.flatten(1), latents.flatten(1))
    nearest = apart.clone().fill_diagonal_(torch.inf).argmin(1)
    return {
        "near": [(i, int(nearest[i])) for i in range(count)],
        "distant": [(i, int(apart[i].argmax())) for i in range(count)],
    }


def paths(points: torch.Tensor, decode, pairs: list[tuple[int, int]], name: str, config: Config) -> dict[str, float]:
    """Norm, length, steps, bends and flicker of decoded paths, means over pairs."""
    t = torch.linspace(0, 1, config.points)
    rows = []
    for i, j in tqdm(pairs, desc=name):
        line = PATHS[name](points[i, None], points[j, None], t)[:, 0]
        clips = decode(line)
        steps = distance(clips[:-1], clips[1:])
        bends = distance(clips[1:-1], (clips[:-2] + clips[2:]) / 2)
        rows.append((
            chi_percentile(line[len(t) // 2]), spread(line), float(steps.sum()), float(steps.max() / steps.mean()),
            float(steps.std() / steps.mean()), float(bends.mean() / steps.mean()),
            float(flicker(clips).overall.mean()),
        ))  # fmt: skip
    names = (
        "norm_percentile_halfway",
        "spread_halfway",
        "length",
        "largest_step_over_mean",
        "variation_of_steps",
        "bend",
        "flicker",
    )
    return {k: float(f"{statistics.fmean(r[i] for r in rows):.3g}") for i, k in enumerate(names)}


def chi_percentile(point: torch.Tensor) -> float:
    """Where the norm of a point lies among those of Gaussian noise of that many dimensions, in percent."""
    return 100 * float(chi2.cdf(float(point.double().square().sum()), point.numel()))


def spread(line: torch.Tensor) -> float:
    """Standard deviation halfway over that of the ends: 1 stays inside the mode, 0.71 is what lerp leaves."""
    deviation = line.flatten(1).std(1)
    return float(2 * deviation[len(line) // 2] / (deviation[0] + deviation[-1]))


def even(points: torch.Tensor, decode, pairs: list[tuple[int, int]], config: Config) -> dict[str, float]:
    """Coefficient of variation of the steps before and after spacing by arc length, median over pairs."""
    before, after = [], []
    for i, j in tqdm(pairs[:4], desc="even spacing"):

        def path(t, a=points[i, None], b=points[j, None]):
            return decode(slerp(a, b, t)[:, 0])

        for found, t in (
            (before, torch.linspace(0, 1, config.points)),
            (after, uniform(path, distance, config.points, rounds=3)),
        ):
            clips = path(t)
            steps = distance(clips[:-1], clips[1:])
            found.append(float(steps.std() / steps.mean()))
    return {
        "variation_before": round(statistics.median(before), 3),
        "variation_after": round(statistics.median(after), 3),
    }


def learned(generator: Generator, held_out: torch.Tensor, config: Config) -> dict[str, float]:
    """Errors on frames between frames `SPAN` apart, of the straight line and of the learned path."""
    video, _ = moving_shapes(config.sequences, TRAINING_SEED)
    between = fit_between(generator.encode(video), span=SPAN, steps=config.learning_steps, progress=True)
    return {k: float(f"{v:.3g}") for k, v in held_out_error(between, held_out, span=SPAN).items()}


def distance(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Root mean square of pixels, averaged over 4 x 4 blocks so that a shift of a pixel is a small change."""
    pool = torch.nn.functional.avg_pool3d
    return (pool(a, (1, 4, 4)) - pool(b, (1, 4, 4))).square().flatten(1).mean(1).sqrt()


def speed() -> dict[str, float]:
    """64 pairs of 16 x 8 x 8 x 4 latents, 32 points: batched against the usual function called pair by pair."""
    a, b = torch.randn(2, 64, 4, 16, 8, 8, generator=torch.Generator().manual_seed(0))
    t = torch.linspace(0, 1, 32)

    def usual(t: float, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        cosine = torch.sum(a * b / (torch.linalg.norm(a) * torch.linalg.norm(b)))
        if torch.abs(cosine) > 0.9995:  # the usual way out where the sine vanishes
            return (1 - t) * a + t * b
        angle = torch.acos(cosine)
        sine = torch.sin(angle)
        return torch.sin((1 - t) * angle) / sine * a + torch.sin(t * angle) / sine * b

    def loop() -> None:
        torch.stack([torch.stack([usual(float(u), a[i], b[i]) for i in range(64)]) for u in t])

    ratios = []
    for _ in range(7):
        began = time.perf_counter()
        slerp(a, b, t)
        middle = time.perf_counter()
        loop()
        ratios.append((time.perf_counter() - middle) / (middle - began))
    return {"times_faster": round(statistics.median(ratios), 1)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model")
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--points", type=int, default=9)
    a = parser.parse_args()
    print(json.dumps(run(Config(model=a.model, pairs=a.pairs, points=a.points)), indent=2))
