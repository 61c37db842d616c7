"""Trains the CLIP model: each clip should be nearest its own caption in the batch, and the other way round."""

from __future__ import annotations

import copy
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import UInt8
from torch import Tensor, nn
from tqdm.auto import tqdm

from latentlab.generator.clip_model import ClipConfig, ClipModel, four_frames
from latentlab.train.autoencoder import ClipSource
from latentlab.train.identity import data_identity
from latentlab.train.loop import Tracker, device_for_training, is_main_process, train
from latentlab.train.settings import ClipTraining
from latentlab.weights import fingerprint, save_weights


class CaptionedClips(ClipSource, Protocol):
    """Clips that also have captions."""

    def caption(self, index: int, *, seed: int = 0) -> str:
        """One caption of a clip."""
        ...


def train_clip(
    data: CaptionedClips,
    vocabulary: list[str],
    out: Path,
    config: ClipTraining | None = None,
    *,
    start: ClipModel | None = None,
    device: str = "auto",
    tracker: Tracker | None = None,
) -> ClipModel:
    """Trains both towers on captioned clips and writes `clip.safetensors` to `out`.

    Args:
        data: captioned clips.
        vocabulary: every word of the captions.
        out: folder of the run; a run found there is resumed.
        config: settings.
        start: a model to go on from; its tokens stay as they are, so a denoiser that they condition needs no training.
        device: "auto", "cpu", "cuda", ...
        tracker: called with `(figures, step)`.

    Returns:
        The trained model.

    Raises:
        ValueError: `start` does not know every word.
    """
    config = config or ClipTraining()
    torch.manual_seed(config.loop.seed)
    w = config.width
    shape = ClipConfig(tuple(vocabulary), config.context_length, embed_dim=w, width=w, frame_size=data.size[0])
    model = ClipModel(shape) if start is None else continued(start, vocabulary)
    shape = model.config
    sheets = draw_sheets(data, min(config.clips, len(data)), shape.frame_size, config.loop.seed)

    def make_batch(step: int) -> dict[str, torch.Tensor]:
        rng = np.random.default_rng([config.loop.seed, step])
        picks = rng.integers(len(sheets), size=config.loop.batch_size)
        numbers = model.tokenize([data.caption(int(i), seed=step) for i in picks])
        return {"sheet": sheets[picks], "numbers": numbers}

    def loss(net: nn.Module, batch: dict[str, Tensor], generator: torch.Generator):
        image, text, scale = net(batch["sheet"].float() / 127.5 - 1, batch["numbers"])
        logits = scale * image @ text.T
        own = torch.arange(len(logits), device=logits.device)
        value = 0.5 * (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own))
        return value, {"accuracy": (logits.argmax(1) == own).float().mean()}

    about = {"data": data_identity(data), "clips": config.clips, "network": asdict(shape)}
    about["start"] = start and fingerprint(start)[:16]
    where = device_for_training(device)
    trained = train(model, make_batch, loss, config.loop, out, device=where, about=about, tracker=tracker)
    if is_main_process():
        save_weights(out / "clip.safetensors", trained, trained.header())
    return trained


def continued(start: ClipModel, vocabulary: list[str]) -> ClipModel:
    """A copy that learns all but the tokens of captions: the vision tower, and what each tower shows of itself."""
    if missing := sorted(set(vocabulary) - set(start.config.vocabulary)):
        raise ValueError(f"the model to go on from does not know {', '.join(missing)}; train one from the start")
    model = copy.deepcopy(start).train().requires_grad_(True)
    towers = model.towers
    for part in (towers.token_embedding, towers.transformer, towers.ln_final):
        part.requires_grad_(False)
    towers.positional_embedding.requires_grad_(False)
    return model


def draw_sheets(data: CaptionedClips, count: int, frame_size: int, seed: int) -> UInt8[Tensor, "clip 3 side side"]:
    """Contact sheets of the first `count` clips: drawing a clip takes longer than a step on it."""
    last = data.num_frames - 1
    frames = [round(i * last / 3) for i in range(4)]
    sheets = torch.empty(count, 3, 2 * frame_size, 2 * frame_size, dtype=torch.uint8)
    for i in tqdm(range(count), desc="contact sheets", disable=not is_main_process() or None):
        sheet = four_frames(data.clip(i, seed=seed, frames=frames), frame_size)
        sheets[i] = (127.5 * (sheet[0] + 1)).round()
    return sheets
