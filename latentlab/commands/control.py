"""Commands that tell a generator where and what."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from latentlab.commands.loading import condition_of, loaded, mask_of
from latentlab.commands.result import emit, fitted, record_of, record_path, say, warned, written
from latentlab.control import Control, ImagePrompt, extend, inpaint, read_control, read_known_region, read_reference
from latentlab.control.known_region import known_region_of
from latentlab.generator.generator import Generator
from latentlab.generator.pipelines.driven import Driven
from latentlab.video import check_target, read_fitted
from latentlab.weights import fingerprint

CONTROL = re.compile(r"(\w+)=(.+?)(?:=(-?\d*\.?\d+))?(?:@(\d*\.?\d+)-(\d*\.?\d+))?")


def with_controls(generator: Generator, given: Sequence[str], network: str | None) -> Generator:
    """The generator that follows pictures, told as KIND=FILE, KIND=FILE=STRENGTH or KIND=FILE=STRENGTH@HIGH-LOW."""
    of_pipeline = isinstance(generator, Driven)
    if network and not given:
        raise ValueError("--control-network follows pictures, and none is given: --control KIND=FILE")
    if not given:
        return generator
    pictures, strengths, levels = {}, {}, {}
    for text in given:
        found = CONTROL.fullmatch(text)
        if not found:
            raise ValueError(
                f"--control is KIND=FILE or KIND=FILE=STRENGTH@HIGH-LOW, as mask=a.png=0.8@1-0.5, got {text}"
            )
        kind, path, strength, high, low = found.groups()
        if kind in pictures:
            raise ValueError(f"--control {kind} is given twice; give one picture of a kind")
        pictures[kind] = _card(path, generator) if of_pipeline else _picture(kind, path, generator)
        strengths[kind], levels[kind] = float(strength or 1), (float(high or 1), float(low or 0))
    return generator.guided(Control(read_control(network, generator), pictures, strengths, levels))


def with_references(generator: Generator, given: Sequence[str], network: str | None) -> Generator:
    """The generator that looks at reference images, told as FILE or FILE=WEIGHT."""
    if network and not given:
        raise ValueError("--reference-network looks at images, and none is given: --reference FILE")
    if not given:
        return generator
    size, images, weights = (generator.config.height, generator.config.width), [], []
    for text in given:
        found = re.fullmatch(r"(.+?)(?:=(-?\d*\.?\d+))?", text)
        path, weight = (found[1], float(found[2] or 1)) if found else (text, 1.0)
        images.append(read_fitted(path, 1, size).video)
        weights.append(weight)
    return generator.guided(ImagePrompt(read_reference(network, generator), images, weights))


def _card(path: str, generator: Generator) -> Tensor:
    """A picture or clip in a file, in colours, in [0, 1]."""
    c = generator.config
    return read_fitted(path, c.num_frames, (c.height, c.width)).video / 2 + 0.5


def _picture(kind: str, path: str, generator: Generator) -> Tensor:
    """The picture in a file: white is 1, of classes the grey value is the number; flow is an array of NumPy."""
    c = generator.config
    if kind != "flow":
        picture = mask_of(path, torch.Size((c.num_frames, c.height, c.width)))
        return picture.mul(255).round() if kind == "classes" else picture
    if not Path(path).is_file():
        raise FileNotFoundError(f"no flow at {path}")
    try:
        flow = np.load(path, allow_pickle=False)
    except ValueError as error:
        raise ValueError(f"{path} is no array of numpy.save, (2, frames, height, width) of flow") from error
    return torch.from_numpy(np.asarray(flow, dtype=np.float32).reshape(-1, *flow.shape[-4:]))


def extend_command(
    video: str, *, by, caption, windows, known_region, out, seed, device, json, model, steps, method, guidance
) -> None:
    """A clip with more frames after its last."""
    from latentlab.study.fidelity import fidelity

    check_target(out)
    generator = loaded(model, device=device)
    condition = condition_of(generator, caption, model)
    clip, note, fps = fitted(video, generator)
    known = fidelity(generator, clip)
    solving = {"windows": windows, "num_steps": steps, "method": method, "guidance": guidance}
    run = None if known_region == "shipped" else known_region
    network = read_known_region(run, generator) if known_region else None
    say(f"drawing {by} frames more, by {method} in {steps} steps")
    longer = extend(generator, clip, by, condition, network=network, seed=seed, **solving)
    file, measured = written(Path(out), longer.cpu(), fps)
    settings = {"video": video, "fitted": note, "by": by, "caption": caption, "known_region": known_region, **solving}
    numbers = {**measured, "frames": file.shape[2], "warning": known.warning}
    record_of(generator, "extend", settings, seed, numbers, {"source": clip, "extended": file}).save(record_path(out))
    emit({"file": out, **numbers}, json, [note, *warned(known), f"wrote {out}, {file.shape[2]} frames"])


def inpaint_command(
    video: str, *, mask, caption, start, grow, feather, refine, blend, out, seed, device, json, model, steps, method,
    guidance,
) -> None:  # fmt: skip
    """A clip with what a mask covers drawn anew."""
    from latentlab.study.fidelity import fidelity

    check_target(out)
    generator = loaded(model, device=device)
    clip, note, fps = fitted(video, generator)
    where = mask_of(mask, clip.shape[2:])
    solving = {"num_steps": steps, "method": method, "guidance": guidance}
    options = {"start": start, "grow": grow, "feather": feather, "refine": refine, "blend": blend}
    network = known_region_of(generator, "auto")
    used = None if network is None else fingerprint(network)
    settings = {"video": video, "fitted": note, "mask": mask, "caption": caption, "known_region": used, **options}
    told = "" if network is None else ", with the known-region network"
    say(f"drawing what the mask covers, by {method} in {steps} steps{told}")
    condition = condition_of(generator, caption, model)
    found = inpaint(generator, clip, where, condition, network=network, seed=seed, **options, **solving)
    known = fidelity(generator, clip)
    file, measured = written(Path(out), found.video.cpu(), fps)
    numbers = {**found.numbers(), **measured, "warning": known.warning}
    frames = {"source": clip, "mask": where.expand(-1, 3, -1, -1, -1).mul(2).sub(1), "filled": file}
    record_of(generator, "inpaint", {**settings, **solving}, seed, numbers, frames).save(record_path(out))
    near = (
        "" if Path(out).suffix in ("", ".mkv") else f"the file is {measured['file_psnr']} dB from that, an mkv is equal"
    )
    emit({"file": out, **numbers}, json, [note, *warned(known), *found.lines(), f"wrote {out}", near])
