"""Trains a slider: an adapter whose strength moves one factor of what is drawn (Gandikota et al. 2023).

From captions, "small" to "large", the velocity under one that leaves it open learns to lead from the one to the other,

    v_k(y, c) = v(y, c) + k push / 2 (v(y, c_large) - v(y, c_small)),      k in [-1, 1]       (eq. 7 there, both ways)

on clips that the model drew itself; k is the adapter's strength, and no clip of the data is needed. From clips of which
the factor is known, the velocity at strength k learns those that lie k standard deviations from the mean; where nothing
but the factor differs between levels, both see the same noise, and what they have in common leaves the gradient.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from latentlab.checks import clear_errors
from latentlab.generator.adapter import Adapter, base_of
from latentlab.generator.generator import Generator
from latentlab.shapes import Latents
from latentlab.train.drawn import drawn_latents
from latentlab.train.lessons import Graded, Opposites
from latentlab.train.loop import Batch, Tracker, device_for_training, is_main_process, train
from latentlab.train.settings_beside import SliderTraining
from latentlab.train.tuned import Tuned, Updates, denoiser_of, error, noised, velocities
from latentlab.weights import fingerprint


@clear_errors
def train_slider(
    generator: Generator,
    lesson: Opposites | Graded,
    out: Path,
    config: SliderTraining | None = None,
    *,
    tracker: Tracker | None = None,
) -> Adapter:
    """Trains an adapter and writes `adapter.safetensors` to `out`; the generator stays as it is.

    Args:
        generator: the base, on the device to train on; its denoiser, of a pipeline the first, is what is adapted.
        lesson: what to learn from.
        out: folder of the run; a run found there is resumed.
        config: settings.
        tracker: called with `(figures, step)`.

    Raises:
        ValueError: captions with words that the model does not know, a rank above the width of every layer.
    """
    config = config or SliderTraining()
    where = device_for_training(str(generator.device))
    network, role = denoiser_of(generator)
    for part in generator.adaptable.values():  # frozen from the first step on: attention rounds otherwise under grad
        part.eval().requires_grad_(False)
    with torch.no_grad():
        learning = _Led(generator, lesson, out, config) if isinstance(lesson, Opposites) else _Shown(generator, lesson)
    updates = Updates("lora", None, config.rank, config.alpha, config.target, config.loop.seed)
    model = Tuned(generator, updates, learning.captions)

    def make_batch(step: int) -> Batch:
        return learning.batch(np.random.default_rng([config.loop.seed, step]), config)

    def loss(net: nn.Module, batch: Batch, rng: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        ways = learning.ways(model, batch, rng, config)
        errors = [error(network, net(y, s, said, k), target, s) for y, s, said, k, target in ways]
        return torch.stack(errors).mean(), {}

    settings = {name: value for name, value in asdict(config).items() if name != "loop"}
    about = {**settings, **learning.about, "lesson": lesson.identity, "base": fingerprint(network)[:16]}
    trained = train(model, make_batch, loss, config.loop, out, device=where, about=about, tracker=tracker)
    header = {"kind": "slider", **settings, "slider": learning.about, "base": {role: base_of(network)}}
    adapter = trained.adapter(header, name=out.name)
    if is_main_process():
        adapter.save(out / "adapter.safetensors")
    return adapter


Way = tuple[Latents, Tensor, Tensor, float, Latents]  # states, flow times, captions, strength, the velocity wanted


class _Led:
    """From captions: the base's own velocities say where to."""

    def __init__(self, generator: Generator, lesson: Opposites, out: Path, config: SliderTraining) -> None:
        for text in {text for row in lesson.captions for text in row}:
            generator.condition(text)  # a word that the model does not know is told before the work
        self.generator, self.rows = generator, len(lesson.captions)
        self.push = float(generator.config.guidance if config.push is None else config.push)
        ends = [lesson.captions[i % self.rows][1 + i // self.rows % 2] for i in range(config.clips)]
        self.clean = drawn_latents(generator, ends, out, config.loop.seed)
        self.captions = [*(text for row in lesson.captions for text in row), ""]
        self.about = {"from": lesson.first, "to": lesson.second, "unit": "as trained"}

    def batch(self, rng: np.random.Generator, config: SliderTraining) -> Batch:
        picks = rng.integers(len(self.clean), size=config.loop.batch_size)
        row = 3 * (picks % self.rows)
        dropped = rng.random(len(picks)) < config.caption_dropout
        numbers = {"said": np.where(dropped, len(self.captions) - 1, row), "first": row + 1, "second": row + 2}
        strength = np.full(len(picks), rng.uniform(config.weakest, 1.0), np.float32)
        found = {name: torch.from_numpy(value) for name, value in {**numbers, "strength": strength}.items()}
        return {"clean": self.clean[picks], **found}

    def ways(self, model: Tuned, batch: Batch, rng: torch.Generator, config: SliderTraining) -> list[Way]:
        y, _, s = noised(batch["clean"], rng, config.level_mean, config.level_spread)
        with torch.no_grad():
            said, first, second = (
                velocities(self.generator, y, s, model.base.told(batch[name])) for name in ("said", "first", "second")
            )
        k, lead = float(batch["strength"][0]), self.push / 2 * (second - first)
        return [(y, s, batch["said"], way * k, said + way * k * lead) for way in (1, -1)]


class _Shown:
    """From clips: a level as far below the mean as its strength says, and the one as far above."""

    def __init__(self, generator: Generator, lesson: Graded) -> None:
        self.clean = torch.stack([generator.encode(row).cpu() for row in lesson.video])
        self.levels, self.each = self.clean.shape[:2]
        self.strengths = lesson.strengths
        self.captions = [*(text for row in lesson.captions for text in row), ""]
        for text in set(self.captions):
            generator.condition(text)
        self.about = {"factor": lesson.target, "unit": f"standard deviations of {lesson.target}"}

    def batch(self, rng: np.random.Generator, config: SliderTraining) -> Batch:
        low = int(rng.integers(self.levels // 2))
        picks = rng.integers(self.each, size=config.loop.batch_size)
        dropped = rng.random(len(picks)) < config.caption_dropout
        found: Batch = {}
        for name, level in (("low", low), ("high", self.levels - 1 - low)):
            said = np.where(dropped, len(self.captions) - 1, level * self.each + picks)
            found |= {name: self.clean[level, picks], f"{name}_said": torch.from_numpy(said)}
            found[f"{name}_strength"] = torch.full((len(picks),), self.strengths[level])
        return found

    def ways(self, model: Tuned, batch: Batch, rng: torch.Generator, config: SliderTraining) -> list[Way]:
        y, v, s = noised(batch["low"], rng, config.level_mean, config.level_spread)
        apart = batch["high"] - batch["low"]  # under the same noise
        higher = y + (1 - s[:, None, None, None, None]) * apart
        ends = ("low", y, v), ("high", higher, v - apart)
        return [(y, s, batch[f"{name}_said"], float(batch[f"{name}_strength"][0]), v) for name, y, v in ends]
