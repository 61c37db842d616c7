"""Is everything as fast as promised? Every bar on time, in one run, each as the share of it that is used up.

    python benchmarks/speed.py [--only slerp,frechet,...] [--large]

Where a peer can do the same work, both run here by turns and the bar is on their ratio, which holds on any machine;
other bars are processor seconds of one thread. `yardstick` is the seconds of a matrix product, to scale these by.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from latentlab.bench import load_script
from latentlab.bench.flags import main
from latentlab.bench.timing import seconds_of

ALONE = True


@dataclass(frozen=True)
class Config:
    """What to time; `large` also takes the rows that need minutes."""

    only: tuple[str, ...] = ()
    large: bool = False
    repeats: int = 3
    seed: int = 0


Row = dict[str, Any]


def run(config: Config) -> dict[str, Any]:
    """Times every row and returns the figures."""
    names = config.only or tuple(ROWS)
    unknown = set(names) - set(ROWS)
    if unknown:
        raise ValueError(f"no row {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rows: dict[str, Row] = {}
        for name in tqdm(names, desc="bars"):
            rows |= ROWS[name](config)
        product = yardstick(config)
    finally:
        torch.set_num_threads(threads)
    over = [name for name, row in rows.items() if row["of_the_bar"] > 1]
    return {"yardstick_seconds": product, "over_the_bar": over, "bars": rows}


def at_most(measured: float, bar: float, unit: str) -> Row:
    """A row whose figure has to stay under its bar."""
    return {"measured": round(measured, 4), "bar": bar, "unit": unit, "of_the_bar": round(measured / bar, 3)}


def at_least(measured: float, bar: float, unit: str = "times faster") -> Row:
    """A row whose figure has to exceed its bar."""
    return {"measured": round(measured, 2), "bar": bar, "unit": unit, "of_the_bar": round(bar / measured, 3)}


def slerp(config: Config) -> dict[str, Row]:
    """Interpolation of many pairs at once."""
    return {"slerp against a loop over pairs": at_least(script("interpolation").speed()["times_faster"], 10)}


def frechet(config: Config) -> dict[str, Row]:
    """The Frechet distance without a matrix square root."""
    scores = script("scores")
    found = scores.distances(scores.Config())
    return {
        f"Frechet, {name}": at_least(row["times_faster"], row["bar_times_faster"])
        for name, row in found.items()
        if name.startswith("n =")
    }


def vbench(config: Config) -> dict[str, Row]:
    """The same number as VBench."""
    scores = script("scores")
    return {"temporal flickering against VBench": at_least(scores.vbench(scores.Config())["times_faster"], 3)}


def flicker(config: Config) -> dict[str, Row]:
    """The whole flicker set."""
    temporal = script("temporal")
    seconds = temporal.speed(temporal.pictures(None)[0])["processor_seconds_64x256x256"]
    return {"flicker of 64 frames of 256 x 256": at_most(seconds, 2.5, "s")}


def reading(config: Config) -> dict[str, Row]:
    """A clip from its file to float32, against PyAV alone to 8 bits, and the most memory that it takes on the way."""
    import av

    from latentlab.video import read, write

    def peer() -> list[np.ndarray]:
        with av.open(path) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            return [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]

    peak = (  # of this process alone: `ru_maxrss` begins with that of the parent
        "import re, sys; from latentlab.video import read\n"
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) * 1024\n"
        "read(sys.argv[1], stop=3); before = peak(); video = read(sys.argv[1]).video\n"
        "print((peak() - before) / (video.numel() * 4))"
    )
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/clip.mp4"
        y, x, t = torch.meshgrid(torch.arange(272), torch.arange(640), torch.arange(250), indexing="ij")
        waves = torch.stack([torch.sin(x / 40 + t / 9), torch.sin(y / 30 - t / 7), torch.sin((x + y) / 50 + t / 5)])
        noise = torch.randn(waves.shape, generator=torch.Generator().manual_seed(config.seed))
        write(path, (0.7 * waves + 0.05 * noise).permute(0, 3, 1, 2)[None], 25)
        ratio = seconds(lambda: read(path), config) / seconds(peer, config)
        held = subprocess.run([sys.executable, "-c", peak, path], check=True, capture_output=True, text=True)
    return {
        "video.read, 250 frames of 640 x 272, against PyAV": at_most(ratio, 2.0, "ratio"),
        "its peak memory against the clip's own": at_most(float(held.stdout), 1.1, "ratio"),
    }


def start(config: Config) -> dict[str, Row]:
    """What the command line takes to answer."""
    command = [sys.executable, "-m", "latentlab", "--help"]
    taken = seconds_of(lambda: subprocess.run(command, check=True, capture_output=True), config.repeats)
    return {"latentlab --help": at_most(min(taken.clock), 0.5, "s on the clock, the best")}


def tour(config: Config) -> dict[str, Row]:
    """The whole tour, where there is time for it."""
    if not config.large:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "latentlab", "tour", "--out", folder]
        taken = seconds_of(lambda: subprocess.run(command, check=True, capture_output=True), 1)
    return {"latentlab tour": at_most(taken.clock[0], 300, "s on the clock")}


def sampling(config: Config) -> dict[str, Row]:
    """The solver around the network: at least 97 % of the time is the network's; one clip."""
    from latentlab.generator.load import load

    inversion = script("inversion")
    figures = inversion.cost(load(), inversion.Config(repeats=config.repeats))
    clip = figures["one_captioned_clip_seconds"]
    return {
        "sampling against bare calls of the network": at_most(figures["ratio"]["value"], round(1 / 0.97, 4), "ratio"),
        "one captioned clip, 25 steps": at_most(clip, 3.0, "s on the clock, one thread"),
    }


def disentanglement(config: Config) -> dict[str, Row]:
    """MIG, DCI and the core set."""
    timing = script("disentanglement_speed")
    figures = timing.run(timing.Config(large=config.large))["seconds"]
    return {name: at_most(row["processor"], row["bar"], "s") for name, row in figures.items() if "bar" in row}


def directions(config: Config) -> dict[str, Row]:
    """`Effect.fit` on 10,000 x 4,096 codes with 12 factors."""
    from latentlab.directions import Effect

    rng = np.random.default_rng(config.seed)
    factors = rng.normal(size=(10_000, 12))
    codes = rng.normal(size=(10_000, 4096)).astype(np.float32) + (factors @ rng.normal(size=(12, 4096))).astype("f4")
    return {"Effect.fit, 10,000 x 4,096": at_most(seconds(lambda: Effect().fit(codes, factors), config), 2.0, "s")}


def projection(config: Config) -> dict[str, Row]:
    """The page of a map, without data."""
    size = script("projection").page_size(script("projection").Config(large=1000))["without_data"]
    return {"HTML scatter without data": at_most(size, 1.0, "MB")}


def explorer(config: Config) -> dict[str, Row]:
    """From a slider to its picture, through a kernel with two threads; seconds on the clock, as a person waits them."""
    found = script("explorer")
    rows: dict[str, Row] = {}
    for name, row in found.run(found.Config())["spaces"].items():
        rows[f"slider to picture, {name}"] = at_most(row["median_seconds"], row["bar_seconds"], "s")
        rows[f"computed after 50 moves in 2 s, {name}"] = at_most(row["computed_after_the_last"], 3, "stages")
    return rows


ROWS: dict[str, Callable[[Config], dict[str, Row]]] = {
    "start": start,
    "reading": reading,
    "slerp": slerp,
    "frechet": frechet,
    "vbench": vbench,
    "flicker": flicker,
    "sampling": sampling,
    "disentanglement": disentanglement,
    "directions": directions,
    "projection": projection,
    "explorer": explorer,
    "tour": tour,
}


def yardstick(config: Config) -> float:
    """Median processor seconds of a product of two 1024 x 1024 matrices of float32."""
    a = torch.randn(1024, 1024, generator=torch.Generator().manual_seed(config.seed))
    return round(seconds(lambda: a @ a, config), 4)


def seconds(work: Callable[[], Any], config: Config) -> float:
    """Median processor seconds, after one run that does not count."""
    work()
    return statistics.median(seconds_of(work, config.repeats).processor)


@cache
def script(name: str) -> ModuleType:
    """Another benchmark, from the file beside this one."""
    return load_script(Path(__file__).with_name(f"{name}.py"))


if __name__ == "__main__":
    main(run)
