"""How accurately does `measure` read the factors back, from exact renders and from noisy ones? And `measure_scenes`?

python benchmarks/measure_accuracy.py [--only one,scenes] [--count 512]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from latentlab.bench.flags import main
from latentlab.data.moving.captions import hue_name
from latentlab.data.moving.dataset import HELD_OUT_SEED, moving_shapes
from latentlab.data.moving.factors import SHAPES
from latentlab.data.moving.measure import angle_difference, measure
from latentlab.data.moving.measure_scenes import measure_scenes, paired
from latentlab.data.moving.render import POLYGONS
from latentlab.factors import FactorTable


@dataclass(frozen=True)
class Config:
    """Held-out clips.

    Args:
        only: "one" is clips of one object, "scenes" those of none, one or two.
        count: of the clips.
        noise: Gaussian, in 8-bit levels, on clips of one object.
    """

    only: tuple[str, ...] = ("one", "scenes")
    count: int = 512
    seed: int = HELD_OUT_SEED
    noise: tuple[float, ...] = (0.0, 4.0)


def run(config: Config) -> dict[str, Any]:
    """Errors by noise level and factor; of scenes the share that is right."""
    one = errors(config) if "one" in config.only else {}
    return {**one, **({"scenes": scenes(config.count)} if "scenes" in config.only else {})}


def errors(config: Config) -> dict[str, dict[str, dict[str, float]]]:
    """For each noise level and factor: share of clips read, median and 95th-percentile absolute error."""
    video, factors = moving_shapes(config.count, config.seed)
    generator = torch.Generator().manual_seed(config.seed)
    results = {}
    for levels in config.noise:
        noise = torch.randn(video.shape, generator=generator) * (levels / 127.5)
        results[f"noise {levels:g}/255"] = compare(measure(video + noise), factors)
    return results


def compare(read: FactorTable, true: FactorTable) -> dict[str, dict[str, float]]:
    """Errors of each factor; for the shape, the share that is wrong. Blur counts where it smears half a pixel."""
    return {
        name: _errors(read[name], true[name], kind, _asked(true, name))
        for name, kind in zip(true.names, true.kinds, strict=True)
    }


def _errors(read: np.ndarray, true: np.ndarray, kind: str, asked: np.ndarray) -> dict[str, float]:
    error = np.abs(angle_difference(read, true) if kind == "circular" else read - true)
    known = error[asked & np.isfinite(error)]
    if kind == "categorical":
        return {"read": len(known) / asked.sum(), "wrong": float(np.mean(known > 0))}
    median, tail = np.quantile(known, [0.5, 0.95]) if len(known) else (np.nan, np.nan)
    return {"read": len(known) / asked.sum(), "median": float(median), "p95": float(tail)}


def _asked(true: FactorTable, name: str) -> np.ndarray:
    """Clips that show the factor at all."""
    if name == "rotation":
        return true["shape"] != 0
    if name != "blur":
        return np.ones(len(true), dtype=bool)
    reach = true["size"] * np.array([np.abs(POLYGONS[SHAPES[int(s)]]).max() for s in true["shape"]])
    return true["blur"] * (true["speed"] + np.abs(np.deg2rad(true["rotation"])) * reach) > 0.5


def scenes(count: int, seed: int = HELD_OUT_SEED) -> dict[str, float]:
    """Shares of exact renders of none, one and two objects that are read right, in objects or in clips.

    Places are right to half a pixel, sizes to 0.2 pixels, directions to 10 degrees, speeds to 0.05 pixels a frame,
    frames of a change to one.
    """
    video, true = moving_shapes(count, seed, objects=(0, 1, 2, 2), changes=0.5)
    read = paired(measure_scenes(video), true)
    right: dict[str, list[np.ndarray]] = {"presence": [read["objects"] == true["objects"]]}
    for end in ("", ".2"):
        there = np.isfinite(true[f"shape{end}"])
        found, known = read[there], true[there]
        off = {name: np.abs(found[f"{name}{end}"] - known[f"{name}{end}"]) for name in ("size", "speed", "change_at")}
        place = np.hypot(*(found[f"start_{axis}{end}"] - known[f"start_{axis}{end}"] for axis in "xy"))
        turned = np.abs(angle_difference(found[f"direction{end}"], known[f"direction{end}"]))
        named = [
            hue_name(a) == hue_name(b) if np.isfinite(a) else False
            for a, b in zip(found[f"hue{end}"], known[f"hue{end}"], strict=True)
        ]
        changes, moves = known[f"change{end}"] > 0, known[f"speed{end}"] > 0.15
        for name, hits in {
            "shape": found[f"shape{end}"] == known[f"shape{end}"],
            "hue name": np.array(named),
            "size": off["size"] < 0.2,
            "place": place < 0.5,
            "direction": turned[moves] < 10,
            "speed": off["speed"] < 0.05,
            "kind of motion": found[f"change{end}"] == known[f"change{end}"],
            "frame of the change": off["change_at"][changes] <= 1,
        }.items():
            right.setdefault(name, []).append(hits)
    two = true["objects"] == 2
    order = (read["start_x"] < read["start_x.2"]) == (true["start_x"] < true["start_x.2"])
    clear = two & (np.abs(true["start_x"] - true["start_x.2"]) > 4)
    right["left-right order"] = [order[clear]]
    meet = two & np.isfinite(read["front"])
    right["which is in front"] = [read["front"][meet] == true["front"][meet]]
    return {name: float(np.concatenate(hits).mean()) for name, hits in right.items()}


if __name__ == "__main__":
    main(run)
