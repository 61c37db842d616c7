"""Commands that score clips."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from latentlab.commands.loading import condition_of, led_away, loaded, shapes
from latentlab.commands.result import FLOOR, check_file, check_idle, emit, record_of, say
from latentlab.generator.load import find_device
from latentlab.metrics import Comparison, flicker
from latentlab.record import to_json
from latentlab.store import write_text
from latentlab.video import read

FLICKER = ("overall", "whole", "regional", "texture", "difference", "motion_jitter", "coverage")  # columns


def flicker_command(videos: Sequence[str], *, out: str | None, json: bool) -> None:
    """A table of clips and their flicker."""
    if out:
        check_file(out)
    rows = []
    for path in videos:
        try:
            clip = read(path)
            score = flicker(clip.video, progress=not json and sys.stderr is not None and Path(path).name)
        except ValueError as error:
            named = error if str(path) in str(error) else f"{path}: {error}"
            way = f"; `latentlab score {path}` takes a folder of videos" if Path(path).is_dir() else ""
            raise ValueError(f"{named}{way}") from error
        rows.append({"clip": str(path), **{name: round(float(getattr(score, name)), 3) for name in FLICKER}})
        rows[-1] |= {"cuts": list(score.cuts[0]), "reason": score.reason[0], "note": clip.note}
    width = max(len(row["clip"]) for row in rows)
    lines = [f"{'clip':{width}} " + " ".join(f"{name:>13}" for name in FLICKER)]
    for row in rows:
        cells = ("-" if math.isnan(row[name]) else f"{row[name]:.2f}" for name in FLICKER)  # "-": see its reason
        lines.append(f"{row['clip']:{width}} " + " ".join(f"{cell:>13}" for cell in cells))
    lines.append("overall to difference: 8-bit levels, motion taken out of all but the difference; the others: shares")
    lines.append(FLOOR)
    lines += [f"{row['clip']}: flicker not measured: {row['reason']}" for row in rows if row["reason"]]
    lines += [f"{row['clip']}: {row['note']}" for row in rows if row["note"]]
    if out:
        write_text(out, to_json(rows) + "\n")
    emit(rows, json, lines)


def score_command(
    clips: Sequence[str],
    *,
    against: Sequence[str],
    features: str,
    trust: bool,
    bootstrap: int | None,
    out,
    seed,
    device,
    json,
) -> None:
    """A table of clips and their scores, the distances of sets, and a page."""
    from latentlab.score import score_clips as run

    check_file(Path(out) / "scores.json")
    if not against:
        check_idle({"bootstrap": bootstrap, "trust": trust or None}, "is of sets, and there is one: give --against")
    options = {"out": out, "features": features, "trusted": trust, "bootstrap": bootstrap or 100, "seed": seed}
    result = run(clips, against, **options, device=find_device(device))
    lines = _score_lines(result)
    emit(result, json, [*lines, f"open {Path(out) / 'scores.html'} in a browser"])
    paired = [row for row in result["clips"] if "partner" in row]
    if against and "note" in result["against"] and all(row["ssim"] is None for row in paired):
        why = [result["against"]["note"], *(f"{row['clip']} {row['partner_note']}" for row in paired[:1])]
        raise ValueError(f"nothing could be compared: {'; '.join(why)}")


def _score_lines(result: dict[str, Any]) -> list[str]:
    names = [name for name in (*FLICKER, "vbench_flickering", "psnr", "ssim") if name in result["mean"]]
    rows = [*result["clips"], {"clip": "mean", **result["mean"]}]
    width = max(len(row["clip"]) for row in rows)
    lines = [f"{'clip':{width}} " + " ".join(f"{name:>17}" for name in names)]
    for row in rows:
        cells = [f"{'':>17}" if row.get(name) is None else f"{row[name]:17.3f}" for name in names]
        lines.append(f"{row['clip']:{width}} " + " ".join(cells))
    sets = result["against"] or {}
    lines += [str(Comparison(**sets[measure])) for measure in ("frechet", "kernel") if measure in sets]
    if "precision" in sets:
        lines.append(f"precision {sets['precision']:.3f}, recall {sets['recall']:.3f}")
    lines += [f"{row['clip']}: flicker not measured: {row['reason']}" for row in result["clips"] if row.get("reason")]
    lines += [sets.get("note", ""), sets.get("frechet", {}).get("warning", "")]
    lines += [f"{row['clip']}: {row['note']}" for row in result["clips"] if row.get("note")]
    for note in ("partner_note", "features_note"):
        lines += [f"{row['clip']}: {row[note]}" for row in result["clips"] if "not compared" in row.get(note, "")]
    lines += [f"not scored: {path}: {why}" for path, why in result["unreadable"].items()]
    others = list(result["left_out"].items())
    lines += [f"left out: {path}: {why}" for path, why in others[:3]]
    return lines + ([f"left out: {len(others) - 3} more files, all in scores.json"] if len(others) > 3 else [])


def coverage_command(captions: list[str], *, count, steps, guidance, out, seed, device, json, model) -> None:
    """What a generator never draws, or too often, under captions that leave it open."""
    from latentlab.study.coverage import coverage

    check_file(out)
    generator = led_away(loaded(model, device=device), model)
    captions = captions or [""]
    say(f"drawing {count} clips for each of {len(captions)} captions")
    found = coverage(generator, captions, count=count, seed=seed, num_steps=steps, guidance=guidance, method="ddim")
    numbers = {"captions": [one.numbers() for one in found]}
    settings = {"captions": captions, "count": count, "steps": steps, "guidance": guidance, "negative": model.negative}
    record_of(generator, "coverage", settings, seed, numbers, {}).save(out)
    emit(numbers, json, [*(line for one in found for line in one.lines()), f"wrote {out}"])


def memory_command(*, job, clips, out, device, json, model, steps, method, guidance) -> None:
    """What jobs will take of memory."""
    from latentlab.generator.sampler import Sampler
    from latentlab.generator.weightless import unweighed
    from latentlab.study.memory import memory

    if out:
        check_file(out)
    generator = shapes(model, device=device)
    with unweighed():
        condition = condition_of(generator, "", model) if model.image or model.negative else ""
    plan = memory(generator, job, caption=condition, clips=clips, sampler=Sampler(method, steps, None, guidance))
    if out:
        write_text(out, to_json(plan.numbers()))
    emit(plan.numbers(), json, plan.lines())
