"""Is a denoiser that is killed at random moments of its training, while it draws sample grids, the same in the end?

    python benchmarks/kills.py [--kills 20] [--steps 10] [--seed 0]

A tiny network on clips of moving shapes. Each run is killed (SIGKILL) after so many steps and a part of one, drawn
anew each time, and begun again; its weights, their mean, its log but for seconds, the file and all grids are held
against those of a run that nobody disturbed. So are the weights of a run without grids.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from latentlab.bench.flags import main
from latentlab.data.moving.dataset import MovingShapes
from latentlab.generator.autoencoder import Autoencoder, AutoencoderConfig
from latentlab.generator.denoiser import DenoiserConfig
from latentlab.generator.generator import GeneratorConfig
from latentlab.generator.load import load_clip
from latentlab.generator.native import NativeGenerator
from latentlab.train.denoiser import DenoiserTraining, train_denoiser
from latentlab.train.grid import save_grid
from latentlab.train.loop import LoopConfig
from latentlab.train.runs import PREVIEW
from latentlab.weights import shipped

ALONE = True
NETWORK = DenoiserConfig(2, 128, (16, 16), 1, head_width=8, window=16, frame_patch=2)


@dataclass(frozen=True)
class Config:
    """How often, and how long the run is."""

    kills: int = 20
    steps: int = 10
    seed: int = 0


class Rendered(MovingShapes):
    """Clips that are drawn once."""

    def __init__(self, count: int) -> None:
        super().__init__(count, seed=0)
        self.videos = [MovingShapes.clip(self, i) for i in range(count)]

    def clip(self, index: int, *, seed: int = 0, frames: list[int] | None = None) -> torch.Tensor:
        return self.videos[index] if frames is None else self.videos[index][:, :, frames]


def run(config: Config) -> dict[str, Any]:
    """Kills and counts."""
    data, rng = Rendered(4), np.random.default_rng(config.seed)
    torch.manual_seed(config.seed)
    autoencoder = Autoencoder(AutoencoderConfig(2, (8, 8, 8), (1, 1, 1), (1, 1, 1)))
    with shipped() as folder:
        clip = load_clip(folder)

    def train(out: Path, sample_every: int = 2) -> None:
        loop = LoopConfig(
            steps=config.steps, batch_size=2, save_every=3, sample_every=sample_every, warmup=2, seed=3, workers=0
        )

        def sample(network: Any, step: int) -> None:
            video = NativeGenerator(autoencoder, network, clip, GeneratorConfig()).generate(PREVIEW[0], num_steps=1)
            save_grid(out / "samples" / f"{step:07d}.png", video[:, :, ::3], columns=1)

        torch.manual_seed(config.seed)
        settings = DenoiserTraining(loop, NETWORK, clips=len(data))
        train_denoiser(
            data, autoencoder, clip, out, settings, device="cpu", sample=sample, encoded=out.parent / "latents"
        )

    with tempfile.TemporaryDirectory() as folder:
        whole, plain = Path(folder, "whole"), Path(folder, "plain")
        began = time.perf_counter()
        finished(train, whole)
        seconds = (time.perf_counter() - began) / config.steps
        finished(train, plain, config.steps + 1)
        runs = []
        for i in tqdm(range(config.kills), desc="kills"):
            out, steps, part = Path(folder, str(i)), int(rng.integers(config.steps)), float(rng.random())
            child = started(train, out)
            while len(log(out)) < steps:
                time.sleep(0.002)
            time.sleep(part * seconds)
            os.kill(child, signal.SIGKILL)
            killed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
            after = len(log(out))
            finished(train, out)
            runs.append({"killed": killed, "after_steps": after, "different": differences(out, whole)})
        grids = differences(plain, whole)
    return {
        "killed": sum(one["killed"] for one in runs),
        "equal": sum(not one["different"] for one in runs),
        "weights_are_those_without_grids": not {"model", "ema", "file"} & set(grids),
        "runs": runs,
    }


def started(work: Any, *arguments: Any) -> int:
    """The process that does it."""
    if child := os.fork():
        return child
    try:
        with open(os.devnull, "w") as sys.stderr:  # no bars
            work(*arguments)
        os._exit(0)
    except BaseException as error:  # of a child, which may not go on in the parent's place
        print(f"{type(error).__name__}: {error}", flush=True)
        os._exit(1)


def finished(work: Any, *arguments: Any) -> None:
    """Does it in a process of its own."""
    if code := os.waitstatus_to_exitcode(os.waitpid(started(work, *arguments), 0)[1]):
        raise SystemExit(f"a training that nobody killed ended with {code}")


def log(out: Path) -> list[dict[str, Any]]:
    """Rows of the log so far, without seconds; a row half written is none."""
    rows = (out / "log.jsonl").read_text().split("\n")[:-1] if (out / "log.jsonl").exists() else []
    return [{name: value for name, value in json.loads(row).items() if name != "seconds"} for row in rows]


def differences(one: Path, other: Path) -> list[str]:
    """What of two runs is not equal to the bit."""
    parts = [ends(out) for out in (one, other)]
    return [name for name in parts[0] if parts[0][name] != parts[1][name]]


def ends(out: Path) -> dict[str, Any]:
    """All that a run leaves, as bytes."""
    state = torch.load(out / "checkpoint.pt", weights_only=True)
    weights = {name: {k: v.numpy().tobytes() for k, v in state[name].items()} for name in ("model", "ema")}
    grids = {path.name: path.read_bytes() for path in sorted((out / "samples").glob("*.png"))}
    return {**weights, "log": log(out), "file": (out / "denoiser.safetensors").read_bytes(), "grids": grids}


if __name__ == "__main__":
    main(run)
