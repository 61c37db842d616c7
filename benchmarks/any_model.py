"""What of latentlab holds on a model whose clips nobody has factors of: any pipeline, of video or images.

    python benchmarks/any_model.py --model FOLDER [--num-frames 17] [--height 128] [--width 208] [--labels TABLE|FOLDER]

Clips are the user's, with their labels, or drawn under captions. There and back by method and guidance, the autoencoder
told apart; whether the network answers one question twice alike; what a call of it takes; flicker of what is drawn; and
the directions of the labels, each with what says whether it is more than chance (or, without labels, the direction
between two captions). What has to be known of moving shapes (hue, shape, place ...) is left out, and the page says so.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from latentlab.bench.flags import main
from latentlab.bench.spread import mean
from latentlab.bench.timing import seconds_of
from latentlab.data.labelled import labelled
from latentlab.generator.generator import Generator
from latentlab.generator.load import load
from latentlab.generator.pipelines.coded import Coded
from latentlab.generator.sampler import DRAW
from latentlab.metrics import flicker
from latentlab.metrics.perceptual import psnr
from latentlab.shapes import Video
from latentlab.study.roundtrip import RoundTrip, roundtrip, self_test
from latentlab.study.sources import directions_of_captions, directions_of_labels
from latentlab.tour.captions import captions_of

ALONE = True
LEFT_OUT = "factors of moving shapes: nobody knows them of these clips, so no row asks for hue, shape, place or speed"


@dataclass(frozen=True)
class Config:
    """What to measure.

    Args:
        model: folder of a generator or pipeline, or a hub id.
        num_frames, height, width: of the clips of a pipeline.
        labels: table of the user's clips, or a folder with a folder for each class.
        clips: how many go there and back.
        methods: of inversion.
        guidance: weights of the caption there and back.
    """

    model: str | None = None
    num_frames: int | None = None
    height: int | None = None
    width: int | None = None
    labels: str | None = None
    clips: int = 4
    num_steps: int = 10
    methods: tuple[str, ...] = ("ddim", "midpoint", "leapfrog")
    guidance: tuple[float, ...] = (1.0, 3.0)
    seed: int = 0


def run(config: Config) -> dict[str, Any]:
    """Measures and returns the figures."""
    size: dict[str, Any] = {"num_frames": config.num_frames, "height": config.height, "width": config.width}
    generator = load(config.model, **size)
    figures: dict[str, Any] = {"config": asdict(config), "weights": generator.fingerprint(), "left_out": LEFT_OUT}
    c, caption = generator.config, captions_of(generator)[0]
    drawn = DRAW.but(num_steps=config.num_steps, batch_size=1)
    clips = generator.generate([caption] * config.clips, sampler=drawn, seed=config.seed).cpu()
    if config.labels is None:
        found = directions_of_captions(generator, *captions_of(generator)[:2], count=4, sampler=drawn, seed=config.seed)
        video = clips
    else:
        known = labelled(config.labels, c.num_frames, (c.height, c.width))
        found, video = directions_of_labels(generator, known), known.video[: config.clips]
        video = generator.padded(video) if isinstance(generator, Coded) else video
    figures["directions"] = {
        "given": found.provenance["given"],
        **{one.name: {"t": _number(one.t), "p": _number(one.p)} for one in found},
    }
    for guidance in config.guidance:
        figures[f"there and back, guidance {guidance:g}"] = {
            method: _row(
                roundtrip(generator, video, caption, num_steps=config.num_steps, method=method, guidance=guidance),
                video,
            )
            for method in tqdm(config.methods, desc=f"guidance {guidance:g}")
        }
    figures |= {"asked_twice": self_test(generator), "call_ms": call(generator, caption, config)}
    if c.num_frames > 1:
        figures["flicker_levels"] = mean(flicker(clips).overall)
    return figures


def call(generator: Generator, caption: str, config: Config) -> float:
    """Median milliseconds of one velocity under guidance."""
    y, velocity = generator.noise(1, seed=config.seed), generator.velocity(generator.condition(caption), 3.0)
    with torch.no_grad():
        taken = seconds_of(lambda: velocity(y, 0.5), 4)
    return round(1e3 * median(taken.clock[1:]), 1)


def _row(trip: RoundTrip, clips: Video) -> dict[str, Any]:
    """Figures of a round trip, PSNR with intervals over clips; what the autoencoder loses is not the inversion's."""
    lost = psnr(trip.again.float().cpu(), trip.decoded.float().cpu())
    return {
        "autoencoder_psnr": mean(psnr(trip.decoded.float().cpu(), clips.float())),
        "inversion_psnr": mean(lost) if lost.isfinite().all() else "infinite",
        "latents_again": trip.latents_again,
    }


def _number(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 3)


if __name__ == "__main__":
    main(run)
