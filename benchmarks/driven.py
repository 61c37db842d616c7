"""What driving costs: a velocity by the pipeline's own stopped call, over its network's own time of 100 ms.

    python benchmarks/driven.py [--only FluxPipeline,...] [--repeats 15]

Tiny pipelines of random weights, as in `pipelines.py` beside this file; the latents of Stable Diffusion are as large as
those of an image of 512 pixels, those of the videos as those of 9 frames of 128 x 208. Each network is held up to
`--network` seconds a call. "beside" is the processor time of a velocity that is not the network's, and "ratio" is
network and beside over network: the bar is 1.05. "clock" is the same by the clock, on a machine of one's own. At
guidance 3 a velocity is two calls of the network, or one of two clips, as the family has it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from tqdm.auto import tqdm

from latentlab.bench import load_script
from latentlab.bench.flags import main
from latentlab.generator.pipelines.driven import Driven
from latentlab.generator.pipelines.driver import denoisers

ALONE = True
SIZES: dict[str, tuple[int | None, int, int]] = {  # of clips: frames, height, width
    "StableDiffusionPipeline": (None, 128, 128),
    "FluxPipeline": (None, 64, 64),
    "SkyReelsV2Pipeline": (9, 128, 208),
    "WanImageToVideoPipeline": (9, 128, 208),
}


@dataclass(frozen=True)
class Config:
    """Which pipelines, and how long their networks take."""

    only: tuple[str, ...] = ()
    network: float = 0.1
    repeats: int = 15
    seed: int = 0


@dataclass
class Held:
    """A network that takes a time: the rest of it is slept away. Counts calls, and processor time of its own."""

    forward: Callable[..., Any]
    seconds: float
    calls: int = 0
    own: float = 0.0

    def __call__(self, *args: Any, **options: Any) -> Any:
        begun, at = time.perf_counter(), time.process_time()
        answer = self.forward(*args, **options)
        self.own += time.process_time() - at
        self.calls += 1
        time.sleep(max(0.0, self.seconds - (time.perf_counter() - begun)))
        return answer


def run(config: Config) -> dict[str, Any]:
    """Times every pipeline and returns the figures."""
    unknown = [name for name in config.only if name not in SIZES]
    if unknown:
        raise ValueError(f"no sizes for {', '.join(unknown)}; there are {', '.join(SIZES)}")
    torch.manual_seed(config.seed)
    rows = {}
    for name in tqdm(config.only or tuple(SIZES), desc="pipelines"):
        rows |= {f"{name}, guidance {guidance:g}": row for guidance, row in timed(name, config).items()}
    return {"config": asdict(config), "rows": rows, "worst": max(row["ratio"] for row in rows.values())}


def timed(name: str, config: Config) -> dict[float, dict[str, float]]:
    """One pipeline, by guidance."""
    pipe, _, call = load_script(Path(__file__).with_name("pipelines.py")).built(name)
    frames, height, width = SIZES[name]
    generator = Driven(pipe, call=call, num_frames=frames, height=height, width=width)
    networks = [getattr(pipe, part) for part in denoisers(pipe)]
    condition, y = generator.condition("a small dog runs"), generator.noise(1, seed=config.seed)
    found = {}
    with torch.no_grad():
        for guidance in (1.0,) if generator.reading.guidance == "none" else (1.0, 3.0):
            velocity = generator.velocity(condition, guidance)
            velocity(y, 0.5)  # what is read at the first call
            held = [Held(network.forward, config.network) for network in networks]
            for network, own in zip(networks, held, strict=True):
                network.forward = own
            try:
                found[guidance] = measured(lambda v=velocity: v(y, 0.5), held, config)
            finally:
                for network in networks:
                    del network.forward
    return found


def measured(velocity: Callable[[], object], held: list[Held], config: Config) -> dict[str, float]:
    """Times of a velocity, and of its network's calls."""
    beside, clock, calls = [], [], 0
    for _ in range(config.repeats):
        calls, own = sum(h.calls for h in held), sum(h.own for h in held)
        begun, at = time.perf_counter(), time.process_time()
        velocity()
        clock.append(time.perf_counter() - begun)
        beside.append(time.process_time() - at - (sum(h.own for h in held) - own))
        calls = sum(h.calls for h in held) - calls
    network = calls * config.network
    return {
        "calls": calls,
        "beside_ms": round(1e3 * median(beside), 2),
        "ratio": round(1 + median(beside) / network, 4),
        "clock": round(median(clock) / network, 4),
    }


if __name__ == "__main__":
    main(run)
