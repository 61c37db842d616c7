"""The features of clips, and the distances of a set of clips from its reference."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from latentlab.data.moving.reader import load_reader
from latentlab.metrics.features import PUBLISHED, Features, time_difference
from latentlab.metrics.frechet import rows as rows_of
from latentlab.metrics.kernel import precision_recall
from latentlab.metrics.sets import SIZES, compare, sizes
from latentlab.row_log import RowLog
from latentlab.score.result import ClipRow, SetScores
from latentlab.video import Clip, fit_clip, probe, read, read_fitted
from latentlab.weights import fingerprint


def reader_td() -> Features:
    """Features for distances without any download: the shipped reader's look at each frame, by `time_difference`.

    The reader knows moving shapes alone: on other clips its distances say that two sets differ, not how much it looks.
    """
    reader = load_reader()
    how = "16 frames evenly, 64 x 64 by crop, bicubic"
    features = time_difference(reader.frame, name="reader-td", preprocessing=how, fingerprint=fingerprint(reader))
    return replace(
        features, extract=lambda video: features.extract(fit_clip(Clip(video.cpu(), 8.0), 16, (64, 64)).video)
    )


def features_named(name: str, device: str | torch.device, *, trusted: bool = False) -> Features:
    """Features as the command line names them.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no such features, or a file of code that is not said to be trusted.
    """
    kind, _, file = name.partition("=")
    if name != "reader-td" and (kind not in PUBLISHED or not file):
        kinds = ", ".join(f"{k}=FILE" for k in PUBLISHED)
        raise ValueError(f"`features` must be reader-td, {kinds}, got {name!r}")
    return PUBLISHED[kind](file, device=device, trusted=trusted) if file else reader_td()


def vectors_of(path: Path, extract: Features | None) -> dict[str, Any]:
    """Features of one clip: of 16 frames spread over it for the reader, of its first 16 as published for the others."""
    if extract is None:
        return {}
    clip = (
        read_fitted(path, 16, (64, 64))
        if extract.name == "reader-td"
        else read(path, stop=min(16, probe(path).num_frames))
    )
    found = extract.collect(clip.video)
    if not found.isfinite().all():
        raise ValueError(f"its {extract.name} features are not finite")
    packed = base64.b64encode(found.float().numpy().tobytes()).decode()
    return {"seen": clip.video.shape[2:], "features": [packed, found.shape[1]]}


def unpacked(features: tuple[str, int]) -> Tensor:
    packed, dim = features
    return torch.frombuffer(bytearray(base64.b64decode(packed)), dtype=torch.float32).view(-1, dim)


def sets_compared(
    row_log: RowLog, rows: Sequence[ClipRow], others: Sequence[dict], extract: Features, bootstrap: int, seed: int
) -> SetScores:
    """The distances of both sets, clips and finished rows of the reference, or a note why there are none."""
    told = [(row.key, row.seen) for row in rows], [(row["key"], row.get("seen")) for row in others]
    sides = [[(key, tuple(seen)) for key, seen in side if seen] for side in told]
    if min(map(len, sides)) < 2:
        counts = f"{len(sides[0])} and {len(sides[1])}"
        why = next((f"; {row.clip} {row.features_note}" for row in rows if row.features_note), "")
        return SetScores(note=f"two clips or more on each side are needed to compare sets, got {counts}{why}")
    details = row_log.details([key for side in sides for key, _ in side])
    vectors = {key: unpacked(parts["features"]) for key, parts in details}
    a, b = ([vectors[key] for key, _ in side] for side in sides)
    shapes = ((seen for _, seen in side) for side in sides)
    settings = extract.settings() | {name: sizes(of) for name, of in zip(SIZES, shapes, strict=True)}
    options: dict[str, Any] = {"name": extract.name, "bootstrap": bootstrap, "seed": seed, "settings": settings}
    frechet, kernel = (compare(a, b, measure=m, **options) for m in ("frechet", "kernel"))
    inside = precision_recall(rows_of(a), rows_of(b)) if min(frechet.samples) > 3 else None
    return SetScores(frechet, kernel, inside)
