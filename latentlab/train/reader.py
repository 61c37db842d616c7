"""Trains the reader of moving shapes."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentlab.data.moving.dataset import MovingShapes
from latentlab.data.moving.reader import FRAMES, Reader, scene_targets, targets
from latentlab.train.identity import data_identity
from latentlab.train.loop import Tracker, device_for_training, is_main_process, train
from latentlab.train.settings import ReaderTraining
from latentlab.weights import save_weights


def train_reader(
    data: MovingShapes,
    out: Path,
    config: ReaderTraining | None = None,
    *,
    device: str = "auto",
    tracker: Tracker | None = None,
) -> Reader:
    """Trains on exact renders and writes `reader.safetensors` to `out`."""
    config = config or ReaderTraining()
    torch.manual_seed(config.loop.seed)
    frames = [round(i * (data.num_frames - 1) / (FRAMES - 1)) for i in range(FRAMES)]

    def make_batch(step: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([config.loop.seed, step])
        picks = [int(i) for i in rng.integers(len(data), size=config.loop.batch_size)]
        if config.network.objects == 1:
            wanted = targets(torch.from_numpy(data.sampler.table(picks).values).float())
        else:
            wanted = scene_targets([data.scene(i) for i in picks]).float()
        return {"video": torch.cat([data.clip(i, frames=frames) for i in picks]), "targets": wanted}

    def loss(net: nn.Module, batch: dict[str, Tensor], generator: torch.Generator):
        video = batch["video"]
        video = video + config.noise * torch.randn(video.shape, generator=generator, device=video.device)
        said, wanted = net(video), batch["targets"]
        known = wanted.isfinite()
        shape, right = torch.zeros((), device=said.device), []
        numbers = known.clone()
        for choice in model.choices:
            rows, numbers[:, choice] = known[:, choice.start], False
            scores, truth = said[rows, choice], wanted[rows, choice].argmax(1)
            shape = shape + F.cross_entropy(scores, truth, reduction="sum") / len(said)
            right.append(scores.argmax(1) == truth)
        rest = F.mse_loss(said[numbers], wanted[numbers])
        return shape + 4 * rest, {"accuracy": torch.cat(right).float().mean(), "factor_error": rest.detach()}

    where = device_for_training(device)
    about = {"data": data_identity(data), "network": asdict(config.network), "noise": config.noise}
    model = Reader(config.network)
    trained = train(model, make_batch, loss, config.loop, out, device=where, about=about, tracker=tracker)
    if is_main_process():
        save_weights(out / "reader.safetensors", trained, asdict(config.network))
    return trained
