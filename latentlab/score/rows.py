"""All that is measured of one clip."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from latentlab.metrics.features import Features
from latentlab.metrics.perceptual import psnr, ssim
from latentlab.metrics.published import temporal_flickering
from latentlab.metrics.temporal import Flicker, flicker
from latentlab.row_log import reason
from latentlab.score.sets import vectors_of
from latentlab.video import Info, probe, read

# joined over parts of a clip as mean squares
JITTER = ("overall", "whole", "regional", "texture", "spectral", "motion_jitter")
SHARES = ("difference", "coverage")  # joined as means
COLUMNS = (*JITTER, *SHARES, "vbench_flickering", "psnr", "ssim")
MAP_WIDTH = 96
METER = 2  # raised when the numbers mean something else, so that rows of an older meter are measured again
WINDOW = 2**27  # values of a clip held at once; longer clips are scored in parts that overlap


def row_of(path: Path, partner: Path | None, extract: Features | None) -> dict[str, Any]:
    """Everything about one clip."""
    info = probe(path)
    part = _part(info)
    starts = range(0, max(1, info.num_frames - 2), part - 2)  # parts share two frames, so each inner one counts once
    notes, scores, still, pairs = [], [], [], []
    for start in starts:
        clip = read(path, start=start, stop=min(start + part, info.num_frames))
        scores.append(flicker(clip.video))
        fresh = clip.video[:, :, 1 if start else 0 :]
        still.append(float(temporal_flickering(fresh)))
        pairs.append(fresh.shape[2] - 1)
        notes.append(clip.note)
    row: dict[str, Any] = {"frames": info.num_frames, "height": info.height, "width": info.width}
    row |= {"fps": round(info.fps, 3), "part": part}
    row |= _joined(scores, [found.series["overall"].shape[1] for found in scores])
    row["reason"] = next((r for found in scores for r in found.reason if r), "") if math.isnan(row["overall"]) else ""
    row["vbench_flickering"] = round(float(np.average(still, weights=pairs)), 6)
    row["cuts"] = sorted({cut + start for start, found in zip(starts, scores, strict=True) for cut in found.cuts[0]})
    parts = [f"scored in {len(starts)} parts"] if len(starts) > 1 else []
    row["note"] = " and ".join(dict.fromkeys(note for note in (*parts, *notes) if note))
    row |= {"psnr": None, "ssim": None}
    if partner:
        row |= {"partner": str(partner), **_tried(lambda: _against(path, partner), "partner_note")}
    if extract:
        row |= _tried(lambda: vectors_of(path, extract), "features_note")
    names = scores[0].series
    row["series"] = {n: [round(float(x), 4) for found in scores for x in found.series[n][0]] for n in names}
    row["map"] = _map(scores)
    return row


def _tried(make: Callable[[], dict[str, Any]], note: str) -> dict[str, Any]:
    """A part of a row, or why there is none: the rest of the row stands without it."""
    try:
        return make()
    except Exception as error:  # as in the row_log
        return {note: f"not compared: {reason(error)}"}


def _map(scores: Sequence[Flicker]) -> list[list[float]]:
    """Root mean square jitter over the picture, at most `MAP_WIDTH` wide; NaN where a pixel was never seen."""
    weights = torch.tensor([float(found.series["overall"].shape[1]) for found in scores]).view(-1, 1, 1)
    squares = torch.stack([found.maps["overall"][0] for found in scores]).cpu().square()
    seen = squares.isfinite() * weights
    mean = ((squares.nan_to_num() * weights).sum(0) / seen.sum(0))[None]
    stride = max(1, math.ceil(mean.shape[2] / MAP_WIDTH))
    small = F.avg_pool2d(mean, stride, ceil_mode=True)[0].sqrt()
    return [[round(x, 2) for x in line] for line in small.tolist()]


def _joined(scores: Sequence[Flicker], weights: Sequence[int]) -> dict[str, float]:
    def mean(name: str, power: int) -> float:
        values = np.array([float(getattr(score, name)) ** power for score in scores])
        known = np.isfinite(values)  # a part of which nothing was seen says nothing
        if not known.any():
            return math.nan
        return float(np.average(values[known], weights=np.array(weights)[known]) ** (1 / power))

    powers = dict.fromkeys(JITTER, 2) | dict.fromkeys(SHARES, 1)
    return {name: round(mean(name, power), 4) for name, power in powers.items()}


def _against(path: Path, partner: Path) -> dict[str, Any]:
    """PSNR and SSIM, of frames that fit in memory."""
    info = probe(path)
    stop = _part(info)
    clip, reference = (read(p, stop=min(stop, probe(p).num_frames)) for p in (path, partner))
    a, b = clip.video, reference.video
    if a.shape != b.shape:
        sizes = " and ".join(f"{f} frames of {w} x {h}" for _, _, f, h, w in (a.shape, b.shape))
        return {"partner_note": f"not compared: {sizes}"}
    first = f"the first {stop} frames" if info.num_frames > stop else ""
    note = "; ".join(part for part in (first, reference.note and f"the reference: {reference.note}") if part)
    if torch.equal(a, b):
        return {"ssim": 1.0, "partner_note": "equal frames"}  # an infinite PSNR has no place in JSON
    return {"psnr": round(float(psnr(a, b)), 3), "ssim": round(float(ssim(a, b)), 5), "partner_note": note}


def _part(info: Info) -> int:
    return max(4, WINDOW // (3 * info.height * info.width))
