"""How much of a latent space is left on a map, by method, and how long does a map take?

    python benchmarks/projection.py [--clips 512] [--methods pca,tsne,umap] [--large 100000]

Latents of held-out clips are projected; beside the quality of each map stands the share of the neighbours that have the
same shape, against that of shuffled shapes. `large` codes are random, of 64 dims: what counts there is time and memory.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from latentlab.data.moving.dataset import HELD_OUT_SEED, moving_shapes
from latentlab.generator.load import load
from latentlab.view.plots import projection
from latentlab.view.projection import METHODS, Projection, project, project_series
from latentlab.view.quality import judge_map
from latentlab.view.report import Figure
from latentlab.view.scatter import scatter

ALONE = True


@dataclass(frozen=True)
class Config:
    """What to measure."""

    model: str | None = None
    clips: int = 512
    methods: tuple[str, ...] = METHODS
    large: int = 100_000
    steps: int = 5
    seed: int = 0


def run(config: Config) -> dict[str, Any]:
    """Measures and returns the figures."""
    generator = load(config.model)
    video, factors = moving_shapes(config.clips, HELD_OUT_SEED + config.seed)
    codes = generator.encode(video).flatten(1).cpu().numpy()
    maps: dict[str, dict[str, Any]] = {}
    points: dict[str, list[list[float]]] = {}
    for method in tqdm(config.methods, desc="methods"):
        began = time.process_time()
        found = project(codes, method, seed=config.seed)
        seconds = time.process_time() - began
        maps[method] = {**asdict(found.quality), "processor_seconds": round(seconds, 2)}
        maps[method]["background_hue_error"] = circular_error(found.points, factors["background_hue"], config.seed)
        points[method] = found.points.round(4).tolist()
    return {
        "config": asdict(config),
        "maps": maps,
        "series": {m: series(codes, m, config) for m in config.methods if m != "umap"},
        "large": {"pca": large(config)},
        "page": page_size(config),
        "_points": {"of": points, "background_hue": factors["background_hue"].tolist()},
    }


def circular_error(points: np.ndarray, degrees: np.ndarray, seed: int) -> dict[str, float]:
    """Median difference of a circular factor between a point and its nearest on the map; shuffled, it is 90 degrees."""
    from sklearn.neighbors import NearestNeighbors

    nearest = NearestNeighbors(n_neighbors=2).fit(points).kneighbors(return_distance=True)[1][:, 0]
    shuffled = np.random.default_rng(seed).permutation(degrees)

    def error(values: np.ndarray) -> float:
        gap = np.abs(values - values[nearest]) % 360
        return round(float(np.median(np.minimum(gap, 360 - gap))), 2)

    return {"value": error(degrees), "null": error(shuffled)}


def series(codes: np.ndarray, method: str, config: Config) -> dict[str, float]:
    """Codes sink into noise: how far points jump between maps, in shares of the map, aligned and each by itself."""
    rng = np.random.default_rng(config.seed)
    noise = rng.normal(size=codes.shape).astype(codes.dtype) * codes.std()
    levels = np.linspace(0, 0.5, config.steps)
    steps = [(1 - s) * codes + s * noise for s in levels]
    aligned = project_series(steps, method, seed=config.seed, repeats=0)
    alone = [project(step, method, seed=config.seed, repeats=0) for step in steps]
    return {"aligned": jump(aligned), "each_alone": jump(alone)}


def jump(maps: list[Projection]) -> float:
    """Mean step of a point between maps, over the spread of the maps."""
    points = np.stack([m.points for m in maps])
    moved = np.linalg.norm(np.diff(points, axis=0), axis=2).mean()
    return round(float(moved / np.linalg.norm(points - points.mean(1, keepdims=True), axis=2).mean()), 3)


def large(config: Config) -> dict[str, float]:
    """A map of many codes, with its quality, as `project` makes it by default."""
    rng = np.random.default_rng(config.seed)
    codes = rng.normal(size=(config.large, 64)).astype(np.float32) * np.linspace(3, 1, 64, dtype=np.float32)
    began = time.process_time()
    found = project(codes, seed=config.seed)
    seconds = time.process_time() - began
    began = time.process_time()
    judge_map(codes, found.points, seed=config.seed)
    judged = time.process_time() - began
    return {"codes": config.large, "processor_seconds": round(seconds, 2), "of_it_quality": round(judged, 2)}


def page_size(config: Config) -> dict[str, float]:
    """The HTML scatter without data and with many points, in megabytes."""
    points = np.random.default_rng(config.seed).normal(size=(config.large, 2))
    sizes = {"without_data": scatter(points[:1].repeat(2, 0)), f"{config.large}_points": scatter(points)}
    return {name: round(len(page.html().encode()) / 1e6, 3) for name, page in sizes.items()} | {"bar_without_data": 1.0}


def parts(figures: dict[str, Any]) -> list[Figure]:
    """The maps, coloured by the hue of the background."""
    kept = figures["_points"]
    hue = np.array(kept["background_hue"])
    return [
        projection(np.array(p), hue, label=f"hue of the background (degrees), {name}", period=360).figure()
        for name, p in kept["of"].items()
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model")
    parser.add_argument("--clips", type=int, default=512)
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--large", type=int, default=100_000)
    a = parser.parse_args()
    config = Config(model=a.model, clips=a.clips, methods=tuple(a.methods.split(",")), large=a.large)
    figures = run(config)
    del figures["_points"]
    print(json.dumps(figures, indent=2))
