"""Commands that take minutes and more: the tour, benchmarks, training."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from latentlab.commands.loading import loaded
from latentlab.commands.result import check_file, check_idle, emit, say
from latentlab.generator.load import find_device
from latentlab.store import claimed


def tour_command(
    *, video: str | None, labels: str | None, out: str, seed: int, device: str, json: bool, model, steps
) -> None:
    """Everything once; see `latentlab.tour`."""
    from latentlab.tour import tour as run
    from latentlab.tour.captions import ON_A_CPU

    check_file(Path(out) / "report.html")
    own_size = model.size is None and model.num_frames is None
    at_most = ON_A_CPU if own_size and find_device(device).type == "cpu" else None
    generator = loaded(model, device=device, at_most=at_most)
    c = generator.config
    say(f"taking the tour over clips of {c.num_frames} x {c.height} x {c.width}: generate, invert, interpolate, edit")
    record = run(out, video=video, seed=seed, model=generator, num_steps=steps, labels=labels, at_most=at_most)
    warning = record.numbers["source"]["warning"]
    told = [f"WARNING: {warning}" if warning else "", f"open {Path(out) / 'report.html'} in a browser"]
    emit(record.numbers, json, told)


def bench_command(
    names: Sequence[str], *, scripts, model, num_frames, size, labels, repeats, jobs, compare, out, seed, json, **given
) -> None:
    """Answers of the benchmarks, kept and on one page; or what changed between two folders of them."""
    from latentlab import bench as benches
    from latentlab.view.markdown import markdown

    check_file(Path(out) / "bench.html")
    if compare:
        of_runs = {"model": model, "repeats": repeats, "jobs": jobs, "scripts": scripts, "set": given["set"] or None}
        check_idle(of_runs, "does nothing with --compare, which runs nothing")
        old, new = compare
        report = benches.compare_benches(old, new, out)
        emit({"compare": report.lead}, json, [markdown(report), f"open {Path(out) / 'compare.html'} in a browser"])
        return
    settings = benches.parse_settings(given["set"])
    if model is not None:
        height, width = size or (None, None)
        about = {"model": model, "num_frames": num_frames, "height": height, "width": width, "labels": labels}
        names = names or (benches.ANY_MODEL,)
        settings = benches.settings_of_model(names, about, settings, scripts or benches.SCRIPTS)
    elif num_frames or size or labels:
        raise ValueError("--num-frames, --size and --labels are of a --model; give its folder, too")
    asked = {"settings": settings, "repeats": repeats or 1, "jobs": jobs or 1, "seed": seed}
    with claimed(out):
        result = benches.bench(names, out=out, scripts=scripts or benches.SCRIPTS, **asked)
    emit(result, json, [f"{len(result['answers'])} runs", f"open {Path(out) / 'bench.html'} in a browser"])


def train_command(
    network: str,
    *,
    data,
    out,
    seed,
    device,
    json,
    num_frames: int | None = None,
    size: tuple[int, int] | None = None,
    **options,
) -> None:
    """Trains one of the networks, or an adapter of one; `options` are those that it has."""
    if network == "adapter":
        from latentlab.commands.adapters import train_adapter_command

        train_adapter_command(data=data, out=out, seed=seed, device=device, json=json, **options)
        return
    if network == "slider":
        from latentlab.commands.sliders import train_slider_command

        train_slider_command(data=data, out=out, seed=seed, device=device, json=json, **options)
        return
    from latentlab.data import FolderClips
    from latentlab.train.loop import is_main_process
    from latentlab.train.runs import RUNS
    from latentlab.train.source import open_data

    folder = Path(out)
    pictures = {"classes": options.get("classes", False), "inflate": bool(options.get("inflate"))}
    clips = open_data(network, data, num_frames=num_frames, size=size, **pictures)
    skipped = {str(path): reason for path, reason in (clips.skipped if isinstance(clips, FolderClips) else {}).items()}
    if skipped and is_main_process():  # before the hours of training
        few = "; ".join(f"{path}: {reason}" for path, reason in list(skipped.items())[:3])
        sys.stderr.write(f"skipped {len(skipped)} files of {data}: {few}{'; ...' if len(skipped) > 3 else ''}\n")
    with claimed(folder) if is_main_process() else nullcontext():
        if is_main_process():
            say(f"training {network} on {data}; {folder / 'log.jsonl'} says how it goes")
        files = RUNS[network](clips, folder, seed=seed, device=device, num_frames=num_frames, **options)
    notes = {str(path): note for path, note in (clips.notes if isinstance(clips, FolderClips) else {}).items()}
    lines = [f"{path}: {note}" for path, note in list(notes.items())[:3]]
    lines += [f"{len(notes) - 3} more files were changed to fit (--json lists them)"] if len(notes) > 3 else []
    lines += [f"wrote {f}" for f in files]
    told = {"files": [str(f) for f in files], "clips": len(clips), "skipped": skipped, "notes": notes}
    emit(told, json, lines)
