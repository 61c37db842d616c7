"""How much of a latent space is left on a map, by method, and how long does a map take?

    python benchmarks/projection.py [--clips 512] [--methods pca,tsne,umap] [--large 100000]

Latents of held-out clips are projected, several sets of them; the null of a map's quality is that of its points dealt
out anew. Beside it stands how far neighbours on the map differ in the hue of their background, against shuffled hues.
`large` codes are random, of 64 dims: what counts there is time and memory.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from latentlab.bench.flags import main
from latentlab.bench.spread import mean, median
from latentlab.bench.timing import seconds_of
from latentlab.data.moving.dataset import HELD_OUT_SEED, moving_shapes
from latentlab.generator.load import load
from latentlab.shapes import Video
from latentlab.view.fitted_map import METHODS
from latentlab.view.plots import projection
from latentlab.view.projection import Projection, project, project_series
from latentlab.view.quality import judge_map
from latentlab.view.report import Figure, Player
from latentlab.view.scatter import scatter

ALONE = True
SHARES = ("trustworthiness", "continuity", "neighbour_overlap", "stability", "stable_neighbours")


@dataclass(frozen=True)
class Config:
    """What to measure."""

    model: str | None = None
    clips: int = 512
    sets: int = 3  # of clips, over which the intervals are
    methods: tuple[str, ...] = METHODS
    large: int = 100_000
    steps: int = 5
    seed: int = 0


def run(config: Config) -> dict[str, Any]:
    """Measures and returns the figures."""
    generator = load(config.model)
    seeds = [HELD_OUT_SEED + config.seed * config.sets + i for i in range(config.sets)]
    videos, tables = zip(*(moving_shapes(config.clips, seed) for seed in seeds), strict=True)
    sets = [generator.encode(video).flatten(1).cpu().numpy() for video in videos]
    codes, hue = sets[0], tables[0]["background_hue"]
    maps: dict[str, dict[str, Any]] = {}
    points: dict[str, np.ndarray] = {}
    for method in tqdm(config.methods, desc="methods"):
        began = time.process_time()
        found = [project(each, method, seed=config.seed) for each in sets]
        seconds = (time.process_time() - began) / len(sets)
        maps[method] = {**qualities(found, codes, config.seed), "processor_seconds": round(seconds, 2)}
        maps[method]["background_hue_error"] = circular_error(found[0].points, hue, config.seed)
        points[method] = found[0].points
    return {
        "maps": maps,
        "series": {m: series(codes, m, config) for m in config.methods if m != "umap"},
        "large": {"pca": large(config)},
        "page": page_size(config),
        "_points": {"of": {m: p.round(4).tolist() for m, p in points.items()}, "background_hue": hue.tolist()},
        "_clips": shown(videos[0], codes, points),
    }


def qualities(found: list[Projection], codes: np.ndarray, seed: int) -> dict[str, Any]:
    """Figures of maps, means over them, with what they are of the first map's points dealt out anew."""
    dealt = np.random.default_rng(seed).permutation(found[0].points)
    nulls = asdict(judge_map(codes, dealt, seed=seed))
    rows = [asdict(one.quality) for one in found]
    measured = {name: mean([row[name] for row in rows], nulls[name]) for name in SHARES}
    return {**measured, "neighbours": rows[0]["neighbours"], "judged": rows[0]["judged"]}


def shown(video: Video, codes: np.ndarray, points: dict[str, np.ndarray]) -> list[dict]:
    """The clip in the middle of the set, its nearest in the space, and its nearest on each map."""
    places = {"in the space": codes, **{f"on the {name} map": place for name, place in points.items()}}
    clip = len(video) // 2
    players = [Player(video[clip : clip + 1], "a clip")]
    for name, place in places.items():
        nearest = int(np.argsort(np.linalg.norm(place - place[clip], axis=1), kind="stable")[1])
        players.append(Player(video[nearest : nearest + 1], f"nearest {name}"))
    return [asdict(player.coded()) for player in players]


def circular_error(points: np.ndarray, degrees: np.ndarray, seed: int) -> dict[str, Any]:
    """Median difference of a circular factor between a point and its nearest on the map; shuffled, it is 90 degrees."""
    from sklearn.neighbors import NearestNeighbors

    nearest = NearestNeighbors(n_neighbors=2).fit(points).kneighbors(return_distance=True)[1][:, 0]
    shuffled = np.random.default_rng(seed).permutation(degrees)

    def error(values: np.ndarray) -> np.ndarray:
        gap = np.abs(values - values[nearest]) % 360
        return np.minimum(gap, 360 - gap)

    return median(error(degrees), null=float(np.median(error(shuffled))))


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
    maps: list[Projection] = []
    seconds = seconds_of(lambda: maps.append(project(codes, seed=config.seed)), 1).processor[0]
    judged = seconds_of(lambda: judge_map(codes, maps[0].points, seed=config.seed), 1).processor[0]
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
        projection(np.array(p), hue, label="hue of the background (degrees)", period=360).figure(f"The {name} map.")
        for name, p in kept["of"].items()
    ]


if __name__ == "__main__":
    main(run)
