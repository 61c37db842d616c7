"""Trains a control branch: masks, sketches, boxes, flow, classes and depth of clips, each left out at random."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from latentlab.checks import clear_errors
from latentlab.data.moving.controls import DrawnControls, controls
from latentlab.data.moving.factors import SHAPES
from latentlab.generator.native import NativeGenerator
from latentlab.generator.networks.control import KINDS, ControlNetwork, one_hot
from latentlab.store import short_digest
from latentlab.tensors import read_tensors, write_tensors
from latentlab.train.beside import Lessons
from latentlab.train.clip_model import CaptionedClips
from latentlab.train.identity import data_identity
from latentlab.train.loop import Tracker
from latentlab.train.settings_beside import ControlTraining

SHARD = 256  # clips in a file
KEPT, ALONE = 0.5, 0.5  # chance of a kind to be given; share of the clips that are given one kind


class DrawnClips(CaptionedClips, Protocol):
    """Captioned clips of which it is known where things are."""

    def drawn(self, index: int) -> DrawnControls:
        """Where the objects of a clip are."""
        ...


@clear_errors
def train_control(
    generator: NativeGenerator,
    data: DrawnClips,
    out: Path,
    config: ControlTraining | None = None,
    *,
    tracker: Tracker | None = None,
    encoded: Path | None = None,
) -> ControlNetwork:
    """Trains a branch on the latents of `data` and writes `control.safetensors` (float16) to `out`.

    The loss is that of the denoiser, which stays as it is.

    Args:
        generator: whose denoiser is told.
        data: captioned clips of which it is known where things are, such as moving shapes.
        out: folder of the run; a run found there is resumed.
        config: settings.
        tracker: called with `(figures, step)`.
        encoded: folder of the encoded latents and drawn controls, which runs may share; None is one in `out`.
    """
    config = config or ControlTraining()
    lessons = Lessons.of(generator, data, config, encoded or out / "latents")
    drawn = draw_all(data, len(lessons.latents), lessons.folder)
    ratio = generator.autoencoder.spatial_compression_ratio

    def told(rng: np.random.Generator, picks: np.ndarray) -> dict[str, Tensor]:
        given = np.stack([random_given(rng) for _ in picks])
        stroke = torch.full((len(picks),), int(rng.integers(2)))
        return {"given": torch.from_numpy(given), **drawn[picks].tensors(), "stroke": stroke}

    def on(network: ControlNetwork, batch: Mapping[str, Tensor]) -> AbstractContextManager[None]:
        places = DrawnControls(*(batch[name] for name in DrawnControls.__annotations__))
        pictures = controls(places, stroke=int(batch["stroke"][0]))
        pictures["classes"] = one_hot(pictures["classes"], len(SHAPES))
        return network.on(pictures, dict(zip(KINDS, batch["given"].unbind(1), strict=True)))

    return lessons.train(
        lambda denoiser: ControlNetwork(denoiser, ratio, len(SHAPES), config.rank),
        told, on, out / "control.safetensors", tracker=tracker,
    )  # fmt: skip


def random_given(rng: np.random.Generator) -> np.ndarray:
    """Which kinds a clip is given, 1 or 0 in the order of `KINDS`: one alone, or each at random, one at least.

    >>> bool(random_given(np.random.default_rng(0)).any())
    True
    """
    one = np.eye(len(KINDS), dtype=np.float32)[rng.integers(len(KINDS))]
    some = (rng.random(len(KINDS)) < KEPT).astype(np.float32)
    return one if rng.random() < ALONE else np.maximum(one, some)


def draw_all(data: DrawnClips, count: int, folder: Path) -> DrawnControls:
    """Where things are in the first `count` clips, kept in shards so that a killed run goes on where it was."""
    key, found = f"drawn-{short_digest(data_identity(data))}", []
    for first in tqdm(range(0, count, SHARD), desc="drawing controls", unit_scale=SHARD, disable=None):
        rows = range(first, min(count, first + SHARD))
        path = folder / f"{key}-{rows.start:08d}-{rows.stop:08d}.safetensors"
        if not path.exists():
            write_tensors(path, "drawn", {}, DrawnControls.cat([data.drawn(i) for i in rows]).tensors())
        found.append(DrawnControls(**read_tensors(path, "drawn", "drawn controls")[0]))
    return DrawnControls.cat(found)
