"""What the commands of the command line do: read clips, call the library, write files and a record beside them."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from latentlab.generator.generator import Generator
from latentlab.generator.load import find_device, load
from latentlab.interpolate import lerp, slerp, walk
from latentlab.metrics import Comparison, flicker, psnr
from latentlab.record import Record, frame_hash, to_json, write_text
from latentlab.shapes import Video
from latentlab.video import check_target, read, read_fitted, write

FLICKER = ("overall", "whole", "regional", "texture", "difference", "motion_jitter", "coverage")  # columns


def tour(*, video: str | None, out: str, seed: int, device: str, json: bool) -> None:
    """Everything once; see `latentlab.tour`."""
    from latentlab.tour import tour as run

    record = run(out, video=video, seed=seed, device=device)
    _tell(record.numbers, json, [f"open {Path(out) / 'report.html'} in a browser"])


def generate(
    captions: list[str], *, out: str, seed: int, device: str, json: bool, model, steps, method, guidance
) -> None:
    """Clips from captions, one file, or a folder of several."""
    check_target(Path(out) if len(captions) == 1 else Path(out).with_suffix(".mp4"))
    generator = load(model, device=device)
    generator.condition(captions)  # a word the model does not know is told before anything else happens
    clips = generator.generate(
        captions, seed=seed, num_steps=steps, method=method, guidance=guidance, progress="sampling"
    )
    target = Path(out)
    if len(captions) == 1:
        files = [target]
    else:
        folder = target.with_suffix("") if target.suffix else target
        files = [folder / f"{i:03d}{target.suffix or '.mp4'}" for i in range(len(captions))]
    for file, clip in zip(files, clips.split(1), strict=True):
        write(file, clip, fps=generator.config.fps)
    settings = {"captions": captions, "steps": steps, "method": method, "guidance": guidance}
    jitter = [round(float(x), 3) for x in flicker(clips).overall]
    names = [file.name for file in files]
    record = _record(
        generator, "generate", settings, seed, {"flicker": jitter}, dict(zip(names, clips.split(1), strict=True))
    )
    record.save(_beside(files[0] if len(files) == 1 else files[0].parent))
    _tell({"files": [str(f) for f in files], "flicker": jitter}, json, [f"wrote {f}" for f in files])


def encode(video: str, *, out: str, seed: int, device: str, json: bool, model) -> None:
    """Latents of a clip, as safetensors."""
    generator = load(model, device=device)
    clip, note, fps = _fitted(video, generator)
    latents = generator.encode(clip)
    error = round(float(psnr(generator.decode(latents).cpu(), clip)), 2)
    _save_tensor(out, "latents", latents)
    record = _record(
        generator, "encode", {"video": video, "fitted": note, "fps": fps}, seed, {"psnr": error}, {"source": clip}
    )
    record.save(_beside(Path(out)))
    shape = list(latents.shape)
    lines = [note, f"latents {shape} -> {out}; decoding them gives {error} dB"]
    _tell({"file": out, "shape": shape, "psnr": error, "fitted": note}, json, lines)


def invert(
    video: str, *, caption: str, out: str, seed: int, device: str, json: bool, model, steps, method, guidance
) -> None:
    """Noise of a clip, as safetensors, with the error of the way there and back."""
    from latentlab.study.roundtrip import roundtrip

    generator = load(model, device=device)
    clip, note, _ = _fitted(video, generator)
    trip = roundtrip(generator, clip, caption, num_steps=steps, method=method, guidance=guidance, progress=True)
    trip.inverted.save(out)
    settings = {
        "video": video,
        "fitted": note,
        "caption": caption,
        "steps": steps,
        "method": method,
        "guidance": guidance,
    }
    record = _record(generator, "invert", settings, seed, trip.numbers(), {"source": clip, "again": trip.again})
    record.save(_beside(Path(out)))
    lines = [
        note,
        *(f"{name:20} {value:.4g}" for name, value in trip.numbers().items()),
        trip.verdict,
        f"noise -> {out}",
    ]
    _tell({"file": out, "fitted": note, "verdict": trip.verdict, **trip.numbers()}, json, lines)


def interpolate(
    first: str, last: str, *, path, space, spacing, points, out, seed, device, json, model, steps, method, guidance
) -> None:
    """Clips between two clips, in a folder."""
    check_target(Path(out) / "000.mp4")
    generator = load(model, device=device)
    (a, note_a, fps), (b, note_b, _) = _fitted(first, generator), _fitted(last, generator)
    ends = generator.encode(torch.cat([a, b]))
    options: dict[str, Any] = {"num_steps": steps, "method": method, "guidance": guidance}
    if space == "noise":
        ends = generator.invert(ends, **options, progress="inverting").noise

    def decode(line: Tensor) -> Video:
        return generator.decode(generator.sample(line, **options, progress="sampling") if space == "noise" else line)

    way = partial({"lerp": lerp, "slerp": slerp}[path], ends[:1], ends[1:])
    shown = decode if spacing == "uniform" else None
    clips = decode(walk(way, points, space=spacing, decode=shown).flatten(0, 1)).cpu()
    files = [Path(out) / f"{i:03d}.mp4" for i in range(points)]
    for file, clip in zip(files, clips.split(1), strict=True):
        write(file, clip, fps=fps)
    jitter = [round(float(x), 3) for x in flicker(clips).overall]
    settings = {
        "first": first, "last": last, "path": path, "space": space, "spacing": spacing, "points": points, **options
    }  # fmt: skip
    record = _record(
        generator, "interpolate", settings, seed, {"flicker": jitter},
        {f.name: c for f, c in zip(files, clips.split(1), strict=True)},
    )  # fmt: skip
    record.save(Path(out) / "record.json")
    lines = [note_a, note_b, *(f"wrote {f}, flicker {j}" for f, j in zip(files, jitter, strict=True))]
    _tell({"files": [str(f) for f in files], "flicker": jitter}, json, lines)


def edit(video: str, *, direction, strength, space, out, seed, device, json, model) -> None:
    """A clip moved along a direction."""
    from latentlab.study.edits import check_edit, edit_clip

    check_target(out)
    check_edit(direction, strength)
    generator = load(model, device=device)
    clip, note, fps = _fitted(video, generator)
    edited = edit_clip(generator, clip, direction, strength, space=space, seed=seed, progress=True)
    write(out, edited.video, fps=fps)
    recipe = Path(out).with_suffix(".recipe.safetensors")
    edited.recipe.save(recipe)
    numbers = {"flicker": round(float(flicker(edited.video).overall), 3), "floor_psnr": edited.floor_psnr}
    settings = {"video": video, "fitted": note, "direction": direction, "strength": strength, "space": edited.space}
    _record(generator, "edit", settings, seed, numbers, {"source": clip, "edited": edited.video}).save(
        _beside(Path(out))
    )
    lines = [note, f"{direction} by {strength:+g} sd in {edited.space} space -> {out}", f"recipe -> {recipe}"]
    _tell({"file": out, "recipe": str(recipe), "space": edited.space, **numbers}, json, lines)


def replay(recipe: str, video: str, *, out, seed, device, json, model) -> None:
    """A clip edited as a recipe says."""
    from latentlab.study.recipe import Recipe

    check_target(out)
    known = Recipe.load(recipe)
    generator = load(model, device=device)
    clip, note, fps = _fitted(video, generator)
    edited = known.replay(generator, clip)
    write(out, edited.video, fps=fps)
    numbers = {"flicker": round(float(flicker(edited.video).overall), 3), "floor_psnr": edited.floor_psnr}
    settings = {"recipe": recipe, "video": video, "fitted": note, "steps": known.lines(), "space": edited.space}
    _record(generator, "replay", settings, seed, numbers, {"source": clip, "edited": edited.video}).save(
        _beside(Path(out))
    )
    lines = [note, *known.lines(), f"the same frames, in {edited.space} space -> {out}"]
    _tell({"file": out, "space": edited.space, **numbers}, json, lines)


def flicker_command(videos: Sequence[str], *, out: str, seed: int, device: str, json: bool) -> None:
    """A table of clips and their flicker."""
    rows = []
    for path in videos:
        if Path(path).is_dir():
            raise ValueError(f"{path} is a folder; give its files, or `latentlab score {path}` for a set of clips")
        try:
            score = flicker(read(path).video)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        rows.append({"clip": str(path), **{name: round(float(getattr(score, name)), 3) for name in FLICKER}})
        rows[-1]["cuts"] = list(score.cuts[0])
    width = max(len(row["clip"]) for row in rows)
    lines = [f"{'clip':{width}} " + " ".join(f"{name:>13}" for name in FLICKER)]
    for row in rows:
        cells = ("-" if math.isnan(row[name]) else f"{row[name]:.2f}" for name in FLICKER)  # "-": no pixel was seen
        lines.append(f"{row['clip']:{width}} " + " ".join(f"{cell:>13}" for cell in cells))
    lines.append("overall to difference: 8-bit levels, motion taken out of all but the difference; the others: shares")
    if out:
        write_text(out, to_json(rows) + "\n")
    _tell(rows, json, lines)


def score(
    clips: Sequence[str], *, against: Sequence[str], features: str, bootstrap: int, out, seed, device, json
) -> None:
    """A table of clips and their scores, the distances of sets, and a page."""
    from latentlab.score import score as run

    result = run(clips, against, out=out, features=features, bootstrap=bootstrap, seed=seed, device=find_device(device))
    lines = _score_lines(result)
    _tell(result, json, [*lines, f"open {Path(out) / 'scores.html'} in a browser"])
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
    lines += [sets.get("note", ""), sets.get("frechet", {}).get("warning", "")]
    for note in ("partner_note", "features_note"):
        lines += [f"{row['clip']}: {row[note]}" for row in result["clips"] if "not compared" in row.get(note, "")]
    return lines + [f"not scored: {path}: {why}" for path, why in result["unreadable"].items()]


def bench(names: Sequence[str], *, scripts, repeats, jobs, compare, out, seed, device, json, **given) -> None:
    """Answers of the benchmarks, kept and on one page; or what changed between two folders of them."""
    from latentlab import bench as benches
    from latentlab.view.markdown import markdown

    if compare:
        old, new = compare
        report = benches.compare_benches(old, new, out)
        _tell({"compare": report.lead}, json, [markdown(report), f"open {Path(out) / 'compare.html'} in a browser"])
        return
    settings = benches.parse_settings(given["set"])
    result = benches.bench(
        names, out=out, scripts=scripts or benches.SCRIPTS, settings=settings, repeats=repeats, jobs=jobs, seed=seed
    )
    _tell(result, json, [f"{len(result['answers'])} runs", f"open {Path(out) / 'bench.html'} in a browser"])


def train(network: str, *, data, num_frames, size, out, seed, device, json, **options) -> None:
    """Trains one of the networks."""
    from latentlab.train.loop import is_main_process
    from latentlab.train.runs import RUNS, open_data

    folder = Path(out) / network if out == "runs" else Path(out)
    clips = open_data(network, data, num_frames=num_frames, size=size)
    skipped = {str(path): reason for path, reason in getattr(clips, "skipped", {}).items()}
    if skipped and is_main_process():  # before the hours of training
        few = "; ".join(f"{path}: {reason}" for path, reason in list(skipped.items())[:3])
        sys.stderr.write(f"skipped {len(skipped)} files of {data}: {few}{'; ...' if len(skipped) > 3 else ''}\n")
    files = RUNS[network](clips, folder, seed=seed, device=device, num_frames=num_frames, **options)
    lines = [f"wrote {f}" for f in files]
    _tell({"files": [str(f) for f in files], "clips": len(clips), "skipped": skipped}, json, lines)


COMMANDS: dict[str, Callable[..., None]] = {
    "tour": tour,
    "generate": generate,
    "encode": encode,
    "invert": invert,
    "interpolate": interpolate,
    "edit": edit,
    "replay": replay,
    "flicker": flicker_command,
    "score": score,
    "bench": bench,
    "train": train,
}


def _fitted(path: str, generator: Generator) -> tuple[Video, str, float]:
    c = generator.config
    clip = read_fitted(path, c.num_frames, (c.height, c.width))
    return clip.video, clip.note, clip.fps


def _record(generator: Generator, command, settings, seed, numbers, clips: dict[str, Video]) -> Record:
    return Record(
        command=f"latentlab {command}",
        settings=settings,
        seed=seed,
        device=str(generator.device),
        weights=generator.fingerprint(),
        numbers=numbers,
        frames={name: frame_hash(clip) for name, clip in clips.items()},
    )


def _beside(path: Path) -> Path:
    return path / "record.json" if path.is_dir() else path.with_name(path.stem + ".record.json")


def _save_tensor(path: str, name: str, tensor: torch.Tensor) -> None:
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".partial")
    save_file({name: tensor.cpu().contiguous()}, partial)
    partial.replace(target)


def _tell(result: Any, as_json: bool, lines: Sequence[str]) -> None:
    text = to_json(result) if as_json else "\n".join(line for line in lines if line)
    sys.stdout.write(text + "\n")
