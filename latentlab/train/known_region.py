"""Trains what a denoiser is told of known latents: keyframes, halves, boxes and holes, drawn at random.

Of moving shapes one scene in three is empty, so that a hole can be filled by nothing: this is how things are removed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from latentlab.checks import Natural, Seed, clear_errors
from latentlab.data.moving.dataset import MovingShapes
from latentlab.generator.adapted import on
from latentlab.generator.native import NativeGenerator
from latentlab.generator.networks.known_region import KnownRegionNetwork
from latentlab.shapes import Mask
from latentlab.train.beside import Lessons
from latentlab.train.clip_model import CaptionedClips
from latentlab.train.loop import Tracker
from latentlab.train.settings_beside import KnownRegionTraining

# What is free, and how often it is asked for.
KINDS = {
    "all": 0.1, "first": 0.15, "first and last": 0.1, "keyframes": 0.1, "first half": 0.1, "side": 0.1, "box": 0.15,
    "moving box": 0.1, "all but a box": 0.1,
}  # fmt: skip


class SomeEmpty(MovingShapes):
    """Moving shapes of which one scene in three is empty, in the words of a model that knows one object alone.

    >>> clips = SomeEmpty(100, seed=1)
    >>> [clips.caption(i) for i in (3, 19)]
    ['on a green background', 'on a blue background']
    """

    def __init__(self, count: int, seed: Seed = 0) -> None:
        super().__init__(count, seed, objects=(0, 1, 1))

    @clear_errors
    def caption(self, index: Natural, *, seed: Seed = 0) -> str:
        """One wording; an empty scene is told by its background, as such a model has no word for nothing."""
        return super().caption(index, seed=seed).removeprefix("nothing").strip()


@clear_errors
def train_known_region(
    generator: NativeGenerator,
    data: CaptionedClips,
    out: Path,
    config: KnownRegionTraining | None = None,
    *,
    tracker: Tracker | None = None,
    encoded: Path | None = None,
) -> KnownRegionNetwork:
    """Trains on the latents of `data` and writes `known_region.safetensors` (float16) to `out`.

    The loss is that of the denoiser, over all latents, with states as a run has them: those that are known are noised
    as the others are, and what they are is told beside.

    Args:
        generator: whose denoiser is told; it stays as it is.
        data: captioned clips.
        out: folder of the run; a run found there is resumed.
        config: settings.
        tracker: called with `(figures, step)`.
        encoded: folder of the encoded latents, which runs may share; None is one in `out`.
    """
    config = config or KnownRegionTraining()
    lessons = Lessons.of(generator, data, config, encoded or out / "latents")
    shape = lessons.latents.shape[2:]
    return lessons.train(
        lambda denoiser: KnownRegionNetwork(denoiser, config.rank),
        lambda rng, picks: {"free": torch.stack([random_free(rng, shape) for _ in picks])},
        lambda network, batch: on(network.updates(batch["latents"], batch["free"])),
        out / "known_region.safetensors",
        tracker=tracker,
    )


def random_free(rng: np.random.Generator, shape: tuple[int, ...]) -> Mask:
    """What is free, 1, in one clip's latents `(1, frame, height, width)`, of a kind drawn from `KINDS`.

    >>> random_free(np.random.default_rng(0), (16, 8, 8)).shape
    torch.Size([1, 16, 8, 8])
    """
    kinds = list(KINDS)
    return free_of(kinds[rng.choice(len(kinds), p=np.array(list(KINDS.values())) / sum(KINDS.values()))], rng, shape)


def free_of(kind: str, rng: np.random.Generator, shape: tuple[int, ...]) -> Mask:
    """What is free of one kind: all; all but some frames, or a part of time or space; a box, still or moving, or
    all but one."""
    frames, height, width = shape
    free = torch.ones(1, *shape)
    if kind == "first":
        free[:, 0] = 0
    elif kind == "first and last":
        free[:, [0, -1]] = 0
    elif kind == "keyframes":
        free[:, rng.choice(frames, size=int(rng.integers(1, max(2, frames // 2))), replace=False)] = 0
    elif kind == "first half":
        free[:, : int(rng.integers(1, max(2, frames)))] = 0
    elif kind == "side":
        across, cut = int(rng.integers(2)), float(rng.uniform(0.25, 0.75))
        length = (height, width)[across]
        known = range(round(cut * length)) if rng.random() < 0.5 else range(round(cut * length), length)
        free.index_fill_(2 + across, torch.tensor(list(known), dtype=torch.long), 0)
    elif kind in ("box", "moving box", "all but a box"):
        size = rng.uniform(0.25, 0.75, 2)
        start, end = rng.uniform(0, 1 - size, (2, 2))
        end = end if kind == "moving box" else start
        inside = torch.zeros(1, *shape)
        for frame in range(frames):
            at = start + (end - start) * frame / max(1, frames - 1)
            top, left = (round(a * n) for a, n in zip(at, (height, width), strict=True))
            high, wide = (max(1, round(a * n)) for a, n in zip(size, (height, width), strict=True))
            inside[:, frame, top : top + high, left : left + wide] = 1
        free = 1 - inside if kind == "all but a box" else inside
    return free
