"""Provenance: what made a result, saved beside it, so that it can be made again and checked."""

from __future__ import annotations

import json
import math
import platform
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from latentlab.checks import clear_errors
from latentlab.shapes import Video
from latentlab.store import digest, write_text

PACKAGES = ("latentlab", "torch", "numpy", "scikit-learn", "open-clip-torch", "av")


@dataclass
class Record:
    """Everything needed to repeat a result and to see whether it came out the same.

    Attributes:
        command: what was run, as a command line or a call.
        settings: its arguments.
        seed: of all randomness.
        device: that computed it.
        threads: of the processor. Another number changes the order of sums, and with it last digits of a sampled clip
            and a few of its 8-bit values; so does the number of clips that are computed together.
        weights: SHA-256 of the generator's weights.
        numbers: what was measured.
        frames: SHA-256 of the decoded frames of each clip, by name; of a file, of what it holds when it is read again,
            so that it is the hash by which the next command knows its source.
        versions, platform, made: of the software and machine, and when.
    """

    command: str
    settings: dict[str, Any]
    seed: int
    device: str
    weights: str
    numbers: dict[str, Any] = field(default_factory=dict)
    frames: dict[str, str] = field(default_factory=dict)
    threads: int = field(default_factory=torch.get_num_threads)
    versions: dict[str, str] = field(default_factory=lambda: _versions())
    platform: str = field(default_factory=platform.platform)
    made: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    def save(self, path: str | Path) -> None:
        """Writes the record as JSON, atomically."""
        write_text(path, to_json(asdict(self)) + "\n")


@clear_errors
def frame_hash(video: Video) -> str:
    """SHA-256 over the 8-bit frames of clips and their shape; files are not hashed, as encoders vary."""
    frames = video.detach().cpu().float().add(1).mul(127.5).round().clamp(0, 255).byte().contiguous()
    return digest(str(tuple(frames.shape)), frames.numpy())


def block_means(video: Video) -> Float[Tensor, "batch 3 frame 8 8"]:
    """Means of 8 x 8 blocks of each frame, in 8-bit levels: what is kept of frames to say how far others are away.

    >>> block_means(torch.zeros(1, 3, 2, 64, 64)).unique()
    tensor([127.5000])
    """
    levels = video.detach().cpu().float().clamp(-1, 1).add(1).mul(127.5)
    return F.adaptive_avg_pool3d(levels, (video.shape[2], 8, 8))


def to_json(result: Any) -> str:
    """Indented JSON; numbers that JSON does not have (nan, infinity) become null."""
    return json.dumps(_finite(result), indent=2, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
