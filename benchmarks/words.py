"""Where do words act, and what changes when one is rewritten? Maps of words against exact masks, prompt-to-prompt.

python benchmarks/words.py [--clips 24] [--objects 2] [--only maps|rewrite]

"maps": clips of moving shapes under captions that tell their hues and shapes; by each kind of map (attention, the word
swapped for another, the word left out) the area under the ROC curve of a word's own object against the other object,
of the other object's word on the same places, and of "background"; with one object, of the object against the ground.
A model that never saw two objects is at chance in the first; those of `train --data moving-scenes` are not.

"rewrite": one hue word swapped by `control.rewrite`, with and without a blend: factors that nobody spoke of, how far
they moved as a share of their range, mean and 95th percentile; pixels outside the object against the source's clip,
beside those of the autoencoder alone; and the share of clips whose hue is the new one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score
from torch import Tensor

from latentlab.bench.flags import main
from latentlab.control import rewrite, word_effect, word_maps
from latentlab.data.moving.captions import HUES, hue_name
from latentlab.data.moving.dataset import HELD_OUT_SEED, MovingShapes
from latentlab.data.moving.factors import SHAPES
from latentlab.data.moving.measure import angle_difference, measure
from latentlab.factors import FactorTable
from latentlab.generator.generator import Generator
from latentlab.generator.load import load
from latentlab.shapes import Video

LEVELS = (0.5, 0.7, 0.9)
KEPT = ("size", "start_x", "start_y", "speed", "direction", "rotation", "background_hue", "light")


@dataclass(frozen=True)
class Config:
    """What to measure, and on how many clips."""

    only: Literal["both", "maps", "rewrite"] = "both"
    clips: int = 24
    objects: int = 1
    num_steps: int = 20
    cross: float = 0.3
    own: float = 0.6
    blend: float = 0.3
    model: str | None = None
    seed: int = 0


def hue_of(degrees: float) -> str:
    """The nearest of six names, "" of no object."""
    return hue_name(degrees) if np.isfinite(degrees) else ""


def object_of(video: Video) -> Tensor:
    """Where a clip is not of its ground's colour, `(clip, 1, frame, height, width)`."""
    ground = video.flatten(3).median(3)[0][..., None, None]
    return (video - ground).abs().amax(1, keepdim=True) > 0.2


def auc(found: Tensor, inside: Tensor, outside: Tensor) -> float:
    """How often a place of one region has more than one of another; 0.5 is chance."""
    a, b = found[inside].numpy(), found[outside].numpy()
    if not len(a) or not len(b):
        return float("nan")
    return float(roc_auc_score(np.repeat([1, 0], [len(a), len(b)]), np.concatenate([a, b])))


def maps(generator: Generator, config: Config) -> dict[str, Any]:
    """Areas under the curve by kind of map, mean over clips and words."""
    data, found = MovingShapes(config.clips, HELD_OUT_SEED, objects=config.objects), {}
    for i in range(config.clips):
        item, row = data[i], data.sampler.table([i])
        latents = generator.encode(item.video)
        ends = ("", ".2")[: config.objects]
        hues, shapes = ([row[f"{name}{end}"][0] for end in ends] for name in ("hue", "shape"))
        told = [(hue_name(h, tolerance=20), SHAPES[int(s)]) for h, s in zip(hues, shapes, strict=True)]
        caption, spoken = item.captions[3], {word for pair in told for word in pair}
        if len(spoken) < 2 * len(ends) or not spoken <= set(caption.split()):
            continue  # two objects of one hue or shape, which it does not tell apart, or a hue between two names
        places: Any = latents.shape[2:]
        seen = [F.adaptive_avg_pool3d(torch.from_numpy(x.seen).float()[None], places)[0] > 0.5 for x in item.layers]
        looked = word_maps(generator, latents, caption, levels=LEVELS, seed=config.seed)
        for j, words in enumerate(told):
            others = torch.stack(seen).any(0).logical_not() if len(seen) == 1 else seen[1 - j] & ~seen[j]
            for word, group in zip(words, (HUES, SHAPES), strict=True):
                swapped = caption.replace(word, group[(group.index(word) + 3) % len(group)])
                without = " ".join(part for part in caption.split() if part != word)
                kinds = {
                    "attention": looked.of(word),
                    "swapped": word_effect(generator, latents, caption, swapped, levels=LEVELS, seed=config.seed),
                    "left out": word_effect(generator, latents, caption, without, levels=LEVELS, seed=config.seed),
                }
                for kind, found_map in kinds.items():
                    found.setdefault(kind, []).append(auc(found_map[0, 0], seen[j], others))
                    if len(seen) == 2:
                        found.setdefault(f"{kind}, other word", []).append(auc(found_map[0, 0], others, seen[j]))
    return {kind: {"auc": float(np.nanmean(values)), "words": len(values)} for kind, values in found.items()}


def moved(before: FactorTable, after: FactorTable) -> dict[str, list[float]]:
    """Share of its range by which each factor moved: mean and 95th percentile."""
    shares = {}
    for spec in before.specs:
        if spec.name in KEPT:
            turned = angle_difference if spec.kind == "circular" else np.subtract
            apart = abs(turned(before[spec.name], after[spec.name])) / (spec.high - spec.low)
            known = apart[np.isfinite(apart)]
            shares[spec.name] = [float(known.mean()), float(np.percentile(known, 95))] if len(known) else [np.nan] * 2
    return shares


def outside(video: Video, reference: Video, objects: Tensor) -> float:
    """PSNR of pixels that no object covers, two of them away from it, in decibels."""
    grown = F.max_pool3d(objects.float(), (1, 5, 5), 1, (0, 2, 2)) > 0
    error = (video - reference).square().mean(1, keepdim=True)[~grown]
    return float(10 * torch.log10(4 / error.mean()))


def rewritten(generator: Generator, config: Config) -> dict[str, Any]:
    """One hue for its opposite, at a source caption of a hue and a shape."""
    rng, found = np.random.default_rng(config.seed), {}
    options: dict[str, Any] = {"num_steps": config.num_steps}
    clips: dict[str, list[tuple[Video, Video, str]]] = {}
    for k in range(config.clips):
        hue, shape = rng.integers(6), rng.choice(SHAPES)
        source, target = (f"a {HUES[(hue + turn) % 6]} {shape}" for turn in (0, 3))
        for name, blend in (("everywhere", None), ("blended", config.blend)):
            told = rewrite(generator, source, target, cross=config.cross, own=config.own, blend=blend)
            before, after = told.generate(seed=config.seed + k, **options)
            clips.setdefault(name, []).append((before.cpu(), after.cpu(), target.split()[1]))
        plain = generator.generate(target, seed=config.seed + k, method="ddim", **options).cpu()
        clips.setdefault("the target alone", []).append((before.cpu(), plain, target.split()[1]))
    for name, rows in clips.items():
        before, after = (torch.cat(side) for side in list(zip(*rows, strict=True))[:2])
        first, second = measure(before), measure(after)
        objects = object_of(before) | object_of(after)
        again = generator.decode(generator.encode(before)).cpu()
        found[name] = {
            "factors moved, share of range": moved(first, second),
            "outside, dB": outside(after, before, objects),
            "autoencoder alone outside, dB": outside(again, before, objects),
            "shape kept": float((first["shape"] == second["shape"]).mean()),
            "new hue": float(np.mean([hue_of(h) == row[2] for h, row in zip(second["hue"], rows, strict=True)])),
        }
    return found


@torch.no_grad()
def run(config: Config) -> dict[str, Any]:
    """The figures that were asked for."""
    generator = load(config.model)
    parts = {"maps": maps, "rewrite": rewritten}
    return {name: part(generator, config) for name, part in parts.items() if config.only in ("both", name)}


if __name__ == "__main__":
    main(run)
