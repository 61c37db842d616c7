"""Clips that flicker in a part of the frame, flash, or lose the order of their frames: rows of `temporal.py`."""

from __future__ import annotations

import statistics
from pathlib import Path

import torch
from torch import Tensor

from latentlab.metrics.temporal import flicker
from latentlab.video import read

LEVEL = 1 / 127.5  # one 8-bit level in units of video
# real clips, and a frame from which something moves: the first 150 frames of bottle_detection stand still
UNSTEADY = {"car_turn": 0, "wolf": 0, "bottle_detection": 340}


def disordered(clips: list[Tensor], how: str) -> dict[str, list[float]]:
    """Of 40 frames, some swapped or doubled: motion_jitter must rise, the colours stay below twice the clean."""
    readings = {name: [] for name in ("motion_jitter", "overall", "regional", "texture")}
    for count in (0, 1, 2, 4, 8):
        order = list(range(40))
        for i in range(3, 3 + 4 * count, 4):
            order[i], order[i + 1] = (order[i + 1], order[i]) if how == "swapped" else (order[i], order[i])
        measured = [flicker(clip[:, :, order]) for clip in clips]
        for name, row in readings.items():
            row.append(round(statistics.median(float(getattr(f, name)) for f in measured), 3))
    return readings


def flashing(clips: list[Tensor]) -> dict[str, list[float]]:
    """One frame, and every fifth, brighter by 0 to 100 levels: the jitter must rise, and none be taken for a cut."""
    readings = {}
    for name, frames in (("one frame", [9]), ("every fifth", [4, 9, 14])):
        for component in ("overall", "whole"):
            readings[f"{name}: {component}"] = []
        for levels in (0, 5, 10, 21, 25, 50, 100):
            brighter = torch.zeros(clips[0].shape[2])
            brighter[frames] = levels * LEVEL
            measured = [flicker((clip + brighter.view(1, 1, -1, 1, 1)).clamp(-1, 1)) for clip in clips]
            for component in ("overall", "whole"):
                reading = statistics.median(float(getattr(f, component)) for f in measured)
                readings[f"{name}: {component}"].append(round(reading, 2))
    return readings


def of_a_part(clips: list[Tensor], levels: float = 10.0) -> dict[str, list[float]]:
    """Equal jitter on a patch: overall must rise with the share of the frame, and never be under regional."""
    readings: dict[str, list[float]] = {"overall": [], "regional": [], "whole": []}
    for share in (0.1, 0.3, 0.45, 0.55):
        measured = []
        for clip in clips:
            side = round(clip.shape[4] * share**0.5)
            jitter = torch.randn(clip.shape[2], generator=torch.Generator().manual_seed(3))
            shaken = 0.9 * clip
            shaken[..., 12 : 12 + side, 6 : 6 + side] += levels * LEVEL * jitter.view(1, 1, -1, 1, 1)
            measured.append(flicker(shaken.clamp(-1, 1)))
        for name, row in readings.items():
            row.append(round(statistics.median(float(getattr(f, name)) for f in measured), 2))
    return readings


def blinking(clips: list[Tensor]) -> dict[str, float]:
    """The middle quarter is black and white by turns: the least reading over clips."""
    measured = []
    for clip in clips:
        height, width = clip.shape[3:]
        blinks = clip.clone()
        middle = blinks[..., height // 4 : 3 * height // 4, width // 4 : 3 * width // 4]
        middle[:, :, ::2], middle[:, :, 1::2] = 1, -1
        measured.append(flicker(blinks))
    return {name: round(min(float(getattr(f, name)) for f in measured), 2) for name in ("overall", "regional")}


def unsteady(folder: Path) -> dict[str, dict[str, float]]:
    """Of 20 frames of real clips, two doubled, swapped or dropped."""
    found = {}
    for name, start in UNSTEADY.items():
        clip = read(folder / f"{name}.mp4", start=start, stop=start + 20).video
        order = list(range(20))
        orders = {"own": order, "doubled": order.copy(), "swapped": order.copy()}
        for i in (6, 13):
            orders["doubled"][i] = i - 1
            orders["swapped"][i : i + 2] = i + 1, i
        orders["dropped"] = [t for t in order if t not in (6, 13)]
        read_of = {how: float(flicker(clip[:, :, frames]).motion_jitter) for how, frames in orders.items()}
        found[f"{name} from {start}"] = {"own": round(read_of["own"], 3)} | {
            how: round(value / read_of["own"], 2) for how, value in read_of.items() if how != "own"
        }
    return found


def as_they_are(folder: Path) -> dict[str, dict[str, float]]:
    """The first 20 frames of every real clip."""
    names = ("overall", "whole", "regional", "texture", "motion_jitter", "coverage")
    found = {path.stem: flicker(read(path, stop=20).video) for path in sorted(folder.glob("*.mp4"))}
    return {name: {n: round(float(getattr(f, n)), 3) for n in names} for name, f in found.items()}
