"""Does a generator fill what a mask covers, as the caption says, and leave the rest alone?

    python benchmarks/control.py [--clips 16] [--pairs 64] [--model FOLDER]
    python benchmarks/control.py --masks     # masks carried from frame 0 to all, alone
    python benchmarks/control.py --decided   # measures at which flow time each factor is decided, and keeps that

Held-out clips of moving shapes. The hole is where the object ever is, grown by 2 pixels. `fill`: another shape in the
opposite hue, read back by `measure`. `removal`: the background's caption; what the hole should show is known, the same
scene without its object. `background`: a box where nothing is. `half`: half of the frame, through the object's
centre, under its own caption. The seam is in 8-bit levels beside that of the autoencoder's own clip, pasted alike.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import latentlab
from latentlab.bench.spread import mean, median, percent
from latentlab.control import dilate, inpaint, propagate, union
from latentlab.control.decided import FILE
from latentlab.data.moving.captions import HUES, hue_name
from latentlab.data.moving.dataset import HELD_OUT_SEED, MovingShapes
from latentlab.data.moving.factors import SHAPES
from latentlab.data.moving.measure import angle_difference, measure, track
from latentlab.data.moving.render import draw
from latentlab.generator.load import load
from latentlab.generator.solver import solve
from latentlab.metrics import dis, flicker
from latentlab.store import write_text

BATCH = 8
SWITCHES = (1.01, 0.985, 0.97, 0.96, 0.94, 0.92, 0.89, 0.85, 0.78, 0.7, 0.6, 0.5, 0.4, 0.25)


@dataclass(frozen=True)
class Config:
    """What to measure."""

    model: str | None = None
    clips: int = 16  # of each question but the captions'
    pairs: int = 64  # of a clip and a caption that it does not obey
    steps: int = 25
    refine: int = 30


def run(config: Config) -> dict:
    """Measures and returns the figures."""
    generator = load(config.model)
    options = {"num_steps": config.steps, "refine": config.refine}
    figures: dict = {"masks": carried(config.clips), "fill": obeyed(generator, config.pairs, {**options, "refine": 0})}
    for name, question in QUESTIONS.items():
        rows = [question(generator, items, options) for items in _batches(config.clips)]
        figures[name] = {key: _figure(key, np.concatenate([row[key] for row in rows])) for key in rows[0]}
    return figures


def _figure(name: str, values: np.ndarray) -> dict:
    """Of the clips: the worst of what must not be, the share of frames, the median of the rest."""
    if name == "outside_largest_difference":
        return {"value": float(values.max())}
    return mean(values) if name == "frames_with_an_object" else median(values)


def obeyed(generator, count: int, options: dict) -> dict:
    """How often the new shape and hue are those of the caption."""
    shapes, hues = [], []
    for items in _batches(count):
        source, hole, captions, asked = items.source, items.hole, items.contrary, items.asked
        read = measure(inpaint(generator, source, hole, captions, **options).video.cpu())
        shapes += [SHAPES[int(shape)] == goal if shape == shape else False for shape, (goal, _) in
                   zip(read["shape"], asked, strict=True)]  # fmt: skip
        hues += [hue_name(hue) == goal if hue == hue else False for hue, (_, goal) in
                 zip(read["hue"], asked, strict=True)]  # fmt: skip
    return {"shape": percent(shapes), "hue": percent(hues)}


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


def carried(count: int) -> dict:
    """Intersection over union of masks carried from frame 0, mean over frames, beside the flow of `dis` alone."""
    own, alone = [], []
    for items in _batches(count):
        first = items.mask.clone()
        first[:, :, 1:] = 0
        for into, options in ((own, {}), (alone, {"flow": dis, "colour": False})):
            found, truth = propagate(first, items.source, **options).mask > 0.5, items.mask > 0.5
            shares = (found & truth).sum((1, 3, 4)) / (found | truth).sum((1, 3, 4))
            into.extend(shares.mean(1).tolist())
    return {"iou": mean(own), "iou_of_dis_alone": mean(alone)}


QUESTIONS = {"replaced": filled, "removal": removed, "background": beside, "half": halved}


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


def _batches(count: int) -> Iterator[Items]:
    data = MovingShapes(count, HELD_OUT_SEED)
    for first in range(0, count, BATCH):
        yield _items(data, range(first, min(count, first + BATCH)))


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
        empty.append(torch.from_numpy(draw(scene, np.arange(16))[0]).float().mul(2).sub(1).permute(3, 0, 1, 2))
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model")
    for name in ("clips", "pairs", "steps", "refine"):
        parser.add_argument(f"--{name}", type=int, default=getattr(Config(), name))
    for name in ("masks", "decided"):
        parser.add_argument(f"--{name}", action="store_true")
    options = vars(parser.parse_args())
    torch.set_num_threads(2)
    masks, asked = options.pop("masks"), options.pop("decided")
    if masks:
        print(json.dumps(carried(options["clips"]), indent=1))
        return
    if not asked:
        print(json.dumps(run(Config(**options)), indent=1, default=float))
        return
    generator = load(options["model"])
    found = {"weights": generator.fingerprint(), "levels": decide(generator)}
    write_text(Path(latentlab.__file__).parent / "shipped" / FILE, json.dumps(found, indent=2) + "\n")
    print(found)


if __name__ == "__main__":
    main()
