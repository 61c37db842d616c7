"""Does a control branch put things where its pictures say, and leave the caption the rest?

    python benchmarks/control_branch.py [--control runs/control] [--clips 32] [--model FOLDER]
    python benchmarks/control_branch.py --kinds mask --clips 8 --steps 12

Held-out clips of moving shapes: each kind of picture is drawn of one, and a clip is made under it and a caption that
says shape, hue and background, not where, how large or how fast. What is read back by `measure` is held against the
clip that the pictures are of: Dice of the masks, beside that of another clip's mask (chance) and of the clip through
the autoencoder (floor); F of their boundaries at one pixel; the shape; the error of the centre in pixels. `alone`: the
same under an empty caption, where the picture alone says the shape. `strength`: Dice by strength of the mask, and how
many of its steps go up. `caption`: all of it without any picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from latentlab.bench.flags import main
from latentlab.bench.spread import mean, median, percent
from latentlab.control import Control, dilate, read_control
from latentlab.data import DrawnControls, MovingShapes, controls, measure
from latentlab.data.moving.captions import hue_name
from latentlab.data.moving.controls import outline
from latentlab.data.moving.dataset import HELD_OUT_SEED
from latentlab.data.moving.factors import SHAPES
from latentlab.data.moving.measure import mask as mask_of
from latentlab.data.moving.measure import track
from latentlab.factors import FactorTable
from latentlab.generator.load import load
from latentlab.generator.networks.control import KINDS
from latentlab.generator.sampler import Sampler
from latentlab.shapes import Mask, Video


@dataclass(frozen=True)
class Config:
    """What to measure.

    Args:
        control: run of `latentlab train control`; None is the branch that ships.
        model: folder; None is the shipped one.
        clips: how many.
        kinds: of pictures, each given alone.
        strengths: of the mask.
        steps: of the solver.
        guidance: None is the model's own.
        batch: clips at a time.
    """

    control: str | None = None
    model: str | None = None
    clips: int = 32
    kinds: tuple[str, ...] = KINDS
    strengths: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    steps: int = 25
    guidance: float | None = None
    batch: int = 8


def run(config: Config) -> dict:
    """Measures and returns the figures."""
    generator = load(config.model)
    network = read_control(config.control, generator)
    data = MovingShapes(config.clips, HELD_OUT_SEED)
    source = torch.cat([data.clip(i) for i in range(config.clips)])
    truth, places = data.factors(), DrawnControls.cat([data.drawn(i) for i in range(config.clips)])
    pictures = controls(places)
    hues, grounds = ([hue_name(hue) for hue in truth[name]] for name in ("hue", "background_hue"))
    shapes = [SHAPES[int(shape)] for shape in truth["shape"]]
    # A caption as the model learned them: of one without a noun it makes clips without an object.
    said = [
        f"a {hue} {shape} on a {ground} background" for hue, shape, ground in zip(hues, shapes, grounds, strict=True)
    ]

    how = Sampler("ddim", config.steps, guidance=config.guidance)

    def drawn(kind: str, strength: float, captions: Sequence[str] = said) -> Video:
        made = []
        for first in range(0, config.clips, config.batch):
            rows = slice(first, first + config.batch)
            told = {kind: pictures[kind][rows]}
            branch = generator.guided(Control(network, told, strength)) if strength else generator
            noise = generator.noise(config.clips, seed=1)[rows]
            made.append(generator.decode(branch.sample(noise, captions[rows], sampler=how)).cpu())
        return torch.cat(made)

    masks = pictures["mask"]
    figures: dict = {
        "dice_of_chance": mean(dice(masks.roll(1, 0), masks)),
        "dice_of_the_autoencoder": mean(dice(_read(generator.decode(generator.encode(source)).cpu()), masks)),
    }
    bare = drawn("mask", 0.0)
    figures["caption"] = _followed(bare, masks, source, truth) | _obeyed(bare, hues, grounds)
    for kind in config.kinds:
        video, alone = drawn(kind, 1.0), drawn(kind, 1.0, [""] * config.clips)
        figures[kind] = _followed(video, masks, source, truth) | _obeyed(video, hues, grounds)
        figures[kind]["alone"] = _followed(alone, masks, source, truth)
    by_strength = np.stack([dice(_read(drawn("mask", w)), masks) for w in config.strengths])
    if len(by_strength) > 1:
        means = by_strength.mean(1)
        figures["strength"] = {
            **{f"dice_at_{w:g}": mean(row) for w, row in zip(config.strengths, by_strength, strict=True)},
            "steps_that_rise": percent(np.diff(means) > 0),
        }
    return figures


def _followed(video: Video, masks: Mask, source: Video, truth: FactorTable) -> dict:
    found, read = _read(video), measure(video)
    away = np.linalg.norm(track(video) - track(source), axis=2)
    return {
        "dice": mean(dice(found, masks)),
        "boundary_f": mean(boundary_f(found, masks)),
        "shape_right": percent(read["shape"] == truth["shape"]),
        "centre_error": median(np.nan_to_num(np.nanmean(away, 1), nan=64.0)),
    }


def _obeyed(video: Video, hues: Sequence[str], grounds: Sequence[str]) -> dict:
    read = measure(video)

    def right(name: str, said: Sequence[str]) -> dict:
        return percent(h == h and hue_name(h) == word for h, word in zip(read[name], said, strict=True))

    return {"hue_obeyed": right("hue", hues), "background_obeyed": right("background_hue", grounds)}


def dice(made: Mask, truth: Mask) -> np.ndarray:
    """2 |A and B| / (|A| + |B|) of each clip's soft masks, over all frames."""
    both = 2 * torch.minimum(made, truth).sum((1, 2, 3, 4))
    return (both / (made + truth).sum((1, 2, 3, 4)).clamp(min=1e-6)).numpy()


def boundary_f(made: Mask, truth: Mask) -> np.ndarray:
    """F measure of the boundaries at a tolerance of one pixel (Martin et al. 2004)."""
    lines = [outline((mask > 0.5).float()) for mask in (made, truth)]

    def share(of: Tensor, near: Tensor) -> Tensor:
        return (of * dilate(near, 1)).sum((1, 2, 3, 4)) / of.sum((1, 2, 3, 4)).clamp(min=1)

    precision, recall = share(lines[0], lines[1]), share(lines[1], lines[0])
    return (2 * precision * recall / (precision + recall).clamp(min=1e-6)).numpy()


def _read(video: Video) -> Mask:
    return mask_of(video).nan_to_num(0)


if __name__ == "__main__":
    main(run)
