"""Commands on adapters and words: train one on a folder of pictures, put some on, say why a caption was not obeyed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from latentlab.commands.loading import led_away, loaded
from latentlab.commands.result import check_file, emit, fitted, record_of, say
from latentlab.generator.generator import Generator
from latentlab.generator.load import load
from latentlab.store import claimed

ENOUGH = 0.75  # share of the pictures' variance; less of it comes back as another look, as outlines do (0.6)


def with_adapters(generator: Generator, given: Sequence[str]) -> Generator:
    """The generator with adapters on, told as FILE or FILE=STRENGTH."""
    if not given:
        return generator
    strengths = {}
    for text in given:
        found = re.fullmatch(r"(.+?)(?:=(-?\d+(?:\.\d*)?|-?\.\d+))?", text)
        path, strength = (found[1], float(found[2] or 1)) if found else (text, 1.0)
        if path in strengths:
            raise ValueError(f"--adapter {path} is given twice; add the strengths up")
        strengths[path] = strength
    return generator.adapted(strengths)


def train_adapter_command(*, data, out, seed, device, json, **options) -> None:
    """Trains an adapter on a folder of pictures, and says what it does to a caption with and without the trigger."""
    from latentlab.train.adapter import AdapterTraining, train_adapter
    from latentlab.train.loop import is_main_process
    from latentlab.train.pictures import examples, share_kept
    from latentlab.train.runs import loop_told

    if data == "moving-shapes":
        raise ValueError("an adapter learns from pictures: --data FOLDER, with wave.txt beside wave.png as its caption")
    folder = Path(out)
    generator = load(options["model"], device=device)
    c = generator.config
    found = examples(data, c.num_frames, (c.height, c.width))
    keeps = share_kept(generator, found.video)
    shares = ", ".join(f"{name} {max(0.0, share):.0%}" for name, share in keeps.items() if name != "all")
    said = f"the autoencoder gives back {max(0.0, keeps['all']):.0%} of these"
    if is_main_process():
        say(f"{said} {len(found.captions)} pictures ({shares})")
    if keeps["all"] < ENOUGH and not options["anyway"]:
        raise ValueError(
            f"{said} pictures, and no adapter of the denoiser can draw the rest; train its decoder on them first "
            "(latentlab train autoencoder --autoencoder shipped --data FOLDER), or say --anyway"
        )
    config = AdapterTraining()
    own = {name: options[name] for name in ("kind", "trigger", "rank", "prior", "target") if options[name] is not None}
    config = replace(config, **own, loop=loop_told(config.loop, {**options, "seed": seed}))
    with claimed(folder):
        adapter = train_adapter(generator, found, folder, config)
    numbers = {"kept": keeps, **_afterwards(generator, adapter, next((x for x in found.captions if x), ""))}
    file = folder / "adapter.safetensors"
    lines = [
        f"{len(found.skipped)} files were left out" if found.skipped else "",
        f"without the word, clips differ from the base's by {numbers['levels_without']:.2f} of 255 levels; with it, by "
        f"{numbers['levels_with']:.2f}",
        f'wrote {file}; draw with it: latentlab generate "{adapter.about["trigger"] or ""}, ..." --adapter {file}',
    ]
    emit({"files": [str(file)], "pictures": len(found.captions), "skipped": found.skipped, **numbers}, json, lines)


def _afterwards(generator: Generator, adapter, caption: str) -> dict[str, float]:
    """How far clips with and without the trigger are from those of the base, in levels of 255."""
    changed = generator.adapted({adapter: 1.0})
    trigger = adapter.about["trigger"]
    behind = f"{trigger} , {caption}" if trigger and caption else trigger or caption
    options: dict[str, Any] = {"seed": 0, "num_steps": 10}
    base = generator.generate([caption] * 2, **options)

    def apart(said: str) -> float:
        return float((changed.generate([said] * 2, **options) - base).abs().mean() * 127.5)

    with torch.no_grad():
        return {"levels_without": apart(caption), "levels_with": apart(behind)}


def why_command(caption: str, *, video, adapter, training, out, seed, device, json, model, steps) -> None:
    """For each word of a caption, at which stage it was lost, and what to do."""
    from latentlab.control.why import why

    check_file(out)
    generator = with_adapters(led_away(loaded(model, device=device), model), adapter)
    clip, note, _ = fitted(video, generator) if video else (None, "", 0.0)
    lines = None if training is None else Path(training).read_text(encoding="utf-8").splitlines()
    say("following each word from the text to the clip")
    found = why(generator, caption, clip, training=lines, num_steps=steps, seed=seed)
    settings = {"caption": caption, "video": video, "steps": steps, "adapters": adapter, "training": training}
    settings["negative"] = model.negative
    record_of(generator, "why", settings, seed, found.numbers(), {"clip": found.video}).save(out)
    emit(found.numbers(), json, [note, *found.lines(), f"wrote {out}"])
