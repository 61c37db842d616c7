"""Clips that a model draws itself before its training begins, once a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from latentlab.generator.generator import Generator
from latentlab.shapes import Latents
from latentlab.store import digest
from latentlab.tensors import read_tensors, write_tensors
from latentlab.train.loop import is_main_process


def drawn_latents(generator: Generator, captions: Sequence[str], out: Path, seed: int) -> Latents:
    """Latents under captions, `(caption, channel, frame, height, width)` on the CPU, kept in the folder of the run."""
    file = out / f"drawn-{digest(generator.fingerprint(), str(seed), *captions)[:16]}.safetensors"
    if file.exists():
        return read_tensors(file, "drawn", "clips of the base")[0]["latents"]
    told: dict[str, Any] = {"num_steps": 25, "method": "ddim", "guidance": generator.config.guidance}
    noise = generator.noise(len(captions), seed=seed)
    latents = generator.sample(noise, list(captions), progress="clips of the base", **told).cpu()
    if is_main_process():  # under torchrun each draws them, the same ones, and one keeps them
        write_tensors(file, "drawn", {"captions": list(captions)}, {"latents": latents})
    return latents
