"""Does an image prompt carry hue and shape, and do caption, mask and image hold together?

    python benchmarks/image_prompt.py --reference runs/reference [--control runs/control] [--clips 64] [--model FOLDER]

The reference is the middle frame of a held-out clip. `image`: no caption, by weight of the image. `against`: a caption
of another shape and the opposite hue beside it, by weight: who is obeyed. `three`: the hue by the image, the shape by
the caption, the place by a mask that the control branch follows, as one `Fusion`; needs --control. Shapes and hues are
read back by `measure`; chance is a fifth and a sixth. `embedding`: what a linear reader finds of them in the image
tower's embedding, which is all that an image prompt hears; it learns on 0.7 of --seen other clips and reads the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from latentlab.bench.flags import main
from latentlab.bench.spread import percent
from latentlab.control import Control, Fusion, Given, ImagePrompt, read_control, read_reference
from latentlab.data import MovingShapes, measure
from latentlab.data.moving.captions import HUES, hue_name
from latentlab.data.moving.dataset import HELD_OUT_SEED
from latentlab.data.moving.factors import SHAPES
from latentlab.data.moving.measure import mask as mask_of
from latentlab.generator.generator import Generator
from latentlab.generator.load import load
from latentlab.generator.native import NativeGenerator
from latentlab.generator.networks.reference import looked_at
from latentlab.generator.sampler import DRAW
from latentlab.shapes import Video


@dataclass(frozen=True)
class Config:
    """What to measure.

    Args:
        reference: run of `latentlab train reference`.
        control: run of `latentlab train control`; none leaves `three` out.
        model: folder; None is the shipped one.
        clips: how many.
        weights: of the image.
        seen: clips for `embedding`.
        steps: of the solver.
        batch: clips at a time.
    """

    reference: str = "runs/reference"
    control: str = ""
    model: str | None = None
    clips: int = 64
    weights: tuple[float, ...] = (0.0, 0.5, 1.0, 2.0)
    seen: int = 500
    steps: int = 25
    batch: int = 8


def run(config: Config) -> dict:
    """Measures and returns the figures."""
    generator = load(config.model)
    if not isinstance(generator, NativeGenerator):
        raise SystemExit(f"image prompts belong to models of latentlab's own, got {type(generator).__name__}")
    network = read_reference(config.reference, generator)
    data = MovingShapes(config.clips, HELD_OUT_SEED)
    source, truth = torch.cat([data.clip(i) for i in range(config.clips)]), data.factors()
    image, masks = source[:, :, 8:9], torch.cat([data.mask(i) for i in range(config.clips)])
    shapes = [SHAPES[int(s)] for s in truth["shape"]]
    hues = [hue_name(h) for h in truth["hue"]]
    other = [
        (SHAPES[(SHAPES.index(s) + 2) % 5], HUES[(HUES.index(h) + 3) % 6]) for s, h in zip(shapes, hues, strict=True)
    ]

    def prompted(rows: slice, weight: float) -> Generator:
        return generator.guided(ImagePrompt(network, image[rows], weight)) if weight else generator

    def drawn(guided, said: Sequence[str]) -> Video:
        made = []
        for first in range(0, config.clips, config.batch):
            rows = slice(first, first + config.batch)
            noise = generator.noise(config.clips, seed=1)[rows]
            latents = guided(rows).sample(noise, list(said[rows]), sampler=DRAW.but(num_steps=config.steps))
            made.append(generator.decode(latents).cpu())
        return torch.cat(made)

    figures: dict = {"embedding": _embedded(generator, MovingShapes(config.seen, HELD_OUT_SEED + 1))}
    for weight in config.weights:
        alone = drawn(lambda rows, w=weight: prompted(rows, w), [""] * config.clips)
        figures[f"image, weight {weight:g}"] = {"shape": _shape(alone, shapes), "hue": _hue(alone, hues)}
        both = drawn(lambda rows, w=weight: prompted(rows, w), [f"a {hue} {shape}" for shape, hue in other])
        figures[f"against, weight {weight:g}"] = {
            "shape of the image": _shape(both, shapes),
            "shape of the caption": _shape(both, [shape for shape, _ in other]),
            "hue of the image": _hue(both, hues),
            "hue of the caption": _hue(both, [hue for _, hue in other]),
        }
    if config.control:
        branch, said = read_control(config.control, generator), [f"a {shape}" for shape, _ in other]

        def three(rows: slice) -> Generator:
            given = [
                Given(ImagePrompt(network, image[rows]), name="hue"),
                Given(Control(branch, {"mask": masks[rows]}), levels=(1, 0.5), name="place"),
            ]
            return generator.guided(Fusion(given))

        video = drawn(three, said)
        found = mask_of(video).nan_to_num(0)
        apart = _centres(found) - _centres(masks)
        figures["three"] = {
            "hue of the image": _hue(video, hues),
            "shape of the caption": _shape(video, [shape for shape, _ in other]),
            "place within 2 pixels": percent(np.linalg.norm(apart, axis=-1).mean(1) <= 2),
        }
    return figures


def _embedded(generator: NativeGenerator, data: MovingShapes) -> dict:
    """Shape and hue, read by a linear reader from what the image tower makes of the middle frames."""
    codes = torch.cat([looked_at(generator, data.clip(i)[:, :, 8:9]).cpu() for i in range(len(data))]).numpy()
    truth, learned = data.factors(), round(0.7 * len(data))
    labels = {"shape": [SHAPES[int(s)] for s in truth["shape"]], "hue": [hue_name(h) for h in truth["hue"]]}
    found = {}
    for name, said in labels.items():
        reader = LogisticRegression(C=10, max_iter=3000).fit(codes[:learned], said[:learned])
        found[name] = percent(reader.predict(codes[learned:]) == np.array(said[learned:]))
    return found


def _shape(video: Video, said: Sequence[str]) -> dict:
    read = measure(video)["shape"]
    return percent(s == s and SHAPES[int(s)] == word for s, word in zip(read, said, strict=True))


def _hue(video: Video, said: Sequence[str]) -> dict:
    return percent(h == h and hue_name(h) == word for h, word in zip(measure(video)["hue"], said, strict=True))


def _centres(masks: torch.Tensor) -> np.ndarray:
    """Of each frame, (x, y) in pixels."""
    mass = masks.sum((1, 3, 4)).clamp(min=1e-6)
    across, down = (torch.arange(side) + 0.5 for side in (masks.shape[4], masks.shape[3]))
    x, y = (masks.sum((1, 3)) * across).sum(-1) / mass, (masks.sum((1, 4)) * down).sum(-1) / mass
    return torch.stack([x, y], -1).numpy()


if __name__ == "__main__":
    main(run)
