"""Trains decoupled cross-attention to reference images: one frame of a clip says what its caption leaves open."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from tqdm.auto import tqdm

from latentlab.checks import clear_errors
from latentlab.generator.adapted import on
from latentlab.generator.native import NativeGenerator
from latentlab.generator.networks.reference import ReferenceNetwork, looked_at
from latentlab.store import short_digest
from latentlab.tensors import read_tensors, write_tensors
from latentlab.train.beside import Lessons
from latentlab.train.clip_model import CaptionedClips
from latentlab.train.identity import data_identity
from latentlab.train.loop import Tracker
from latentlab.train.settings_beside import ReferenceTraining
from latentlab.weights import fingerprint

SHARD = 256  # clips in a file
LOOKS = 2  # frames of each clip that are looked at


@clear_errors
def train_reference(
    generator: NativeGenerator,
    data: CaptionedClips,
    out: Path,
    config: ReferenceTraining | None = None,
    *,
    tracker: Tracker | None = None,
    encoded: Path | None = None,
) -> ReferenceNetwork:
    """Trains the network on the latents of `data` and writes `reference.safetensors` (float16) to `out`.

    Each clip's reference is one of its own frames, as the model's CLIP sees it. The loss is that of the denoiser, which
    stays as it is.

    Args:
        generator: whose denoiser is told.
        data: captioned clips.
        out: folder of the run; a run found there is resumed.
        config: settings.
        tracker: called with `(figures, step)`.
        encoded: folder of the encoded latents and embeddings, which runs may share; None is one in `out`.
    """
    config = config or ReferenceTraining()
    lessons = Lessons.of(generator, data, config, encoded or out / "latents")
    clip_model, seed = generator.clip_model, config.loop.seed
    seen = look_at_all(generator, data, len(lessons.latents), lessons.folder, seed)

    def told(rng: np.random.Generator, picks: np.ndarray) -> dict[str, Tensor]:
        shown = torch.from_numpy(rng.random(len(picks)) >= config.image_dropout).float()
        return {"image": seen[picks, rng.integers(LOOKS, size=len(picks))], "shown": shown}

    return lessons.train(
        lambda denoiser: ReferenceNetwork(denoiser, clip_model.config.embed_dim, config.tokens),
        told,
        lambda network, batch: on(network.updates([batch["image"]], [batch["shown"]])),
        out / "reference.safetensors",
        about={"clip_model": fingerprint(clip_model)[:16]},
        tracker=tracker,
    )


@torch.inference_mode()
def look_at_all(
    generator: NativeGenerator, data: CaptionedClips, count: int, folder: Path, seed: int
) -> Float[Tensor, "clip look embedding"]:
    """What CLIP sees in some frames of the first `count` clips, kept in shards so that a killed run goes on."""
    key = f"seen-{fingerprint(generator.clip_model)[:16]}-{short_digest(data_identity(data))}-{seed}"
    found = []
    for first in tqdm(range(0, count, SHARD), desc="looking at frames", unit_scale=SHARD, disable=None):
        rows = range(first, min(count, first + SHARD))
        path = folder / f"{key}-{rows.start:08d}-{rows.stop:08d}.safetensors"
        if not path.exists():
            shard = []
            for i in rows:
                frames = np.random.default_rng([seed, 6, i]).choice(
                    data.num_frames, LOOKS, replace=data.num_frames < LOOKS
                )
                clip = data.clip(i, seed=seed)[:, :, torch.from_numpy(frames)]
                shard.append(looked_at(generator, clip.permute(2, 1, 0, 3, 4)).cpu())
            write_tensors(path, "seen", {}, {"seen": torch.stack(shard)})
        found.append(read_tensors(path, "seen", "embedded frames")[0]["seen"])
    return torch.cat(found)
