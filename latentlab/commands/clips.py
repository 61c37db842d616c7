"""What the commands do that make clips, take them to latents and back, and walk between them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from latentlab.commands.adapters import with_adapters
from latentlab.commands.control import with_controls, with_references
from latentlab.commands.loading import condition_of, loaded
from latentlab.commands.result import (
    FLOOR,
    UNSEEN,
    check_file,
    check_idle,
    emit,
    fitted,
    record_of,
    record_path,
    say,
    warned,
    written,
)
from latentlab.control.prompt import WEIGHED, Prompt
from latentlab.control.words import prompted
from latentlab.generator.generator import Generator
from latentlab.generator.image import ImageGenerator
from latentlab.generator.sampler import ANALYSE, DRAW
from latentlab.generator.student import StudentGenerator
from latentlab.interpolate import lerp, slerp, walk
from latentlab.shapes import Video
from latentlab.tensors import write_tensors
from latentlab.video import check_target

BATCH = 16  # clips that are computed together; another number rounds differently


def generate_command(
    captions: list[str],
    *,
    classes,
    churn,
    adapter,
    control,
    control_network,
    reference,
    reference_network,
    words,
    num_frames,
    windows,
    out: str,
    seed: int,
    device: str,
    json: bool,
    model,
    steps,
    method,
    guidance,
) -> None:
    """Clips from captions, or images of classes, one file, or a folder of several."""
    if bool(captions) == bool(classes):
        raise ValueError("generate takes captions, or --class NAME for a model of images; give one of them")
    images = bool(classes)
    captions = classes or captions
    out = out or ("generated.png" if images else "generated.mp4")
    check_target(Path(out) if len(captions) == 1 else Path(out).with_suffix(".mp4"))
    generator = loaded(model, device=device, lengthens=True)
    if images and not isinstance(generator, ImageGenerator):
        raise ValueError(f"--class is for a model of images, and {model.folder or 'the shipped model'} takes captions")
    steps = steps or (generator.steps if isinstance(generator, StudentGenerator) else DRAW.num_steps)
    generator = with_references(generator, reference, reference_network)
    generator = with_controls(generator, control, control_network)
    generator = with_adapters(generator, adapter)
    weighed = [] if images else [caption for caption in captions if WEIGHED.search(caption)]
    plain = [Prompt.parse(caption).caption() if caption in weighed else caption for caption in captions]
    condition = condition_of(generator, plain, model)
    if weighed:
        if len(captions) > 1:
            raise ValueError(f"{weighed[0]!r} weighs its words, which works on one caption at a time")
        said = prompted(generator, weighed[0], where=words, guidance=guidance)
        generator, guidance = said.generator, said.guidance
        condition = replace(said.condition, negative=condition.negative)
    options: dict[str, Any] = {"method": method, "guidance": guidance, "churn": churn, "batch_size": BATCH}
    if num_frames not in (None, generator.config.num_frames):
        options |= {"num_frames": num_frames, "windows": windows}
        if control:
            raise ValueError(f"--control is for clips of the model's own {generator.config.num_frames} frames")
    settings = {"steps": steps, "negative": model.negative, "adapters": adapter, "words": words, **options}
    settings |= {"controls": control, "control_network": control_network} if control else {}
    settings |= {"references": reference, "reference_network": reference_network} if reference else {}
    say(f"sampling {len(captions)} clips")
    clips = generator.generate(condition, seed=seed, num_steps=steps, **options, progress="sampling")
    target = Path(out)
    if len(captions) == 1:
        files = [target]
    else:
        folder = target.with_suffix("") if target.suffix else target
        kind = target.suffix or (".png" if clips.shape[2] == 1 else ".mp4")
        files = [folder / f"{i:03d}{kind}" for i in range(len(captions))]
    frames, numbers = _files(files, clips, generator.config.fps)
    numbers["warning"] = _strange(generator, clips)
    record = record_of(generator, "generate", {"captions": captions, **settings}, seed, numbers, frames)
    record.save(record_path(target) if len(files) == 1 else files[0].parent / "record.json")
    lines = [f"wrote {_line(f, caption, j)}" for f, caption, j in zip(files, captions, numbers["flicker"], strict=True)]
    lines += [f"WARNING: {numbers['warning']}"] if numbers["warning"] else []
    emit({"files": [str(f) for f in files], **numbers}, json, [*lines, *([FLOOR] if clips.shape[2] > 1 else [])])


def encode_command(video: str, *, out: str, device: str, json: bool, model) -> None:
    """Latents of a clip, as safetensors."""
    from latentlab.study.fidelity import fidelity

    check_file(out)
    generator = loaded(model, device=device)
    clip, note, fps = fitted(video, generator)
    latents = generator.encode(clip)
    known = fidelity(generator, clip, decoded=generator.decode(latents))
    write_tensors(out, "encoded", {"clip": video, "fitted": note}, {"latents": latents})
    settings = {"video": video, "fitted": note, "fps": fps}
    record_of(generator, "encode", settings, 0, known.numbers(), {"source": clip}).save(record_path(out))
    shape = list(latents.shape)
    lines = [note, *warned(known), f"latents {shape} -> {out}; decoding them gives {known.psnr[0]} dB"]
    emit({"file": out, "shape": shape, "psnr": known.psnr[0], "fitted": note, **known.numbers()}, json, lines)


def invert_command(
    video: str, *, caption: str, estimate: bool, levels, out, seed, device, json, model, steps, method, guidance
) -> None:
    """Noise of a clip, as safetensors, with the error of the way there and back."""
    from latentlab.generator.sampler import Sampler
    from latentlab.study.roundtrip import roundtrip

    check_file(out)
    generator = loaded(model, device=device)
    clip, note, _ = fitted(video, generator)
    sampler = Sampler(method, steps, levels, guidance)
    say(f"inverting by {method} in {steps} steps, and sampling back")
    trip = roundtrip(
        generator, clip, condition_of(generator, caption, model), sampler=sampler, estimate=estimate, progress=True
    )
    trip.inverted.save(out)
    settings = {
        "video": video,
        "fitted": note,
        "caption": caption,
        "steps": steps,
        "method": method,
        "levels": trip.inverted.levels_for,
        "guidance": guidance,
    }
    numbers = {**trip.numbers(), "known_psnr": trip.fidelity.known, "warning": trip.fidelity.warning}
    record = record_of(generator, "invert", settings, seed, numbers, {"source": clip, "again": trip.again})
    record.save(record_path(out))
    lines = [
        note,
        *warned(trip.fidelity),
        *(f"{name:20} {value:.4g}" for name, value in trip.numbers().items()),
        trip.verdict,
        f"noise {trip.inverted.estimate}" if estimate else "",
        f"noise, on levels for {trip.inverted.levels_for} -> {out}",
    ]
    said = {"latents_again": trip.latents_again, "levels": trip.inverted.levels_for, **numbers}
    emit({"file": out, "fitted": note, **said}, json, lines)


def interpolate_command(
    first: str, last: str, *, path, space, spacing, points, out, seed, device, json, model, steps, method, guidance
) -> None:
    """Clips between two clips, in a folder."""
    from latentlab.study.fidelity import fidelity

    check_target(Path(out) / "000.mp4")
    if space == "latent":
        given = {"steps": (steps, ANALYSE.num_steps), "method": (method, ANALYSE.method), "guidance": (guidance, 1.0)}
        idle = {name: value for name, (value, own) in given.items() if value != own}
        check_idle(idle, "is of a solver, which --space latent has none of")
    generator = loaded(model, device=device)
    (a, note_a, fps), (b, note_b, _) = fitted(first, generator), fitted(last, generator)
    ends = generator.encode(torch.cat([a, b]))
    known = fidelity(generator, torch.cat([a, b]), decoded=generator.decode(ends))
    options: dict[str, Any] = {"num_steps": steps, "method": method, "guidance": guidance, "batch_size": BATCH}
    if space == "noise":
        say(f"inverting two clips by {method} in {steps} steps, and sampling {points}")
        ends = generator.invert(ends, **options, levels="sampling", seed=seed, progress="inverting").noise

    def decode(line: Tensor) -> Video:
        return generator.decode(generator.sample(line, **options, progress="sampling") if space == "noise" else line)

    way = partial({"lerp": lerp, "slerp": slerp}[path], ends[:1], ends[1:])
    shown = decode if spacing == "uniform" else None
    clips = decode(walk(way, points, space=spacing, decode=shown).flatten(0, 1)).cpu()
    files = [Path(out) / f"{i:03d}.mp4" for i in range(points)]
    frames, numbers = _files(files, clips, fps)
    settings = {
        "first": first, "last": last, "path": path, "space": space, "spacing": spacing, "points": points, **options
    }  # fmt: skip
    numbers |= known.numbers()
    record_of(generator, "interpolate", settings, seed, numbers, frames).save(Path(out) / "record.json")
    lines = [note_a, note_b, *warned(known)]
    lines += [f"wrote {_line(f, None, j)}" for f, j in zip(files, numbers["flicker"], strict=True)]
    emit({"files": [str(f) for f in files], **numbers}, json, [*lines, FLOOR])


def _files(files: list[Path], clips: Video, fps: float) -> tuple[dict[str, Video], dict[str, Any]]:
    """Writes clips; returns what the files hold, by their names, and what was measured of each."""
    found = [written(file, clip, fps) for file, clip in zip(files, clips.split(1), strict=True)]
    frames = {file.name: video for file, (video, _) in zip(files, found, strict=True)}
    return frames, {name: [numbers[name] for _, numbers in found] for name in ("flicker", "file_psnr")}


def _strange(generator: Generator, clips: Video) -> str:
    """What speaks against clips that were drawn: captions unlike those of training make some that are like nothing."""
    from latentlab.study.fidelity import fidelity

    if generator.config.known_psnr is None or clips.shape[2] != generator.config.num_frames:
        return ""
    found = fidelity(generator, clips)
    if not any(found.foreign):
        return ""
    which = "the clip is" if len(clips) == 1 else f"{sum(found.foreign)} of {len(clips)} clips are"
    return (
        f"{which} like none that the model learned from: its own autoencoder leaves {min(found.psnr):.1f} dB, and "
        f"{found.known:.1f} or more of those; look; more steps, other words or another seed may help"
    )


def _line(file: Path, caption: str | None, jitter: float | None) -> str:
    silent = caption is not None and not caption.strip()
    drawn = ", drawn from all that the model knows, as the caption says nothing" if silent else ""
    return f"{file}{drawn}, {UNSEEN if jitter is None else f'flicker {jitter}'}"
