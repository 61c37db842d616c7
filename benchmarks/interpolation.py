"""Which path between clips is even, smooth and likely? Near and distant pairs, in latents, inverted and drawn noise.

Near pairs of drawn noise are correlated at 0.6, distant ones independent. Then, of a mixture whose flow is known
exactly, whether the midpoint of two seeds is data; even spacing; interpolation learned from sequences against the
straight line; and slerp's speed.

python benchmarks/interpolation.py [--pairs 4] [--points 9]
"""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass
from typing import Any

import torch
from scipy.stats import chi2
from tqdm.auto import tqdm

from latentlab.bench.flags import main
from latentlab.bench.spread import mean, percent
from latentlab.bench.timing import by_turns
from latentlab.data.moving.dataset import HELD_OUT_SEED, moving_shapes
from latentlab.generator.generator import Generator
from latentlab.generator.load import load
from latentlab.interpolate import (
    advise,
    combine,
    fit_between,
    held_out_error,
    lerp,
    nlerp,
    picture_distance,
    slerp,
    uniform,
)
from latentlab.metrics import flicker
from latentlab.study.mixture import GaussianMixture
from latentlab.view.report import Player


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
    mixture_seeds: int = 512
    sequences: int = 1024
    learning_steps: int = 1500


def run(config: Config) -> dict:
    """Measures and returns the figures."""
    generator = load(config.model)
    video, _ = moving_shapes(8 * config.pairs, HELD_OUT_SEED)
    latents = generator.encode(video)
    noise = generator.invert(latents, num_steps=config.num_steps, levels="sampling", progress="inverting").noise

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
        "weights": generator.fingerprint(),
        "advice": {name: asdict(advise(points)) for name, (points, _) in spaces.items()},
        "paths": {
            f"{far} pairs, {s}, {p}": paths(spaces[s][0], spaces[s][1], pairs[s][far], p, config)
            for far in ("near", "distant")
            for s in spaces
            for p in PATHS
        },
        "mixture": mixture(config.mixture_seeds),
        "evenly_spaced_slerp_in_noise": even(noise, decode, pairs["noise"]["distant"], config),
        "learned": learned(generator, latents, config),
        "slerp_speed": speed(),
        "_clips": shown(noise, decode, clips["distant"][0]),
    }


def shown(noise: torch.Tensor, decode, pair: tuple[int, int]) -> list[dict]:
    """The ends of a distant pair, and the clip halfway between their noise by each path."""
    i, j = pair
    middle = {f"{p}, halfway": PATHS[p](noise[i, None], noise[j, None], torch.tensor([0.5]))[0, 0] for p in PATHS}
    points = {"one clip": noise[i], **middle, "the other": noise[j]}
    clips = decode(torch.stack(list(points.values()))).cpu()
    return [asdict(Player(clip[None], title).coded()) for title, clip in zip(points, clips, strict=True)]


def seeds(generator: Generator, config: Config) -> torch.Tensor:
    """Drawn noise: the first ends, ends correlated with them, independent ones."""
    first, other, last = generator.noise(3 * config.pairs).split(config.pairs)
    return torch.cat([first, correlated(first, other, CORRELATION), last])


def correlated(first: torch.Tensor, other: torch.Tensor, correlation: float) -> torch.Tensor:
    """Noise correlated with the first, made of it and of other noise."""
    return correlation * first + (1 - correlation**2) ** 0.5 * other


def mixture(count: int) -> dict[str, dict[str, Any]]:
    """Midpoints of pairs of seeds through an exact denoiser: spread inside a mode, and the share off every mode."""
    generator = torch.Generator().manual_seed(0)
    means, first, other = (torch.randn(n, 256, generator=generator).double() for n in (16, count, count))
    world = GaussianMixture(means, torch.full((16,), 0.25).double(), torch.full((16,), 1 / 16).double())
    rows = {}
    for name, correlation in {"independent": 0.0, f"correlated at {CORRELATION}": CORRELATION}.items():
        for path in tqdm(PATHS, desc=f"mixture, {name} seeds"):
            halfway = PATHS[path](first, correlated(first, other, correlation), torch.tensor([0.5]))[0]
            spread = world.spread(world.decode(halfway))
            rows[f"{name} seeds, {path}"] = {
                "spread_inside_a_mode": mean(spread, null=1.0),
                "percent_off_every_mode": percent(spread > 1.5),
            }
    return rows


def choose_pairs(latents: torch.Tensor, count: int) -> dict[str, list[tuple[int, int]]]:
    """The first clips, each with the clip whose latents are nearest, and with the one farthest away."""
    apart = torch.cdist(latents.flatten(1), latents.flatten(1))
    nearest = apart.clone().fill_diagonal_(torch.inf).argmin(1)
    return {
        "near": [(i, int(nearest[i])) for i in range(count)],
        "distant": [(i, int(apart[i].argmax())) for i in range(count)],
    }


def paths(points: torch.Tensor, decode, pairs: list[tuple[int, int]], name: str, config: Config) -> dict[str, Any]:
    """Norm, length, steps, bends and flicker of decoded paths, means over pairs."""
    t = torch.linspace(0, 1, config.points)
    rows = []
    for i, j in tqdm(pairs, desc=name):
        line = PATHS[name](points[i, None], points[j, None], t)[:, 0]
        clips = decode(line)
        steps = picture_distance(clips[:-1], clips[1:])
        bends = picture_distance(clips[1:-1], (clips[:-2] + clips[2:]) / 2)
        rows.append((
            round(chi_percentile(line[len(t) // 2]), 3), deviation(line), float(steps.sum()),
            float(steps.max() / steps.mean()), float(steps.std() / steps.mean()), float(bends.mean() / steps.mean()),
            float(flicker(clips).overall.mean()),
        ))  # fmt: skip
    names = (
        "norm_percentile_halfway",
        "deviation_halfway",
        "length",
        "largest_step_over_mean",
        "variation_of_steps",
        "bend",
        "flicker",
    )
    return {name: mean(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)}


def chi_percentile(point: torch.Tensor) -> float:
    """Where the norm of a point lies among those of Gaussian noise of that many dimensions, in percent."""
    return 100 * float(chi2.cdf(float(point.double().square().sum()), point.numel()))


def deviation(line: torch.Tensor) -> float:
    """Standard deviation of the latents halfway over that of the ends; lerp leaves 0.71 of independent noise."""
    sd = line.flatten(1).std(1)
    return float(2 * sd[len(line) // 2] / (sd[0] + sd[-1]))


def even(points: torch.Tensor, decode, pairs: list[tuple[int, int]], config: Config) -> dict[str, float]:
    """Coefficient of variation of the steps before and after spacing by arc length, median over pairs."""
    before, after = [], []
    for i, j in tqdm(pairs[:4], desc="even spacing"):

        def path(t, a=points[i, None], b=points[j, None]):
            return slerp(a, b, t)[:, 0]

        for found, t in (
            (before, torch.linspace(0, 1, config.points)),
            (after, uniform(path, config.points, decode=decode)),
        ):
            clips = decode(path(t))
            steps = picture_distance(clips[:-1], clips[1:])
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

    taken = by_turns({"ours": lambda: slerp(a, b, t), "loop": loop}, 7)
    ratios = [theirs / own for own, theirs in zip(taken["ours"].clock, taken["loop"].clock, strict=True)]
    return {"times_faster": round(statistics.median(ratios), 1)}


if __name__ == "__main__":
    main(run)
