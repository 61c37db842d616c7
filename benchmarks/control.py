"""Does a generator fill what a mask covers, as the caption says, and leave the rest alone?

    python benchmarks/control.py [--clips 16] [--pairs 64] [--model FOLDER] [--out runs/control] [--minutes 9]
    python benchmarks/control.py --only masks,fused --clips 8
    python benchmarks/control.py --only removal,keyframes --known-region none   # or a run of it
    python benchmarks/control.py --decided   # measures at which flow time each factor is decided, and keeps that

Each question is asked of 4 clips at a time; answers are kept in --out, and a run that was stopped, or that --minutes
ended, goes on where it was. Held-out clips of moving shapes. `masks`: carried from frame 0 to all. In the others the
hole is where the object ever is, grown by 2 pixels. `fill`: another shape in the opposite hue, read back by `measure`.
`removal`: the background's caption; what the hole should show is known, the same scene without its object.
`background`: a box where nothing is. `half`: half of the frame, through the object's centre, under its own caption.
`keyframes`: the first and the last frame are given. `referenced`: frame 0 as a `Reference`, with no caption; `words`:
instead, the hue and shape that the model's CLIP or its denoiser reads in it. `fused`: the shape by one caption, the hue
by another, the place by a mask, under each rule. The seam is in 8-bit levels beside that of the autoencoder's own clip,
pasted alike.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import latentlab
from latentlab.bench.flags import main
from latentlab.bench.spread import mean, median, percent
from latentlab.control import (
    Fusion,
    Given,
    Reference,
    dilate,
    inpaint,
    nearest_caption,
    propagate,
    read_known_region,
    union,
)
from latentlab.control.decided import FILE
from latentlab.data.moving.captions import HUES, hue_name
from latentlab.data.moving.dataset import HELD_OUT_SEED, MovingShapes
from latentlab.data.moving.factors import SHAPES
from latentlab.data.moving.measure import angle_difference, measure, track
from latentlab.data.moving.measure import mask as mask_of
from latentlab.data.moving.render import draw_scene
from latentlab.generator.generator import Generator
from latentlab.generator.load import load
from latentlab.generator.networks.beside import ships
from latentlab.generator.networks.known_region import KnownRegionNetwork
from latentlab.generator.solver import solve
from latentlab.metrics import dis, flicker
from latentlab.store import write_text
from latentlab.weights import fingerprint

BATCH = 4
SWITCHES = (1.01, 0.985, 0.97, 0.96, 0.94, 0.92, 0.89, 0.85, 0.78, 0.7, 0.6, 0.5, 0.4, 0.25)


@dataclass(frozen=True)
class Config:
    """What to measure.

    Args:
        model: folder; None is the shipped one.
        known_region: "auto", the network that ships with the model; "none", or the run of another.
        clips: of each question but `fill`.
        pairs: of a clip and a caption that it does not obey.
        only: questions; none is all.
        out: folder where answers are kept, if anywhere.
        minutes: after which no other question is begun.
        decided: measure at which flow time each factor is decided, alone, and keep that beside the shipped weights.
    """

    model: str | None = None
    known_region: str = "auto"
    clips: int = 16
    pairs: int = 64
    steps: int = 25
    refine: int = 30
    only: tuple[str, ...] = ()
    out: str = ""
    minutes: float = math.inf
    decided: bool = False


def run(config: Config) -> dict:
    """Measures and returns the figures, of all clips that were measured in time."""
    generator, began = load(config.model), time.monotonic()
    if config.decided:
        found = {"weights": generator.fingerprint(), "levels": decide(generator)}
        write_text(Path(latentlab.__file__).parent / "shipped" / FILE, json.dumps(found, indent=2) + "\n")
        return found
    network = _network(config.known_region, generator)
    options = {"num_steps": config.steps, "refine": config.refine, "network": network}
    made_of = [generator.fingerprint()[:12], *([fingerprint(network)[:12]] if network else [])]
    place = Path(config.out) / "-".join([*made_of, f"{config.steps}-{config.refine}"]) if config.out else None
    figures: dict = {}
    for name in config.only or QUESTIONS:
        count, rows = config.pairs if name == "fill" else config.clips, []
        for first in range(0, count, BATCH):
            wanted = range(first, min(count, first + BATCH))
            file = place and place / f"{name}-{wanted.start}-{wanted.stop}.json"
            if file and file.is_file():
                rows.append(json.loads(file.read_text()))
            elif time.monotonic() - began < 60 * config.minutes:
                found = QUESTIONS[name](generator, _items(MovingShapes(count, HELD_OUT_SEED), wanted), options)
                rows.append({key: [float(x) for x in values] for key, values in found.items()})
                if file:
                    write_text(file, json.dumps(rows[-1]))
        if rows:
            figures[name] = {key: _figure(key, np.concatenate([row[key] for row in rows])) for key in rows[0]}
    return figures


def _network(asked: str, generator: Generator) -> KnownRegionNetwork | None:
    """The known-region network that is asked for."""
    if asked == "none" or (asked == "auto" and not ships("known-region", generator)):
        return None
    return read_known_region(None if asked == "auto" else asked, generator)


def _figure(name: str, values: np.ndarray) -> dict:
    """Of the clips: the worst of what must not be, the share of what was obeyed, the median of the rest."""
    if name == "outside_largest_difference":
        return {"value": float(values.max())}
    if name.startswith("obeyed"):
        return percent(list(values > 0))
    return mean(values) if name == "frames_with_an_object" or name.startswith("iou") else median(values)


def obeyed(generator, items: Items, options: dict) -> dict:
    """Whether the new shape and hue are those of the caption."""
    found = inpaint(generator, items.source, items.hole, items.contrary, **{**options, "refine": 0})
    return _read(found.video, items.asked)


def _read(video: Tensor, asked: Sequence[tuple[str, str]]) -> dict:
    read = measure(video.cpu())
    shapes = [s == s and SHAPES[int(s)] == goal for s, (goal, _) in zip(read["shape"], asked, strict=True)]
    hues = [h == h and hue_name(h) == goal for h, (_, goal) in zip(read["hue"], asked, strict=True)]
    return {"obeyed_shape": shapes, "obeyed_hue": hues}


def filled(generator, items: Items, options: dict) -> dict:
    found = inpaint(generator, items.source, items.hole, items.contrary, **options)
    return _costs(found, items) | {"flicker_over_source": _flicker(generator, found, items)}


def removed(generator, items: Items, options: dict) -> dict:
    found = inpaint(generator, items.source, items.hole, items.behind, **options)
    inside = found.region.expand_as(found.video) > 0
    error = [(a - b)[i].square().mean() / 4 for a, b, i in zip(found.video, items.empty, inside, strict=True)]
    seen = np.isfinite(track(found.video.cpu())).all(2).mean(1)
    return _costs(found, items) | {
        "frames_with_an_object": 100 * seen,
        "psnr_to_the_empty_scene": np.array([-10 * np.log10(float(e)) for e in error]),
    }


def beside(generator, items: Items, options: dict) -> dict:
    """A box in that corner of the frame where the object never is."""
    corners = torch.zeros(4, 1, 1, 64, 64)
    for corner, (row, column) in zip(corners, ((4, 4), (4, 44), (44, 4), (44, 44)), strict=True):
        corner[..., row : row + 16, column : column + 16] = 1
    hit = (dilate(corners, 7)[None] * union(items.mask)[:, None, :, :1]).sum((2, 3, 4, 5))
    found = inpaint(generator, items.source, corners[hit.argmin(1)], items.captions, **options)
    return _costs(found, items)


def halved(generator, items: Items, options: dict) -> dict:
    hole = torch.zeros(len(items.source), 1, 16, 64, 64)
    for one, (x, _) in zip(hole, track(items.source).mean(1), strict=True):
        one[..., : round(x)] = 1
    return _costs(inpaint(generator, items.source, hole, items.captions, grow=0, **options), items)


def carried(generator, items: Items, options: dict) -> dict:
    """Intersection over union of masks carried from frame 0, mean over frames, beside the flow of `dis` alone."""
    del generator, options
    first, found = items.mask.clone(), {}
    first[:, :, 1:] = 0
    for name, how in (("iou", {}), ("iou_of_dis_alone", {"flow": dis, "colour": False})):
        made, truth = propagate(first, items.source, **how).mask > 0.5, items.mask > 0.5
        found[name] = ((made & truth).sum((1, 3, 4)) / (made | truth).sum((1, 3, 4))).mean(1)
    return found


def kept(generator, items: Items, options: dict) -> dict:
    """First and last frame given, under the clip's own caption: the jump beside them, and the path between."""
    source, last = items.source, items.source.shape[2] - 1
    mask = torch.ones(len(source), 1, last + 1, 64, 64)
    mask[:, :, [0, last]] = 0
    found = inpaint(generator, source, mask, items.captions, grow=0, feather=0, **{**options, "refine": 0})
    again = generator.decode(generator.encode(source))

    def jump(video: Tensor) -> np.ndarray:
        steps = (video[:, :, [1, last]] - video[:, :, [0, last - 1]]).abs().mean((1, 2, 3, 4)) * 127.5
        return steps.cpu().numpy()

    def decibels(video: Tensor) -> np.ndarray:
        error = (video.cpu() - source)[:, :, [0, last]].square().mean((1, 2, 3, 4)) / 4
        return (-10 * error.log10()).numpy()

    way = np.linalg.norm(track(found.video.cpu()) - track(source), axis=2)[:, 1:-1]
    return {
        "kept_over_floor": decibels(found.raw) - decibels(again),
        "jump": jump(found.video),
        "jump_of_truth": jump(source),
        "jump_of_the_autoencoder": jump(torch.where(mask > 0, again.cpu(), source)),
        "path_error": np.nan_to_num(np.nanmean(way, 1), nan=64.0),
    }


def referenced(generator, items: Items, options: dict) -> dict:
    """Frame 0 as a reference, without a caption; and without either."""
    asked = [(SHAPES[int(shape)], hue_name(hue)) for shape, hue in zip(*_truth(items), strict=True)]
    found: dict = {}
    for weight in (0.0, 1.0, 4.0):
        clips = [
            generator.guided(Reference(clip[None, :, :1], weight)).generate("", seed=i, num_steps=options["num_steps"])
            for i, clip in enumerate(items.source)
        ]
        read = _read(torch.cat(clips), asked)
        found |= {f"{name}_at_weight_{weight:g}": values for name, values in read.items()}
    return found


def worded(generator, items: Items, options: dict) -> dict:
    """Frame 0 as a caption: that of a hue and a shape that CLIP reads in it, and that of the denoiser's least error."""
    asked = [(SHAPES[int(shape)], hue_name(hue)) for shape, hue in zip(*_truth(items), strict=True)]
    images = items.source[:, :, :1]
    hues = [nearest_caption(generator, image, HUES, levels=(0.95, 0.9, 0.8))[0] for image in images.split(1)]
    both = [
        nearest_caption(generator, image, [f"a {hue} {shape}" for shape in SHAPES], levels=(0.6, 0.45, 0.3))[0]
        for image, hue in zip(images.split(1), hues, strict=True)
    ]
    found: dict = {}
    for name, said in (("clip", seen_words(generator, items.source)), ("denoiser", both)):
        read = _read(generator.generate(said, num_steps=options["num_steps"]), asked)
        found |= {f"{key}_by_{name}": values for key, values in read.items()}
    return found


def seen_words(generator, clips: Tensor) -> list[str]:
    """The caption of a hue and a shape that lies nearest to each clip, by the model's CLIP."""
    captions = [f"a {hue} {shape}" for hue in HUES for shape in SHAPES]
    with torch.no_grad():
        text = generator.clip_model.encode_text(captions)
        near = generator.clip_model.encode_video(clips.to(generator.device)) @ text.T
    return [captions[i] for i in near.argmax(1).tolist()]


def fused(generator, items: Items, options: dict) -> dict:
    """Shape by one caption, hue by another, place by a mask, by each rule; Dice beside that of another clip's mask."""
    found: dict = {}
    for rule in ("sum", "priority", "by_level", "by_mask"):
        clips = []
        for i, (shape, hue) in enumerate(items.asked):
            given = [
                Given(f"a {shape}", weight=1.0, levels=(1, 0), name="shape"),
                Given(hue, weight=0.9, name="hue"),
                Given(items.mask[i : i + 1], weight=0.6, levels=(1, 0.5), name="mask"),
            ]
            both = generator.guided(Fusion(given, rule=rule))
            clips.append(both.generate("", seed=i, num_steps=options["num_steps"]))
        video = torch.cat(clips).cpu()
        read = _read(video, items.asked)
        found |= {f"{name}_{rule}": values for name, values in read.items()}
        found[f"iou_dice_{rule}"] = _dice(mask_of(video), items.mask)
    found["iou_dice_of_chance"] = _dice(items.mask.roll(1, 0), items.mask)
    return found


def _dice(made: Tensor, truth: Tensor) -> np.ndarray:
    made = made.nan_to_num(0)
    both = 2 * (made * truth).sum((1, 2, 3, 4)) / (made + truth).sum((1, 2, 3, 4)).clamp(min=1e-6)
    return both.cpu().numpy()


def _truth(items: Items) -> tuple[np.ndarray, np.ndarray]:
    read = measure(items.source)
    return read["shape"], read["hue"]


QUESTIONS = {
    "masks": carried, "fill": obeyed, "replaced": filled, "removal": removed, "background": beside, "half": halved,
    "keyframes": kept, "referenced": referenced, "words": worded, "fused": fused,
}  # fmt: skip


@dataclass(frozen=True)
class Items:
    """Clips with their masks, true and contrary captions, and the same scenes without objects."""

    source: Tensor
    mask: Tensor
    captions: list[str]
    contrary: list[str]
    asked: list[tuple[str, str]]
    behind: list[str]
    empty: Tensor

    @property
    def hole(self) -> Tensor:
        return dilate(union((self.mask > 0).float()), 2)


def _items(data: MovingShapes, indices: Sequence[int]) -> Items:
    contrary, asked, behind, empty = [], [], [], []
    for i in indices:
        factors = data.sampler.table([i])
        shape = SHAPES[(int(factors["shape"][0]) + 1 + i % 4) % 5]
        hue = HUES[(round(factors["hue"][0] / 60) + 3) % 6]
        ground = f"on a {hue_name(factors['background_hue'][0])} background"
        asked.append((shape, hue))
        contrary.append(f"a {hue} {shape} {ground}")
        behind.append(ground)
        scene = replace(data.scene(i), objects=())
        empty.append(torch.from_numpy(draw_scene(scene, np.arange(16))[0]).float().mul(2).sub(1).permute(3, 0, 1, 2))
    return Items(
        torch.cat([data.clip(i) for i in indices]),
        torch.cat([data.mask(i) for i in indices]),
        [data[i].captions[0] for i in indices],
        contrary,
        asked,
        behind,
        torch.stack(empty),
    )


def _costs(found, items: Items) -> dict:
    outside = found.region.cpu() == 0
    change = [(a - b).abs().amax(0)[o[0]].max() for a, b, o in
              zip(found.video.cpu(), items.source, outside, strict=True)]  # fmt: skip
    return {
        "outside_largest_difference": np.array(change),
        "outside_psnr_before": np.array(found.outside_psnr),
        "outside_psnr_floor": np.array(found.floor_psnr),
        "seam_over_floor": np.array(found.seam) - np.array(found.floor_seam),
    }


def _flicker(generator, found, items: Items) -> np.ndarray:
    again = generator.decode(generator.encode(items.source))
    inside = found.hole[:, 0, 0].bool()
    maps = [flicker(clip).maps["overall"] for clip in (found.video, again)]
    made, there = (np.array([float(m[i].nanmean()) for m, i in zip(each, inside, strict=True)]) for each in maps)
    return made / there


def decide(generator, count: int = 12) -> dict[str, float]:
    """Flow time below which half of the clips no longer obey a caption that takes over there, by factor."""
    rng = np.random.default_rng(0)
    hues, ways = HUES, ("right", "up", "left", "down")

    def scene() -> dict[str, str]:
        pick = {"hue": hues, "background": hues, "shape": SHAPES, "size": ("small", "large"), "direction": ways}
        return {name: str(rng.choice(values)) for name, values in pick.items()}

    pairs = [(scene(), scene()) for _ in range(count)]
    text = "a {size} {hue} {shape} moving {direction} on a {background} background"
    first, second = ([text.format(**pair[i]) for pair in pairs] for i in (0, 1))
    noise, names = generator.noise(count, seed=0), ("background_hue", "hue", "size", "direction", "shape")
    levels = generator.levels(25, noise.shape[1:])
    fields = [
        generator.velocity(generator.condition(captions), generator.config.guidance) for captions in (first, second)
    ]
    way = [noise]  # under the first captions; those that follow leave it where they take over
    solve(fields[0], noise, levels, method="ddim", callback=lambda step, s, y: way.append(y))
    shares = {name: [] for name in names}
    for switch in SWITCHES:
        at = int((levels >= switch).sum())  # the first level below
        end = solve(fields[1], way[at], levels[at:], method="ddim")
        read = measure(generator.decode(end).cpu())
        for name in names:
            hits = [_obeys(name, value, pair[1]) for value, pair in zip(read[name], pairs, strict=True)
                    if _word(name, pair[0]) != _word(name, pair[1])]  # fmt: skip
            shares[name].append(float(np.mean(hits)))
        print(switch, {name: round(share[-1], 2) for name, share in shares.items()}, flush=True)
    top = float(levels[0])
    return {name: round(_half(np.minimum(SWITCHES, top), share), 3) for name, share in shares.items()}


def _word(name: str, scene: dict[str, str]) -> str:
    return scene["background" if name == "background_hue" else name]


def _obeys(name: str, value: float, scene: dict[str, str]) -> bool:
    word = _word(name, scene)
    if name == "shape":
        return value == value and SHAPES[int(value)] == word
    if name == "size":
        return (value > 6.85) == (word == "large")
    if name == "direction":
        wanted = 90 * ("right", "up", "left", "down").index(word)
        return bool(abs(angle_difference(value, wanted)) < 45)
    return hue_name(value) == word


def _half(levels: np.ndarray, share: Sequence[float]) -> float:
    """Where the share first falls below one half of what it is at the top."""
    goal = 0.5 * share[0]
    for (a, p), (b, q) in zip(zip(levels, share, strict=True), zip(levels[1:], share[1:], strict=True), strict=False):
        if q < goal:
            return float(b + (a - b) * (goal - q) / (p - q))
    return 0.0


if __name__ == "__main__":
    main(run)
