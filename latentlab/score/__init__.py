"""Clips scored one by one, and as a set against a reference: `latentlab score`.

One clip at a time is in memory. Each finished clip is a line of `scores.jsonl`, so a run that was stopped goes on where
it was; a file that changed is scored again. Features stay in that file, too, until the sets are compared.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from latentlab.record import Record, to_json
from latentlab.row_log import RowLog
from latentlab.score import rows as of_clips
from latentlab.score.find import find_clips, partners
from latentlab.score.page import SHOWN, scores_page
from latentlab.score.result import AllScores, ClipRow
from latentlab.score.sets import features_named, reader_td, sets_compared, vectors_of
from latentlab.store import write_text

__all__ = ["find_clips", "reader_td", "score_clips"]


def score_clips(
    clips: Sequence[str | Path],
    against: Sequence[str | Path] = (),
    *,
    out: str | Path = "score",
    features: str = "reader-td",
    bootstrap: int = 100,
    seed: int = 0,
    device: str | torch.device = "cpu",
    trusted: bool = False,
) -> dict[str, Any]:
    """Scores clips and writes `scores.json`, `scores.html`, `scores.jsonl` and `record.json`.

    Args:
        clips: video files, folders of images, or folders of videos, which are searched to the bottom.
        against: the reference. The two sets are compared by the features, and clips of one place in the folders, else
            of one name that is the only one, else one clip with one, by PSNR and SSIM.
        out: folder.
        features: "reader-td", see `reader_td`; or "i3d=FILE", "videomae=FILE", "inception=FILE".
        bootstrap: draws for the intervals of the set distances.
        seed: of those draws.
        device: that computes the features of a file.
        trusted: run a file of features that is not the published one; a TorchScript file may do anything, write files
            too.

    Returns:
        What `scores.json` holds: a row for each clip, the distances of the sets, the files that gave no row and those
        that are no clips, each with its reason.

    Raises:
        FileNotFoundError: a path, or the weights of the features, that are not there.
        ValueError: a folder without clips, no clip that can be read, unknown features, or a file of them that is not
            said to be trusted.
    """
    if not against and features != "reader-td":
        raise ValueError(f"`features` {features!r} compare clips with a reference, and there is none: give `against`")
    extract = features_named(features, device, trusted=trusted) if against else None
    left_out: dict[Path, str] = {}
    found, references = find_clips(clips, left_out), find_clips(against, left_out)
    partner = partners(found, references)
    if against and not partner and min(len(found), len(references)) < 2:
        raise ValueError(
            f"nothing could be compared: {len(found)} and {len(references)} clips, of which no two belong together by "
            "their names; give a reference of the same name, or two clips and more on each side"
        )
    row_log = RowLog.open(Path(out) / "scores.jsonl")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # damage is in the note of the clip
        lines = row_log.rows(
            list(found), "scoring", [extract.settings() if extract else None, of_clips.WINDOW, of_clips.METER],
            lambda path: of_clips.row_of(path, partner.get(path), extract),
            lambda path: [p for p in (path, partner.get(path)) if p],
        )  # fmt: skip
        others = row_log.rows(
            list(references), "reading the reference", [extract.settings() if extract else None],
            lambda path: vectors_of(path, extract), lambda path: [path],
        )  # fmt: skip
        if not lines:
            first = next(iter(row_log.unreadable.items()))
            raise ValueError(f"none of the {len(found)} clips can be scored; the first: {first[0]}: {first[1]}")
        rows = tuple(ClipRow.of_line(line, of_clips.COLUMNS) for line in lines)
        scores = AllScores(
            clips=rows,
            mean=_means(rows),
            unreadable=row_log.unreadable,
            left_out={str(path): why for path, why in left_out.items()},
            against=sets_compared(row_log, rows, others, extract, bootstrap, seed) if extract else None,
        )
        paths = {"clips": [str(p) for p in clips], "against": [str(p) for p in against]}
        settings = {**paths, "features": features, "bootstrap": bootstrap, "window": of_clips.WINDOW}
        record = Record(
            "latentlab score", settings, seed, str(device), extract.fingerprint if extract else "", dict(scores.mean)
        )
        record.save(Path(out) / "record.json")
        result = scores.record()
        write_text(Path(out) / "scores.json", to_json(result) + "\n")
        footer = f"latentlab {record.versions.get('latentlab', '')}, seed {seed}, {record.made}"
        flickers = [(value, row) for row in rows if (value := row.figures["overall"]) is not None]
        worst = [row for _, row in sorted(flickers, key=lambda pair: -pair[0])[:SHOWN]]
        details = dict(row_log.details([row.key for row in worst]))
        shown = [(row, details[row.key]["series"], details[row.key]["map"]) for row in worst]
        scores_page(scores, of_clips.COLUMNS, shown, footer).save(Path(out) / "scores.html")
    return result


def _means(rows: Sequence[ClipRow]) -> dict[str, float]:
    columns = {name: [v for row in rows if (v := row.figures[name]) is not None] for name in of_clips.COLUMNS}
    return {name: round(float(np.mean(values)), 4) for name, values in columns.items() if values}
