"""Is flicker told apart from motion? Jitter of known size on clips of known motion, and clean motion alone.

python benchmarks/temporal.py [--clips FOLDER] [--taef2 FOLDER]

FOLDER of clips gives the photographs (their first frames, panned); without one, noise with the spectrum of photographs.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import spearmanr
from torch import Tensor
from tqdm.auto import tqdm

from latentlab.bench import load_script
from latentlab.bench.flags import main
from latentlab.bench.spread import mean
from latentlab.bench.timing import seconds_of
from latentlab.data.moving.dataset import HELD_OUT_SEED, moving_shapes
from latentlab.data.moving.render import render
from latentlab.metrics.flow import dis
from latentlab.metrics.temporal import flicker
from latentlab.video import read
from latentlab.view.chart import Chart
from latentlab.view.marks import Line, Panel
from latentlab.view.report import Figure, Player

ALONE = True
rows = load_script(Path(__file__).with_name("temporal_rows.py"))

FRAMES, SIDE = 20, 192
PHOTOGRAPHS = ("flower", "friday", "wolf", "car_turn", "bigbuckbunny")
FROM = {"whole": 1, "regional": 1, "overall": 2, "texture": 2}  # amplitudes from which they must be recovered
LEVEL = 1 / 127.5  # one 8-bit level in units of video


@dataclass(frozen=True)
class Config:
    """What to measure.

    Args:
        clips: folder of real clips, whose first frames are panned; None is noise with the spectrum of photographs.
        taef2: folder of TAEF2, whose jitter on these clips is measured.
        amplitudes: of jitter, in 8-bit levels.
        draws: of each jitter.
        scenes: pictures and moving shapes, at most.
    """

    clips: str | None = None
    taef2: str | None = None
    amplitudes: tuple[float, ...] = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
    draws: int = 4
    scenes: int = 6


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def pictures(folder: Path | None) -> list[Tensor]:
    """Photographs `(3, 512, 512)` in [-0.9, 0.9], so that jitter is not clipped."""
    if folder is not None:
        firsts = [read(folder / f"{name}.mp4", stop=1).video[0, :, 0] for name in PHOTOGRAPHS]
        return [0.9 * _fit(frame) for frame in firsts]
    layers = [[normal(1, 3, 514 // s, 514 // s, seed=10 * k + i) * s for i, s in enumerate((2, 4, 8, 16, 32, 64))]
              for k in range(3)]  # fmt: skip
    sums = [sum(F.interpolate(x, (512, 512), mode="bicubic")[0] for x in scales) for scales in layers]
    return [(0.35 * x / x.std()).clamp(-0.9, 0.9) for x in sums if isinstance(x, Tensor)]


def _fit(frame: Tensor) -> Tensor:
    scale = 512 / min(frame.shape[1:])
    size = [math.ceil(side * scale) for side in frame.shape[1:]]
    return F.interpolate(frame[None], size=size, mode="bicubic", antialias=True)[0, :, :512, :512].clamp(-1, 1)


def filmed(
    picture: Tensor, *, speed: float = 0.0, zoom: float = 0.0, turn: float = 0.0, frames: int = FRAMES
) -> Tensor:
    """A camera over a picture: pixels, share of the size, and degrees a frame; `(1, 3, frame, side, side)`."""
    t = torch.arange(frames).float()[:, None, None] - (frames - 1) / 2
    rows, columns = torch.meshgrid(torch.arange(SIDE) - SIDE / 2, torch.arange(SIDE) - SIDE / 2, indexing="ij")
    scale, angle = torch.exp(-zoom * t), torch.deg2rad(torch.tensor(turn)) * t
    x = scale * (columns * angle.cos() - rows * angle.sin()) + 256 + speed * t
    y = scale * (columns * angle.sin() + rows * angle.cos()) + 256
    grid = torch.stack([2 * x / 511 - 1, 2 * y / 511 - 1], -1)
    shot = F.grid_sample(picture.expand(frames, -1, -1, -1), grid, mode="bicubic", align_corners=True)
    return shot.transpose(0, 1)[None].clamp(-1, 1)


def sprite(picture: Tensor, other: Tensor, speed: float = 6.0) -> Tensor:
    """A patch of one picture that moves over another, which stands still."""
    clip = filmed(picture).clone()
    for t in range(FRAMES):
        left = 10 + round(speed * t)
        clip[0, :, t, 70:118, left : left + 48] = other[:, 200:248, 200:248]
    return clip


def unit(jitter: Tensor) -> Tensor:
    """Jitter whose three-frame residual alone reads 1: a draw of some twenty frames is off by a fifth."""
    residual = jitter[:, :, 1:-1] - 0.5 * (jitter[:, :, :-2] + jitter[:, :, 2:])
    return jitter / (residual.square().mean() / 1.5).sqrt()


def whole(clip: Tensor, a: float, seed: int) -> Tensor:
    return clip + a * LEVEL * unit(normal(1, 1, clip.shape[2], 1, 1, seed=seed))


def regional(clip: Tensor, a: float, seed: int) -> Tensor:
    field = F.interpolate(normal(clip.shape[2], 1, 6, 6, seed=seed), tuple(clip.shape[3:]), mode="bicubic")
    return clip + a * LEVEL * unit(field.transpose(0, 1)[None])


def grain(clip: Tensor, a: float, seed: int) -> Tensor:
    return clip + a * LEVEL * unit(normal(*clip.shape, seed=seed))


def sharpness(clip: Tensor, a: float, seed: int) -> Tensor:
    fine = clip - F.avg_pool3d(clip, (1, 5, 5), 1, (0, 2, 2), count_include_pad=False)
    jitter = unit(normal(1, 1, clip.shape[2], 1, 1, seed=seed)) * fine / fine.square().mean().sqrt()
    return (clip + a * LEVEL * jitter).clamp(-2, 2)  # further out nothing is taken for a clip


INJECTIONS: dict[str, tuple[str, Callable[[Tensor, float, int], Tensor]]] = {
    "global": ("whole", whole),
    "regional": ("regional", regional),
    "pixel noise": ("overall", grain),
    "sharpness": ("texture", sharpness),
}


def injected(clips: list[Tensor], config: Config, flows: list | None = None) -> dict[str, dict]:
    """Reading of each injection's own component at each amplitude: root mean square over draws, median over clips.

    `recovered` is what is read over what was put in, `read_of_none` what is read where nothing was: means over clips.
    """
    found = {}
    for kind, (component, inject) in tqdm(INJECTIONS.items(), desc="injections"):
        readings = torch.tensor([
            [[float(getattr(flicker(inject(clip, a, seed), flow=flow), component)) for a in config.amplitudes]
             for seed in range(config.draws)]
            for clip, flow in zip(clips, flows or [dis] * len(clips), strict=True)
        ])  # fmt: skip
        each = readings.square().mean(1).sqrt()
        reading = each.median(0).values.tolist()
        enough = torch.tensor([a >= FROM[component] for a in config.amplitudes])
        shares = each[:, enough] / torch.tensor(config.amplitudes)[enough]
        recovered = [r / a for r, a in zip(reading, config.amplitudes, strict=True) if a >= FROM[component]]
        found[kind] = {
            "component": component,
            "readings": [round(r, 2) for r in reading],
            "spearman_worst_clip": round(
                min(float(np.asarray(spearmanr(config.amplitudes, row))[0]) for row in readings.flatten(0, 1)), 3
            ),
            "recovered": mean(shares.mean(1)),
            "read_of_none": mean(each[:, 0]),
            "recovered_from_to": [round(min(recovered), 2), round(max(recovered), 2)],
        }
    return found


def shown(clip: Tensor) -> list[dict]:
    """One clip as it is, and with each kind of jitter at 4 and 16 levels, with what is read of it."""
    players = [Player(clip, "as it is", f"read: {float(flicker(clip).overall):.1f} levels overall")]
    for kind, (component, inject) in INJECTIONS.items():
        for levels in (4, 16):
            shaken = inject(clip, levels, 0).clamp(-1, 1)
            read = float(getattr(flicker(shaken), component))
            players.append(Player(shaken, f"{kind}, {levels} levels", f"read: {read:.1f} levels, {component}"))
    return [asdict(player.coded()) for player in players]


def clean(scenes: list[Tensor]) -> dict[str, dict[str, float]]:
    """The largest readings over photographs, without flicker."""
    moves = {
        **{f"pan {speed:g}": [filmed(s, speed=speed) for s in scenes] for speed in (0, 0.25, 1, 2, 4, 8)},
        "zoom 2 %": [filmed(s, zoom=0.02) for s in scenes],
        "turn 1 degree": [filmed(s, turn=1.0) for s in scenes],
        "sprite 6": [sprite(s, scenes[i - 1]) for i, s in enumerate(scenes)],
    }
    names = ("whole", "regional", "overall", "texture")
    return {
        move: {n: round(max(float(getattr(f, n)) for f in read), 3) for n in names}
        for move, clips in tqdm(moves.items(), desc="clean motion")
        for read in [[flicker(clip) for clip in clips]]
    }


def exact(factors) -> tuple[Tensor, Tensor]:
    """The flow of one clip of moving shapes, forth and back."""
    drawn = render(factors)
    return torch.from_numpy(drawn.flow).float()[None], torch.from_numpy(drawn.back).float()[None]


def faded(clips: list[Tensor]) -> dict[str, float]:
    """What a fade by 60 levels adds to each component, at most."""
    added = {}
    for name in ("overall", "whole", "regional", "texture"):
        pairs = [
            float(getattr(flicker(c + torch.linspace(-30, 30, FRAMES).view(1, 1, -1, 1, 1) * LEVEL), name))
            - float(getattr(flicker(c), name))
            for c in clips
        ]  # fmt: skip
        added[name] = round(max(pairs), 3) + 0.0  # no minus before a zero
    return added


def speed(picture: Tensor) -> dict[str, float]:
    """Seconds for everything about 64 frames of 256 x 256, one thread, median of five."""
    clip = F.interpolate(filmed(picture, speed=2.0, frames=64)[0].transpose(0, 1), (256, 256)).transpose(0, 1)[None]
    torch.set_num_threads(1)
    taken = seconds_of(lambda: flicker(clip), 5)
    return {"processor_seconds_64x256x256": round(statistics.median(taken.processor), 2)}


def autoencoder_jitter(folder: Path, clips: Path) -> dict[str, list[float]]:
    """Frames of real clips through TAEF2 one by one, with noise on the latents: every component must rise."""
    from latentlab import load

    generator = load(folder)
    readings = {name: [] for name in ("overall", "whole", "regional", "texture")}
    videos = [read(clips / f"{name}.mp4", stop=16).video for name in ("flower", "wolf", "car_turn")]
    videos = [F.interpolate(v[0].transpose(0, 1), (192, 192), mode="area").transpose(0, 1)[None] for v in videos]
    latents = [generator.encode(v) for v in videos]
    for sigma in tqdm((0.0, 0.05, 0.1, 0.2, 0.4), desc="latent noise"):
        shaken = [flicker(generator.decode(z + sigma * z.std() * normal(*z.shape, seed=3))) for z in latents]
        for name, row in readings.items():
            row.append(round(statistics.fmean(float(getattr(f, name)) for f in shaken), 3))
    return readings


def run(config: Config) -> dict:
    """Measures and returns the figures."""
    clips = Path(config.clips) if config.clips else None
    scenes = pictures(clips)[: config.scenes]
    panned = [filmed(scene, speed=2.0) for scene in scenes]
    panned_long = [filmed(scene, speed=2.0, frames=40) for scene in scenes]
    drawn = [moving_shapes(1, HELD_OUT_SEED + i) for i in range(config.scenes)]
    shapes, flows = [0.9 * video for video, _ in drawn], [exact(factors.values[0]) for _, factors in drawn]
    figures = {
        "pictures": "photographs" if clips else "noise",
        "amplitudes": config.amplitudes,
        "panned pictures": injected(panned, config),
        "moving shapes, exact flow": injected(shapes, config, flows),
        "clean motion": clean(scenes),
        "added by a fade": faded(panned),
        "global jitter of 4 in texture": round(
            max(float(flicker(whole(c, 4, 7)).texture - flicker(c).texture) for c in panned), 3
        ),
        "frames swapped (0, 1, 2, 4, 8 pairs of 40)": rows.disordered(panned_long, "swapped"),
        "frames doubled (0, 1, 2, 4, 8 of 40)": rows.disordered(panned_long, "doubled"),
        "flashes (0, 5, 10, 21, 25, 50, 100 levels)": rows.flashing(panned),
        "10 levels on 10, 30, 45, 55 % of the frame": rows.of_a_part(panned),
        "a quarter that blinks": rows.blinking(panned),
        "speed": speed(scenes[0]),
        "_clips": shown(shapes[0]),
    }
    if clips:
        figures["2 of 20 frames of real clips out of order: motion_jitter over the clip's own"] = rows.unsteady(clips)
        figures["real clips as they are"] = rows.as_they_are(clips)
    if config.taef2 and clips:
        figures["TAEF2, latent noise 0 to 0.4"] = autoencoder_jitter(Path(config.taef2), clips)
    return figures


def parts(figures: dict[str, Any]) -> list[Figure]:
    """What is read of jitter of known size: a reading without error lies on the diagonal."""
    given = np.array(figures["amplitudes"])
    panels = []
    for of in ("panned pictures", "moving shapes, exact flow"):
        lines = [
            Line(given, np.array(row["readings"]), f"{kind}: {row['component']}", hue, dots=True)
            for hue, (kind, row) in enumerate(figures[of].items())
        ]
        diagonal = Line(given, given, soft=True)
        panels.append(
            Panel([diagonal, *lines], of, xlabel="jitter put in (8-bit levels)", ylabel="read (8-bit levels)")
        )
    return [Chart(panels, "Jitter read against jitter put in, by kind.", size=(9, 3.8)).figure()]


if __name__ == "__main__":
    main(run)
