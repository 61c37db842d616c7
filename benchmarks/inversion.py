"""What does a round trip through noise lose, by method and guidance, and what does the solver cost? Held-out clips.

How far is the noise that `invert` gives from the true encoding, and does it say so? The flow is followed in float64,
the steps halved until two runs agree, at some 1,400 calls of the network a clip: `--encoded 25` takes half an hour.

Then a race: our loop, on a GPU also compiled and as a CUDA graph, against diffusers' own loop and the bare network,
for this model and for a wider one of random weights.

python benchmarks/inversion.py [--clips 32] [--num-steps 25] [--methods ddim,midpoint,...] [--encoded 2]
    [--only encoding]
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from latentlab.bench.flags import main
from latentlab.bench.spread import mean, median
from latentlab.bench.timing import by_turns
from latentlab.data.moving.captions import caption as described
from latentlab.data.moving.dataset import HELD_OUT_SEED, moving_shapes
from latentlab.generator.condition import Condition
from latentlab.generator.denoiser import Denoiser, DenoiserConfig
from latentlab.generator.load import load
from latentlab.generator.methods import METHODS
from latentlab.generator.native import NativeGenerator
from latentlab.generator.solver import Velocity
from latentlab.metrics.perceptual import psnr
from latentlab.shapes import Latents, Noise, Video
from latentlab.study.roundtrip import RoundTrip, roundtrip, self_test
from latentlab.view.report import Player

ALONE = True
SHOWN = ("ddim", "leapfrog")  # methods whose round trips are shown as clips
AGREED = 2e-4  # of the norm: how near two runs are, the one in half the steps of the other, to be the true encoding


@dataclass(frozen=True)
class Config:
    """What to measure."""

    model: str | None = None
    clips: int = 32
    num_steps: int = 25
    repeats: int = 7
    methods: tuple[str, ...] = tuple(METHODS)
    encoded: int = 2
    only: str = ""  # "encoding": nothing but the distance to the true encoding


def run(config: Config) -> dict:
    """Measures and returns the figures."""
    generator = load(config.model)
    if not isinstance(generator, NativeGenerator):
        raise SystemExit(
            "this benchmark changes the dtype and calls the bare network: it needs a model of latentlab's own"
        )
    if config.only == "encoding":
        return {"weights": generator.fingerprint(), **encodings(generator, config)}
    video, _ = moving_shapes(config.clips, HELD_OUT_SEED)
    caption = "a large red star moving left"
    figures: dict[str, Any] = {"weights": generator.fingerprint()}
    seen = {"a held-out clip": video[:1]}
    for name, dtype, said, guidance in (
        ("guidance 1", torch.float32, "", 1.0),
        ("guidance 7.5", torch.float32, caption, 7.5),
        ("network in bfloat16, guidance 1", torch.bfloat16, "", 1.0),
    ):
        generator.to(generator.device, dtype)
        clips = video if guidance == 1.0 and dtype == torch.float32 else video[:8]
        methods = config.methods if dtype == torch.float32 else [m for m in config.methods if m == "leapfrog"]
        figures[name] = {}
        for m in tqdm(methods, desc=name):
            trip = roundtrip(generator, clips, said, num_steps=config.num_steps, method=m, guidance=guidance)
            figures[name][m] = _row(trip, clips)
            if m in SHOWN and dtype == torch.float32:
                seen.setdefault("autoencoder alone", trip.decoded[:1])
                seen[f"{m}, {name}"] = trip.again[:1]
    generator.to(generator.device, torch.float32)
    figures |= encodings(generator, config)
    figures |= {"self_test": self_test(generator), "cost": cost(generator, config)}
    figures["race"] = race(generator, config)
    shape = generator.denoiser.config
    if isinstance(shape, DenoiserConfig):
        wide = deepcopy(generator)
        torch.manual_seed(0)
        wide.denoiser = Denoiser(replace(shape, widths=tuple(2 * w for w in shape.widths))).eval().requires_grad_(False)
        figures["race_twice_as_wide"] = race(wide.to(generator.device), config)
    return figures | {"_clips": shown(seen)}


def _row(trip: RoundTrip, clips: Video) -> dict[str, Any]:
    """Figures of a round trip; PSNR with intervals over clips, that of all losses beside another clip's."""
    clips, decoded, again = (video.float().cpu() for video in (clips, trip.decoded, trip.again))
    other = float(psnr(decoded.roll(1, 0), clips).mean()) if len(clips) > 1 else None
    lost = psnr(again, decoded)
    return {
        **trip.numbers(),
        "autoencoder_psnr": mean(psnr(decoded, clips)),
        "inversion_psnr": mean(lost) if lost.isfinite().all() else "infinite",
        "total_psnr": mean(psnr(again, clips), null=other),
        "latents_again": trip.latents_again,
    }


def encodings(generator: NativeGenerator, config: Config) -> dict[str, Any]:
    """Distance of inverted noise from the true encoding, under the clips' own captions and under none."""
    if not config.encoded:
        return {}
    video, factors = moving_shapes(config.encoded, HELD_OUT_SEED)
    told = {"own captions": [described(row) for row in factors.values], "no caption": ""}
    latents = generator.encode(video)
    return {f"noise, {name}": encoding(generator, latents, said, config.num_steps) for name, said in told.items()}


def encoding(generator: NativeGenerator, latents: Latents, said: str | list[str], num_steps: int) -> dict[str, Any]:
    """Distance of inverted noise from the true encoding, relative to its norm, by what its levels are for."""
    condition = generator.condition(said).expand(len(latents))
    truth, steps = true_encoding(generator, latents, condition)
    made = generator.invert(latents, condition, num_steps=num_steps, estimate=True)
    for_sampling = generator.invert(latents, condition, num_steps=num_steps, levels="sampling")
    error, told = relative(made.noise, truth), made.estimate.error if made.estimate else ()
    return {
        "clips": len(latents),
        "analysis": median(error),
        "analysis_largest": float(error.max()),
        "sampling": median(relative(for_sampling.noise, truth)),
        "estimate_over_error": median(t / e for t, e in zip(told, error.tolist(), strict=True)),
        "true_encoding_steps": steps,
    }


def true_encoding(
    generator: NativeGenerator, latents: Latents, condition: Condition, num_steps: int = 200
) -> tuple[Noise, int]:
    """Where the flow of the network carries latents, in float64, and in how many steps of `adams`.

    Steps are doubled until two runs agree for every clip; the finer one is the answer.
    """
    velocity = generator.velocity(condition)
    before = adams(velocity, latents.double(), num_steps)
    while True:
        num_steps *= 2
        found = adams(velocity, latents.double(), num_steps)
        if relative(before, found).max() <= AGREED:
            return found, num_steps
        before = found


@torch.no_grad()
def adams(velocity: Velocity, z: Tensor, num_steps: int) -> Tensor:
    """From data to noise in even steps of u = sqrt(s), in which dz/du = 2 u v(z, u^2): Adams, order 4.

    Bashforth's formula predicts, Moulton's corrects, one call of the network a step (Hairer, Norsett, Wanner 1993,
    III.1); the first three steps are Runge and Kutta's.
    """
    h = 1 / num_steps

    def slope(z: Tensor, u: float) -> Tensor:
        return 2 * u * velocity(z, min(u * u, 1.0))

    past = [torch.zeros_like(z)]  # slopes, the newest first; at u = 0 there is none
    for i in tqdm(range(num_steps), desc=f"true encoding, {num_steps} steps", leave=False):
        u = i * h
        if i < 3:
            a = past[0]
            b = slope(z + h / 2 * a, u + h / 2)
            c = slope(z + h / 2 * b, u + h / 2)
            z = z + h / 6 * (a + 2 * b + 2 * c + slope(z + h * c, u + h))
            new = slope(z, u + h)
        else:
            new = slope(z + h / 24 * weighted((55, -59, 37, -9), past), u + h)
            z = z + h / 24 * weighted((9, 19, -5, 1), [new, *past])
        past = [new, *past[:3]]
    return z


def weighted(weights: Sequence[float], terms: Sequence[Tensor]) -> Tensor:
    """Sum of the first terms, each times its weight."""
    return torch.stack([w * term for w, term in zip(weights, terms, strict=False)]).sum(0)


def relative(noise: Noise, truth: Noise) -> torch.Tensor:
    """|n - n*| / |n*| of each clip."""
    return (noise.double() - truth).flatten(1).norm(dim=1) / truth.flatten(1).norm(dim=1)


def shown(seen: dict[str, Video]) -> list[dict]:
    """The clips, each but the first with its difference from the first, four times: grey is none."""
    first, *others = ((title, clip.float().cpu()) for title, clip in seen.items())
    players = [Player(first[1], first[0])]
    for title, clip in others:
        difference = (4 * (clip - first[1])).clamp(-1, 1)
        players += [Player(clip, title), Player(difference, "its difference x 4", f"{title}; grey is none")]
    return [asdict(player.coded()) for player in players]


def cost(generator: NativeGenerator, config: Config) -> dict[str, Any]:
    """A sample and an inversion of one clip against as many bare calls of the network, alternating, medians."""
    noise, condition = generator.noise(1), generator.condition("")
    time_of = torch.full((1,), 0.5, device=generator.device)
    generator.sample(noise, num_steps=3, method="ddim")

    def loop() -> None:
        generator.sample(noise, condition, num_steps=config.num_steps, method="ddim")

    def invert() -> None:
        generator.invert(noise, condition, num_steps=config.num_steps, method="ddim")

    @torch.no_grad()
    def bare() -> None:
        for _ in range(config.num_steps):
            generator.denoiser(noise, time_of, condition.tokens, condition.mask)

    def guided() -> None:
        generator.generate("a red star moving left", num_steps=config.num_steps)

    works = {"loop": loop, "invert": invert, "bare": bare, "guided": guided}
    seconds = {name: taken.clock for name, taken in by_turns(works, config.repeats, wait=wait).items()}

    def ratio(name: str) -> dict[str, Any]:
        return median(a / b for a, b in zip(seconds[name], seconds["bare"], strict=True))

    return {
        "sample_seconds": round(statistics.median(seconds["loop"]), 3),
        "invert_seconds": round(statistics.median(seconds["invert"]), 3),
        "bare_seconds": round(statistics.median(seconds["bare"]), 3),
        "ratio": ratio("loop"),
        "invert_ratio": ratio("invert"),
        "one_captioned_clip_seconds": round(statistics.median(seconds["guided"]), 3),
        "threads": torch.get_num_threads(),
    }


def race(generator: NativeGenerator, config: Config) -> dict[str, float]:
    """Steps a second of one clip, by several ways to run the same loop side by side, and their launches a step."""
    noise, told, gpu = generator.noise(1), generator.condition(""), generator.device.type == "cuda"
    graphed = deepcopy(generator).graphed() if gpu else None
    compiled = deepcopy(generator).compile() if gpu else None
    time_of = torch.full((1,), 0.5, device=generator.device)
    ways: dict[str, Callable[[], object]] = {
        "diffusers": lambda: loop_of_diffusers(generator, noise, config.num_steps),
        "bare_network": lambda: [
            generator.denoiser(noise, time_of, told.tokens, told.mask) for _ in range(config.num_steps)
        ],
        "ours": lambda: generator.sample(noise, told, num_steps=config.num_steps, method="ddim"),
    }
    for name, way in (("ours_compiled", compiled), ("ours_as_a_graph", graphed)):
        if way is not None:
            ways[name] = lambda way=way: way.sample(noise, told, num_steps=config.num_steps, method="ddim")
    figures: dict[str, float] = {}
    with torch.no_grad():
        for name, way in ways.items():
            way()  # compiles, records
            figures[f"{name}_launches_a_step"] = round(launches(way) / config.num_steps, 1)
        seconds = {name: taken.clock for name, taken in by_turns(ways, config.repeats, wait=wait).items()}
    for name, taken in seconds.items():
        figures[f"{name}_steps_a_second"] = round(config.num_steps / statistics.median(taken), 1)
        if name.startswith("ours"):
            bare, theirs = (
                statistics.median(b / a for a, b in zip(taken, seconds[other], strict=True))
                for other in ("bare_network", "diffusers")
            )
            figures |= {f"{name}_share_in_the_network": round(bare, 3), f"{name}_times_diffusers": round(theirs, 3)}
    return figures


def loop_of_diffusers(generator: NativeGenerator, x: torch.Tensor, num_steps: int) -> torch.Tensor:
    """The loop of a pipeline of diffusers around the same network."""
    from diffusers import FlowMatchEulerDiscreteScheduler

    scheduler: Any = FlowMatchEulerDiscreteScheduler()
    told = generator.condition("")
    scheduler.set_timesteps(num_steps, device=generator.device)
    for t in scheduler.timesteps:
        v = generator.denoiser(x, (t / 1000).expand(len(x)), told.tokens, told.mask)
        x = scheduler.step(v, t, x, return_dict=False)[0]
    return x


def launches(way: Callable[[], object]) -> int:
    """Operations that a run dispatches on the CPU; on a GPU, the kernels and graphs that it launches."""
    from torch.profiler import ProfilerActivity, profile

    gpu = torch.cuda.is_available()
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if gpu else [])]
    with profile(activities=activities, acc_events=True) as run:
        way()
        wait()
    events = [event.name for event in run.events() or ()]
    if gpu:
        return sum(name.startswith(("cudaLaunchKernel", "cuLaunchKernel", "cudaGraphLaunch")) for name in events)
    return sum(name.startswith("aten::") for name in events)


def wait() -> None:
    """Until the device has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


if __name__ == "__main__":
    main(run)
