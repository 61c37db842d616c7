"""How long does a clip hold together? Drift in the factors' own units, by the way its windows are joined.

Clips of one slow or resting shape, four times the model's own length and more; every window of the model's length is
read by `data.measure`. Drift is how far the first and the last differ in what should not change. A joint
jumps where the change from frame to frame at the windows' edges is larger than elsewhere. Memory is that above the
loaded model's while a clip of 64 frames and one of 1,024 are streamed to a file, each in a process of its own.

python benchmarks/long_clips.py [--clips 16] [--frames 64] [--windows keyframes,average,shuffled,pinned] [--no-memory]
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from latentlab.bench.flags import main
from latentlab.bench.spread import mean, median
from latentlab.control import stream
from latentlab.data import measure
from latentlab.generator.load import load
from latentlab.names import Joined
from latentlab.shapes import Video
from latentlab.video import write_parts

ALONE = True
WAYS: tuple[Joined, ...] = ("keyframes", "average", "shuffled", "pinned")


@dataclass(frozen=True)
class Config:
    """What to measure."""

    model: str | None = None
    clips: int = 16
    frames: int = 64
    num_steps: int = 25
    windows: tuple[str, ...] = WAYS
    memory: bool = True


def captions(count: int, seed: int = 0) -> list[str]:
    """Resting and slow shapes, in the words of the shipped model."""
    rng = np.random.default_rng([20, seed])
    said = []
    for i in range(count):
        hues = rng.choice(["red", "yellow", "green", "cyan", "blue", "magenta"], 2, replace=False)
        shape = rng.choice(["circle", "square", "triangle", "star", "cross"])
        motion = "resting" if i % 2 else f"moving {rng.choice(['left', 'right', 'up', 'down'])} slowly"
        said.append(f"a {rng.choice(['small', 'large'])} {hues[0]} {shape} {motion} on a {hues[1]} background")
    return said


def run(config: Config) -> dict:
    """Measures and returns the figures."""
    generator = load(config.model)
    own = generator.config.num_frames
    said = captions(config.clips)
    figures: dict[str, Any] = {"weights": generator.fingerprint()}
    single = generator.generate(said, num_steps=config.num_steps)
    figures["one window, first half to second"] = drift(single[:, :, : own // 2], single[:, :, own // 2 :])
    for windows in config.windows:
        clips = generator.generate(said, num_frames=config.frames, windows=windows, num_steps=config.num_steps)  # type: ignore[arg-type]
        figures[windows] = drift(clips[:, :, :own], clips[:, :, -own:]) | {"joints": joints(clips, own // 2)}
    if config.memory:
        figures["memory_1024_over_64"] = memory(1024) / memory(64)
    return figures


def drift(first: Video, last: Video) -> dict[str, Any]:
    """What changed from one part to another of what should not, means over clips with intervals."""
    a, b = measure(first.float().cpu()), measure(last.float().cpu())
    turn = {name: np.abs((b[name] - a[name] + 180) % 360 - 180) for name in ("hue", "background_hue")}
    size = 100 * np.abs(b["size"] / a["size"] - 1)
    seen = np.isfinite(a["shape"]) & np.isfinite(b["shape"])
    return {
        "hue_degrees": _mean(turn["hue"]),
        "size_percent": _mean(size),
        "background_degrees": _mean(turn["background_hue"]),
        "shape_kept": float(np.mean(a["shape"][seen] == b["shape"][seen])) if seen.any() else float("nan"),
        "read": float(seen.mean()),
    }


def _mean(values: np.ndarray) -> dict[str, Any]:
    return mean(torch.from_numpy(values[np.isfinite(values)]))


def joints(clips: Video, stride: int) -> dict[str, Any]:
    """Change from frame to frame where a window begins, over that elsewhere."""
    change = clips.float().diff(dim=2).pow(2).mean((1, 3, 4)).sqrt().cpu()
    edge = (torch.arange(1, clips.shape[2]) % stride) == 0
    return median((change[:, edge].mean(1) / change[:, ~edge].mean(1).clamp(min=1e-6)).double())


def memory(frames: int) -> int:
    """Largest bytes above those of the loaded model while a clip is streamed to a file, in a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--stream", str(frames), str(Path(folder) / "long.mp4")]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def streamed(frames: int, path: str) -> None:
    """Streams a clip in few steps and prints the peak of memory above that after a clip of the model's own length."""
    generator = load()
    caption = captions(1)[0]
    write_parts(path, stream(generator, caption, generator.config.num_frames, num_steps=1))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    loaded = _resident_after_load(before)
    write_parts(path, stream(generator, caption, frames, num_steps=1))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - loaded)


def _resident_after_load(peak_kb: int) -> int:
    """Bytes of this process now; on systems without /proc, those of its peak."""
    status = Path("/proc/self/statm")
    return int(status.read_text().split()[1]) * resource.getpagesize() if status.exists() else peak_kb * 1024


if __name__ == "__main__":
    if sys.argv[1:2] == ["--stream"]:
        streamed(int(sys.argv[2]), sys.argv[3])
    else:
        main(run)
