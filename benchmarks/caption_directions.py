"""Do caption pairs move what they say, and nothing else? In the conditioning, in the noise prediction, in a space.

    python benchmarks/caption_directions.py [--model FOLDER] [--places conditioning,prediction,latent]

"conditioning": clips drawn under captions between the two of a pair. "prediction": clips of a caption that leaves open
what the pair is about, their noise prediction pulled towards the one or the other, as sliders are used. "latent":
clips that were rendered, moved in latents along the direction in which CLIP finds them more like the second caption.
The factor is read back by `measure` at rising strengths.

Spearman's correlation of strength and factor is that of each clip, mean over clips; of a direction of motion it is that
of the velocity along it, as at its ends the angle alone only trembles, and "spearman_angle" is that of the angle.
Leakage is how far another factor moves from one end to the other, mean over factors, where the target moves by one, all
in standard deviations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from tqdm.auto import tqdm

from latentlab.bench.flags import main
from latentlab.data.moving.dataset import HELD_OUT_SEED, moving_shapes
from latentlab.data.moving.factors import FactorSampler
from latentlab.data.moving.measure import measure
from latentlab.directions import Text, caption_direction, edit
from latentlab.directions.factor_units import FactorUnits
from latentlab.factors import FactorTable
from latentlab.generator.load import load
from latentlab.generator.native import NativeGenerator
from latentlab.spaces import LatentSpace, TextSpace, pulled
from latentlab.study.edit_space import DIRECTION_SEED

PAIRS = {  # from, to, and what leaves it open; braces are filled in by the rest of the caption
    "hue": ("a {size} red {shape} moving {way}", "a {size} blue {shape} moving {way}", "a {size} {shape} moving {way}"),
    "direction": (
        "a {size} green {shape} moving left",
        "a {size} green {shape} moving right",
        "a {size} green {shape}",
    ),
}
ENDS = {"hue": (0, 240), "direction": (180, 0)}  # the factor's value at the two captions
PLAIN = {"hue": ("a red star", "a blue star"), "direction": ("a star moving left", "a star moving right")}
FILLINGS = (
    {"size": "large", "shape": "star", "way": "left"},
    {"size": "small", "shape": "square", "way": "right"},
    {"size": "large", "shape": "circle", "way": "up"},
    {"size": "small", "shape": "cross", "way": "down"},
)


@dataclass(frozen=True)
class Config:
    """What to measure."""

    model: str | None = None
    places: tuple[str, ...] = ("conditioning", "prediction", "latent")
    factors: tuple[str, ...] = ("hue", "direction")
    num_steps: int = 25
    strengths: int = 7
    reach: float = 1.0  # of the pull, each way
    seeds: int = 2
    labelled: int = 512
    clips: int = 8


def run(config: Config) -> dict[str, Any]:
    """Bars for the conditioning: Spearman at least 0.9, leakage at most 0.5."""
    generator = load(config.model)
    if not isinstance(generator, NativeGenerator):
        raise ValueError("captions of moving shapes are for models of latentlab's own architecture")
    factor_units = FactorUnits.of(FactorSampler(seed=1).table(range(500)))
    ways: dict[str, Callable[..., Iterator[FactorTable]]] = {
        "conditioning": conditioning,
        "prediction": prediction,
        "latent": latent,
    }
    found: dict[str, Any] = {}
    for place in config.places:
        for factor in config.factors:
            rows = [
                score(factor_units, table, factor, ENDS[factor]) for table in ways[place](config, generator, factor)
            ]
            figures = {name: [row[name] for row in rows] for name in rows[0]}
            found[f"{place}, {factor}"] = {
                **{name: round(float(np.nanmean(values)), 3) for name, values in figures.items()},
                "each_spearman": [round(v, 2) for v in figures["spearman"]],
            }
    return found


def conditioning(config: Config, generator: NativeGenerator, factor: str) -> Iterator[FactorTable]:
    """For each caption and seed, the factors at rising strengths."""
    for seed in tqdm(range(config.seeds), desc=f"conditioning, {factor}"):
        space = TextSpace(generator, num_steps=config.num_steps, seed=seed)
        for first, second, _ in filled(factor):
            codes = space.encode_captions(first)
            direction = caption_direction(space.encode_captions, (first, second), factor)
            moved = [edit(codes, direction, float(share)) for share in np.linspace(0, 1, config.strengths)]
            yield measure(space.decode(torch.cat(moved)).cpu())


def prediction(config: Config, generator: NativeGenerator, factor: str) -> Iterator[FactorTable]:
    """The same by pulling, from the first caption's side to the second's."""
    strengths = np.linspace(-config.reach, config.reach, config.strengths)
    for seed in tqdm(range(config.seeds), desc=f"prediction, {factor}"):
        for first, second, neutral in filled(factor):
            pull = (pulled(generator, (first, second), float(strength)) for strength in strengths)
            clips = [one.generate(neutral, seed=seed, num_steps=config.num_steps).cpu() for one in pull]
            yield measure(torch.cat(clips))


def latent(config: Config, generator: NativeGenerator, factor: str) -> Iterator[FactorTable]:
    """The same for rendered clips, along the direction that CLIP finds in the latents; both pairs are held apart."""
    space = LatentSpace(generator)
    finder = Text(pairs=PLAIN, embed=generator.clip_model.encode_text, folds=0, permutations=0)
    with torch.no_grad():
        direction = finder.fit(*seen(generator, config.labelled))[factor]
    base = space.encode(moving_shapes(config.clips, HELD_OUT_SEED)[0])
    strengths = np.linspace(-2, 2, config.strengths)
    read = [measure(space.decode(edit(base, direction, float(s))).cpu()) for s in strengths]
    for i in range(config.clips):
        yield FactorTable(np.stack([table.values[i] for table in read]), read[0].specs)


@lru_cache
def seen(generator: NativeGenerator, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes of rendered clips, and what CLIP sees in them."""
    parts = tqdm(moving_shapes(count, DIRECTION_SEED)[0].split(16), desc="encoding clips")
    with torch.no_grad():
        rows = [
            (generator.encode(p).flatten(1), generator.clip_model.encode_video(p.to(generator.device))) for p in parts
        ]
    return torch.cat([codes for codes, _ in rows]), torch.cat([vectors for _, vectors in rows])


def filled(factor: str) -> list[tuple[str, str, str]]:
    """The captions of a factor, each filled in in several ways."""
    first, second, neutral = PAIRS[factor]
    return [(first.format(**f), second.format(**f), neutral.format(**f)) for f in FILLINGS]


def score(factor_units: FactorUnits, read: FactorTable, factor: str, ends: Sequence[float]) -> dict[str, float]:
    """Figures of one clip at rising strengths; where the target cannot be read at half of them it scores 0."""
    start, end = np.deg2rad(ends)
    angle = np.deg2rad(read[factor])
    nearer = np.cos(angle - end) - np.cos(angle - start)
    if factor == "direction":  # a clip at rest has none, and its velocity says so
        nearer = np.nan_to_num(nearer) * read["speed"]
    k = read.names.index(factor)
    moved = np.abs(factor_units.distances(read[:1], read[-1:]))[0]
    others = np.delete(moved, k)
    return {
        "spearman": correlation(nearer),
        "spearman_angle": correlation(np.cos(angle - end) - np.cos(angle - start)),
        "target": float(moved[k]),
        "leakage": float(np.nanmean(others) / moved[k]) if moved[k] > 0 else float("nan"),
    }


def correlation(values: np.ndarray) -> float:
    """Spearman's with the order of the strengths, where there is a reading."""
    known = np.isfinite(values)
    if known.sum() <= len(values) / 2 or np.ptp(values[known]) == 0:
        return 0.0
    found: Any = spearmanr(np.flatnonzero(known), values[known])
    return float(found.statistic)


if __name__ == "__main__":
    main(run)
