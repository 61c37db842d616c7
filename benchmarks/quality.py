"""How good is the shipped model? Every figure of its model card, on clips and captions that training never saw.

python benchmarks/quality.py [--only autoencoder,known,captions,static,frechet,scenes]
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from latentlab.bench.flags import main
from latentlab.bench.script import load_script
from latentlab.bench.spread import mean, percent
from latentlab.data.moving.captions import DIRECTIONS, HUES, captions, true_words
from latentlab.data.moving.dataset import HELD_OUT_SEED, TRAIN_SEED, MovingShapes, moving_shapes
from latentlab.data.moving.factors import SHAPES, FactorSampler
from latentlab.data.moving.measure import angle_difference, mask, measure
from latentlab.data.moving.reader import load_reader
from latentlab.generator.generator import Generator
from latentlab.generator.load import load, load_autoencoder
from latentlab.generator.native import NativeGenerator
from latentlab.metrics import flicker, frechet_distance, psnr
from latentlab.metrics.sets import compare
from latentlab.train.autoencoder import around
from latentlab.train.clip_model import ClipTraining
from latentlab.train.denoiser import DenoiserTraining
from latentlab.video import read
from latentlab.video.write import encode_pictures, frame_rate, one_clip
from latentlab.view.report import Player

scenes = load_script(Path(__file__).with_name("quality_scenes.py")).scenes

SHOWN = 4  # clips of a kind
NOISE = 0.3  # standard deviations of the latents


@dataclass(frozen=True)
class Config:
    """What to measure; the defaults are those of the model card."""

    model: str | None = None
    autoencoder: str | None = None
    seed: int = 0
    clips: int = 256
    local: int = 16
    static: int = 64
    frechet: int = 1024
    guidance: float | None = None
    num_steps: int = 25
    method: str = "ddim"
    only: tuple[str, ...] = ("autoencoder", "known", "captions", "static", "frechet")


def run(config: Config) -> dict:
    """Measures and returns the figures."""
    generator = load(config.model)
    if config.autoencoder and isinstance(
        generator, NativeGenerator
    ):  # of a training run: no denoiser knows its latents
        own = load_autoencoder(Path(config.autoencoder))
        generator = NativeGenerator(own, generator.denoiser, generator.clip_model, generator.config)
    parts = {
        "autoencoder": autoencoder,
        "known": known,
        "captions": caption_accuracy,
        "static": static,
        "frechet": frechet,
        "scenes": lambda generator, config: scenes(partial(_generate, generator, config=config), config.clips),
    }
    figures = {name: parts[name](generator, config) for name in config.only}
    clips = [clip for found in figures.values() for clip in found.pop("_clips", ())]
    return {"weights": generator.fingerprint(), **figures, "_clips": clips}


def autoencoder(generator: Generator, config: Config) -> dict[str, Any]:
    """Held-out clips through the autoencoder: PSNR of the whole and on the object, mattes and shapes before and after,
    and how far a change spreads."""
    data, reader = MovingShapes(config.clips, HELD_OUT_SEED), load_reader()
    rows: dict[str, list] = {name: [] for name in ("psnr", "object", "noisy", "overlap", "reader", "measure")}
    truth = data.factors()["shape"].astype(int)
    for index in tqdm(range(len(data)), desc="autoencoder"):
        clip = data.clip(index)
        latents = generator.encode(clip)
        noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(index)).to(latents)
        again, noisy = (generator.decode(z).cpu().clamp(-1, 1) for z in (latents, latents + NOISE * noise))
        before, after = mask(clip), mask(again)
        rows["psnr"].append(float(psnr(again, clip)))
        rows["noisy"].append(float(psnr(noisy, clip)))
        rows["object"].append(object_psnr(again, clip, data.mask(index)))
        rows["overlap"].append(float(torch.minimum(before, after).sum() / torch.maximum(before, after).sum()))
        rows["reader"].append(reader.read_shape(again)[0] == SHAPES[truth[index]])
        rows["measure"].append(measure(again)["shape"][0] == truth[index])
    worst = data.clip(int(np.argmin(rows["psnr"])))
    pair = {"the clip that the autoencoder loses most of": worst, "after it": generator.decode(generator.encode(worst))}
    objects = np.array(rows["object"])
    chance = 100 / len(SHAPES)
    return {
        "clips": config.clips,
        "mean_psnr": mean(rows["psnr"]),
        "min_psnr": round(min(rows["psnr"]), 2),
        f"mean_psnr, noise of {NOISE} on the latents": mean(rows["noisy"]),
        "psnr on the object and 2 pixels around": {
            name: mean(objects[truth == i]) for i, name in enumerate(SHAPES) if (truth == i).any()
        },
        "overlap of the mattes": mean(rows["overlap"]),
        "shape (reader)": percent(rows["reader"], null=chance),
        "shape (measure)": percent(rows["measure"], null=chance),
        **spread_of_changes(generator, config),
        "_clips": coded(pair),
    }


def known(generator: Generator, config: Config) -> dict[str, Any]:
    """What held-out clips from compressed files keep, and `known_psnr`, which 99 of 100 of them keep: H.264 with
    colours at half size, as programs write that do not know how small the clips are."""
    data, kept = MovingShapes(config.clips, HELD_OUT_SEED), []
    with TemporaryDirectory() as folder:
        file = str(Path(folder) / "clip.mp4")
        for index in tqdm(range(len(data)), desc="clips from files"):
            encode_pictures(file, one_clip(data.clip(index)), frame_rate(data.fps, ".mp4"), ".mp4", scale=1)
            clip = read(file).video
            kept.append(float(psnr(generator.decode(generator.encode(clip)).cpu(), clip)))
    return {"mean_psnr": mean(kept), "known_psnr": round(float(np.percentile(kept, 1)), 1)}


def object_psnr(video: torch.Tensor, truth: torch.Tensor, covered: torch.Tensor) -> float:
    """PSNR over the object and two pixels around it."""
    where = around(covered).expand_as(truth) > 0
    return float(10 * torch.log10(4 / (video - truth)[where].square().mean().clamp(min=1e-12)))


def spread_of_changes(generator: Generator, config: Config) -> dict[str, Any]:
    """How much of a change made in one place shows elsewhere, in percent: of one cell of the latents, of one block of
    pixels, and of light moved in the latents of the left half alone."""
    video, _ = moving_shapes(config.local, HELD_OUT_SEED + 2)
    video = video[:, :, :1]
    latents = generator.encode(video)
    plain = generator.decode(latents)
    cell = 64 // latents.shape[-1]
    touched, block = latents.clone(), video.clone()
    touched[..., 3, 3] += 2
    place = slice(3 * cell, 4 * cell)
    block[..., place, place] = -block[..., place, place]
    out = {
        "decoder: change far from a changed cell over there": far(generator.decode(touched) - plain, cell, 16),
        "encoder: change far from a changed block over there": far(generator.encode(block) - latents, 1, 16 // cell),
    }
    # What half of the light means in latents, and that in the left half alone.
    darker = generator.encode((video + 1) * 0.7 - 1) - latents
    darker[..., latents.shape[-1] // 2 :] = 0
    column = (generator.decode(latents + darker) - plain).abs().mean((0, 1, 2, 3))
    left, right = column[:32].mean(), column[32:]
    out["light of the left half: change of the right half over the left"] = round(100 * float(right.mean() / left), 2)
    out["light of the left half: change more than 8 pixels beyond"] = round(100 * float(right[8:].mean() / left), 2)
    return out


def far(change: torch.Tensor, cell: int, margin: int) -> float:
    """Mean change more than `margin` from the edge of the fourth cell of each axis, in percent of that within it."""
    size, low, high = change.abs().mean((0, 1, 2)), 3 * cell, 4 * cell
    there = size[low:high, low:high].mean()
    outside = torch.ones_like(size, dtype=torch.bool)
    outside[max(0, low - margin) : high + margin, max(0, low - margin) : high + margin] = False
    return round(100 * float(size[outside].mean() / there), 3)


def unseen_captions(count: int, **fixed: float) -> list[tuple[str, np.ndarray]]:
    """Captions that say everything and that neither CLIP nor denoiser met in training, with their clips' factors."""
    train = FactorSampler(TRAIN_SEED)
    clips = max(ClipTraining().clips, DenoiserTraining().clips)
    seen = {said for index in tqdm(range(clips), desc="captions of training") for said in captions(train(index))}
    chosen: list[tuple[str, np.ndarray]] = []
    held_out, index = FactorSampler(HELD_OUT_SEED, fixed), 0
    while len(chosen) < count:
        factors = held_out(index)
        w = true_words(factors)
        caption = captions(factors)[index % 3]
        if w.hue and w.background and w.size and w.direction and caption not in seen:
            chosen.append((caption, factors))
        index += 1
    return chosen


def caption_accuracy(generator: Generator, config: Config) -> dict[str, Any]:
    """Percent of unseen captions whose shape, hue, direction and size the generated clip has; the nulls are of words
    drawn by chance."""
    chosen = [c for c in unseen_captions(2 * config.clips) if true_words(c[1]).direction != "still"][: config.clips]
    video = _generate(generator, [caption for caption, _ in chosen], config)
    said = [true_words(factors) for _, factors in chosen]
    read, shapes = measure(video), load_reader().read_shape(video)
    names = [SHAPES[int(s)] if np.isfinite(s) else "" for s in read["shape"]]
    directions = np.array([45 * DIRECTIONS.index(w.direction) for w in said])
    hues = np.array([60 * HUES.index(w.hue) for w in said])
    backgrounds = np.array([60 * HUES.index(w.background) for w in said])
    middle = 6.85  # between the words "small" and "large"
    right: dict[str, Any] = {
        "shape (reader)": [a == w.shape for a, w in zip(shapes, said, strict=True)],
        "shape (measure)": [a == w.shape for a, w in zip(names, said, strict=True)],
        "hue": np.abs(angle_difference(read["hue"], hues)) <= 30,
        "background": np.abs(angle_difference(read["background_hue"], backgrounds)) <= 30,
        "direction": np.abs(angle_difference(read["direction"], directions)) <= 45,
        "size": [
            (s > middle) == (w.size == "large") and np.isfinite(s) for s, w in zip(read["size"], said, strict=True)
        ],
    }
    shape, sixth, quarter = 100 / len(SHAPES), 100 * 60 / 360, 100 * 90 / 360
    chance = dict(zip(right, (shape, shape, sixth, sixth, quarter, 50.0), strict=True))
    clips = coded({caption: clip for (caption, _), clip in zip(chosen[:SHOWN], video.split(1), strict=False)})
    shares = {name: percent(hits, null=chance[name]) for name, hits in right.items()}
    return {"captions": len(chosen), **shares, "_clips": clips}


def static(generator: Generator, config: Config) -> dict[str, Any]:
    """Mean absolute difference of adjacent frames of generated clips in which nothing moves, 8-bit levels."""
    chosen = unseen_captions(config.static, speed=0.0, rotation=0.0)
    score = flicker(_generate(generator, [caption for caption, _ in chosen], config))
    return {
        "captions": config.static,
        "mean_difference": mean(score.difference),
        "worst_difference": round(float(score.difference.max()), 3),
        "overall_flicker": mean(score.overall),
    }


def frechet(generator: Generator, config: Config) -> dict[str, Any]:
    """Frechet distance on the reader's features; its null is that of two sets of real clips."""
    reader, n = load_reader(), config.frechet
    real, factors = moving_shapes(n, HELD_OUT_SEED)
    other, _ = moving_shapes(n, HELD_OUT_SEED + 1)
    made = _generate(generator, [captions(row)[i % 3] for i, row in enumerate(factors.values)], config)
    with torch.inference_mode():
        a, b, c = (torch.cat([reader.features(x) for x in v.split(64)]) for v in (real, other, made))
    found, floor = compare(c, a, splits=0, seed=config.seed), frechet_distance(b, a)
    distance = {"value": round(found.value, 4), "interval": found.interval, "null": round(floor, 4)}
    return {"clips": n, "distance": distance, "floor": round(floor, 4), "ratio": round(found.value / floor, 2)}


def coded(clips: dict[str, torch.Tensor]) -> list[dict]:
    """Clips by title, for the page."""
    return [asdict(Player(clip.cpu(), title).coded()) for title, clip in clips.items()]


def _generate(generator: Generator, said: list[str], config: Config) -> torch.Tensor:
    options = {"num_steps": config.num_steps, "method": config.method, "guidance": config.guidance}
    return generator.generate(said, seed=config.seed, progress="generating", **options).cpu()


if __name__ == "__main__":
    main(run)
