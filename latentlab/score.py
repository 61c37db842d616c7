"""Clips scored one by one, and as a set against a reference: `latentlab score`.

One clip at a time is in memory. Each finished clip is a line of `scores.jsonl`, so a run that was stopped goes on where
it was; a file that changed is scored again.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from latentlab.data.moving.reader import load_reader
from latentlab.ledger import Ledger
from latentlab.metrics.features import PUBLISHED, Features
from latentlab.metrics.kernel import precision_recall
from latentlab.metrics.perceptual import psnr, ssim
from latentlab.metrics.published import temporal_flickering
from latentlab.metrics.sets import compare
from latentlab.metrics.temporal import Flicker, flicker
from latentlab.record import Record, to_json, write_text
from latentlab.shapes import Video
from latentlab.video import (
    IMAGE_SUFFIXES,
    VIDEO_SUFFIXES,
    Clip,
    Info,
    fit_clip,
    natural_order,
    probe,
    read,
    read_fitted,
)
from latentlab.view.scores import SHOWN, page
from latentlab.weights import fingerprint

JITTER = ("overall", "whole", "regional", "texture", "spectral")  # joined over parts of a clip as mean squares
SHARES = ("difference", "motion_jitter", "coverage")  # joined as means
COLUMNS = (*JITTER, *SHARES, "vbench_flickering", "psnr", "ssim")
MAP_WIDTH = 96
WINDOW = 2**27  # values of a clip held at once; longer clips are scored in parts that overlap


def score(
    clips: Sequence[str | Path],
    against: Sequence[str | Path] = (),
    *,
    out: str | Path = "score",
    features: str = "reader-td",
    bootstrap: int = 100,
    seed: int = 0,
) -> dict[str, Any]:
    """Scores clips and writes `scores.json`, `scores.html`, `scores.jsonl` and `record.json`.

    Args:
        clips: video files, folders of images, or folders of videos, which are searched to the bottom.
        against: the reference. The two sets are compared by the features, and clips of one name (or one clip with one)
            by PSNR and SSIM.
        out: folder.
        features: "reader-td", the shipped reader, whose second half is a difference in time; or "i3d=FILE",
            "videomae=FILE", "inception=FILE".
        bootstrap: draws for the intervals of the set distances.
        seed: of those draws.

    Returns:
        What `scores.json` holds: a row for each clip, the distances of the sets, and the files that could not be read.

    Raises:
        FileNotFoundError: a path, or the weights of the features, that are not there.
        ValueError: a folder without clips, no clip that can be read, unknown features.
    """
    _check_features(features)
    extract = _features(features) if against else None
    found, references = find_clips(clips), find_clips(against)
    partner = _partners(found, references)
    ledger = Ledger.open(Path(out) / "scores.jsonl")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # damage is in the note of the clip
        rows = ledger.rows(
            found, "scoring", [extract.settings() if extract else None, WINDOW],
            lambda path: _row(path, partner.get(path), extract),
            lambda path: [p for p in (path, partner.get(path)) if p],
        )  # fmt: skip
        others = ledger.rows(
            references, "reading the reference", [extract.settings() if extract else None],
            lambda path: {"features": _vectors(path, extract)}, lambda path: [path],
        )  # fmt: skip
        if not rows:
            first = next(iter(ledger.unreadable.items()))
            raise ValueError(f"none of the {len(found)} clips can be scored; the first: {first[0]}: {first[1]}")
        result: dict[str, Any] = {
            "clips": [{k: v for k, v in row.items() if k not in ("features", "key")} for row in rows],
            "mean": _means(rows),
            "unreadable": ledger.unreadable,
            "against": _sets(rows, others, extract, bootstrap, seed) if extract else None,
        }
        paths = {"clips": [str(p) for p in clips], "against": [str(p) for p in against]}
        settings = {**paths, "features": features, "bootstrap": bootstrap, "window": WINDOW}
        record = Record(
            "latentlab score", settings, seed, "cpu", extract.fingerprint if extract else "", result["mean"]
        )
        record.save(Path(out) / "record.json")
        write_text(Path(out) / "scores.json", to_json(result) + "\n")
        footer = f"latentlab {record.versions.get('latentlab', '')}, seed {seed}, {record.made}"
        worst = sorted(rows, key=lambda row: -row["overall"])[:SHOWN]
        details = ledger.details([row["key"] for row in worst])
        shown = [row | detail for row, detail in zip(worst, details, strict=True)]
        page(result, COLUMNS, shown, footer).save(Path(out) / "scores.html")
    return result


def find_clips(paths: Iterable[str | Path]) -> list[Path]:
    """Clips at and below the paths, in natural order, each once.

    Raises:
        FileNotFoundError: nothing at a path.
        ValueError: a folder that holds neither videos nor images.
    """
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        if not path.exists():
            raise FileNotFoundError(f"{path} does not exist; give video files or folders")
        inside = sorted((f for f in path.rglob("*") if not f.name.startswith(".")), key=natural_order)
        videos = [f for f in inside if f.suffix.lower() in VIDEO_SUFFIXES and f.is_file()]
        pictures = {f.parent: None for f in inside if f.suffix.lower() in IMAGE_SUFFIXES and f.is_file()}
        if path.is_dir() and not videos and not pictures:
            raise ValueError(f"{path} holds no video and no image")
        for folder in {f.parent for f in videos} & pictures.keys():
            del pictures[folder]  # pictures beside videos are not a clip
        found |= dict.fromkeys([*videos, *pictures] if path.is_dir() else [path])
    return list(found)


def _row(path: Path, partner: Path | None, extract: Features | None) -> dict[str, Any]:
    """Everything about one clip."""
    info = probe(path)
    part = _part(info)
    starts = range(0, max(1, info.num_frames - 2), part - 2)  # parts share two frames, so each inner one counts once
    notes, scores, still, pairs = [], [], [], []
    for start in starts:
        clip = read(path, start=start, stop=start + part if len(starts) > 1 else None)
        scores.append(flicker(clip.video))
        fresh = clip.video[:, :, 1 if start else 0 :]
        still.append(float(temporal_flickering(fresh)))
        pairs.append(fresh.shape[2] - 1)
        notes.append(clip.note)
    row: dict[str, Any] = {"frames": info.num_frames, "height": info.height, "width": info.width}
    row |= {"fps": round(info.fps, 3), "part": part}
    row |= _joined(scores, [found.series["overall"].shape[1] for found in scores])
    row["vbench_flickering"] = round(float(np.average(still, weights=pairs)), 6)
    row["cuts"] = sorted({cut + start for start, found in zip(starts, scores, strict=True) for cut in found.cuts[0]})
    row["note"] = notes[0] if len(starts) == 1 else f"scored in {len(starts)} parts"
    row |= {"psnr": None, "ssim": None}
    if partner:
        row |= {"partner": str(partner), **_against(path, partner)}
    if extract:
        row["features"] = _vectors(path, extract)
    names = scores[0].series
    row["series"] = {n: [round(float(x), 4) for found in scores for x in found.series[n][0]] for n in names}
    row["map"] = _map(scores)
    return row


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
    squares = {n: np.average([float(getattr(s, n)) ** 2 for s in scores], weights=weights) ** 0.5 for n in JITTER}
    means = {n: np.average([float(getattr(s, n)) for s in scores], weights=weights) for n in SHARES}
    return {name: round(float(value), 4) for name, value in (squares | means).items()}


def _against(path: Path, partner: Path) -> dict[str, Any]:
    """PSNR and SSIM, of frames that fit in memory."""
    info = probe(path)
    stop = _part(info)
    a, b = (read(p, stop=min(stop, probe(p).num_frames)).video for p in (path, partner))
    if a.shape != b.shape:
        sizes = " and ".join(f"{f} frames of {w} x {h}" for _, _, f, h, w in (a.shape, b.shape))
        return {"partner_note": f"not compared: {sizes}"}
    note = f"the first {stop} frames" if info.num_frames > stop else ""
    if torch.equal(a, b):
        return {"ssim": 1.0, "partner_note": "equal frames"}  # an infinite PSNR has no place in JSON
    return {"psnr": round(float(psnr(a, b)), 3), "ssim": round(float(ssim(a, b)), 5), "partner_note": note}


def _part(info: Info) -> int:
    return max(4, WINDOW // (3 * info.height * info.width))


def _partners(clips: Sequence[Path], references: Sequence[Path]) -> dict[Path, Path]:
    """Which reference each clip is compared with: that of its name, or the only one with the only one."""
    if len(clips) == len(references) == 1:
        return {clips[0]: references[0]}
    by_name: dict[str, list[Path]] = {}
    for path in references:
        by_name.setdefault(path.stem, []).append(path)
    return {path: by_name[path.stem][0] for path in clips if len(by_name.get(path.stem, [])) == 1}


def reader_td() -> Features:
    """Features for distances without any download: the shipped reader of moving shapes, and how it changes over time.

    Half of them are a mean over the clip, blind to order and flicker, half the last frame minus the first. The reader
    knows moving shapes alone: on other clips its distances say that two sets differ, not how much it looks.
    """
    reader = load_reader()

    def extract(video: Video) -> Tensor:
        return reader.features(fit_clip(Clip(video.cpu(), 8.0), 16, (64, 64)).video)

    return Features("reader-td", "16 frames evenly, 64 x 64 by crop, bicubic", fingerprint(reader), extract)


def _features(name: str) -> Features:
    kind, _, file = name.partition("=")
    return PUBLISHED[kind](file) if file else reader_td()


def _check_features(name: str) -> None:
    kind, _, file = name.partition("=")
    if name != "reader-td" and (kind not in PUBLISHED or not file):
        kinds = ", ".join(f"{k}=FILE" for k in PUBLISHED)
        raise ValueError(f"`features` must be reader-td, {kinds}, got {name!r}")


def _vectors(path: Path, extract: Features | None) -> list[list[float]]:
    """Features of one clip: of 16 frames spread over it for the reader, of its first 16 as published for the others."""
    if extract is None:
        return []
    clip = (
        read_fitted(path, 16, (64, 64))
        if extract.name == "reader-td"
        else read(path, stop=min(16, probe(path).num_frames))
    )
    return [[float(f"{x:.7g}") for x in row] for row in extract(clip.video)]


def _sets(rows: list[dict], others: list[dict], extract: Features, bootstrap: int, seed: int) -> dict[str, Any] | None:
    a, b = (torch.tensor([v for row in side for v in row["features"]], dtype=torch.float64) for side in (rows, others))
    if min(len(a), len(b)) < 2:
        return {"note": f"two clips or more on each side are needed to compare sets, got {len(a)} and {len(b)}"}
    options = {"name": extract.name, "bootstrap": bootstrap, "seed": seed, "settings": extract.settings()}
    found: dict[str, Any] = {m: asdict(compare(a, b, measure=m, **options)) for m in ("frechet", "kernel")}
    if min(len(a), len(b)) > 3:
        found |= asdict(precision_recall(a, b))
    return found


def _means(rows: list[dict]) -> dict[str, float]:
    columns = {name: [row[name] for row in rows if row[name] is not None] for name in COLUMNS}
    return {name: round(float(np.mean(values)), 4) for name, values in columns.items() if values}
