"""The command of batches: draw the clips of a brief, take their ratings, draw the next."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from latentlab.commands.adapters import with_adapters
from latentlab.commands.loading import condition_of, loaded, mask_of
from latentlab.commands.result import check_file, emit, record_of, say
from latentlab.control import inpaint
from latentlab.control.prompt import WEIGHED, Prompt
from latentlab.control.reference import Reference
from latentlab.control.words import prompted
from latentlab.data.moving import captions as moving
from latentlab.data.moving.factors import NAMES, SHAPES
from latentlab.data.moving.measure import measure
from latentlab.generator.generator import Generator
from latentlab.generator.native import NativeGenerator
from latentlab.generator.pipelines.coded import Coded
from latentlab.shapes import Video
from latentlab.store import claimed, write_text
from latentlab.study.batch import Batches, DrawnClip, read_ratings
from latentlab.study.brief import Brief
from latentlab.video import read, read_fitted
from latentlab.view.contact_sheet import Card, Served, contact_sheet

END = {
    "settled": "the ratings have settled it: the best setting is surely liked (97.5 %), and no other is likely to be",
    "ended": "that is as many ratings as the brief asked for",
}


def batch_command(brief: str, *, ratings, serve, out, device, json, model) -> None:
    """Draws what is to be drawn, after taking ratings; with `serve` until the ratings have settled it."""
    given = Brief.read(brief)
    folder = Path(out)
    check_file(folder / "contact.html")
    said = read_ratings(ratings) if ratings else {}
    generator = loaded(model, device=device)
    suffix = ".png" if generator.config.num_frames == 1 else ".mp4"
    draw = ClipDrawer(generator, given, model)
    draw.check()
    look = draw.shows if isinstance(generator, NativeGenerator) else None
    with claimed(folder):
        batches = Batches(
            given, folder, draw, look, model=generator.fingerprint(), suffix=suffix, fps=generator.config.fps
        )
        batches.rate(said)
        command = f"latentlab batch {brief} --out {out} --ratings ratings.csv"
        if serve is None:
            _drawn(batches)
            _sheet(batches, command)
        else:
            _served(batches, command, serve)
        numbers = _numbers(batches)
        settings = {"brief": brief, "ratings": ratings}
        record = record_of(generator, "batch", settings, given.seed, numbers, {})
        record.frames.update({clip.name: clip.frames for clip in batches.clips})
        record.save(folder / "record.json")
    page = folder / "contact.html"
    lines = [*_lines(batches), END.get(batches.state, f"rate the clips: open {page} in a browser, then {command}")]
    emit({"page": str(page), **numbers}, json, lines)


class ClipDrawer:
    """Draws one clip of a setting, and says which of some words it shows."""

    def __init__(self, generator: Generator, brief: Brief, model: Any) -> None:
        self.generator, self.brief = generator, brief
        self.model = replace(model, negative=brief.negative or model.negative)
        self.bases: dict[tuple[str, str], Generator] = {}

    def check(self) -> None:
        """Holds every caption and file of the brief against the model, before the first clip is drawn."""
        axes = self.brief.axes
        first = {name: values[0] for name, values in axes.items()}
        for name, values in axes.items():
            for value in values:
                setting = {**first, name: value}
                generator = self._base(setting)
                said = self.brief.said(setting)
                condition_of(generator, _plain(said), self._asked(setting))
                if control := setting.get("control"):
                    c = generator.config
                    mask_of(self._beside(control["mask"]), (c.num_frames, c.height, c.width))
                    read_fitted(self.brief.file(control["clip"]), c.num_frames, (c.height, c.width))

    def __call__(self, setting: Mapping[str, Any], seed: int) -> Video:
        generator, caption = self._base(setting), self.brief.said(setting)
        guidance = setting.get("guidance")
        condition = condition_of(generator, _plain(caption), self._asked(setting))
        if WEIGHED.search(caption):
            weighed = prompted(generator, caption, guidance=guidance)
            generator, guidance = weighed.generator, weighed.guidance
            condition = replace(weighed.condition, negative=condition.negative)
        options: dict[str, Any] = {"num_steps": self.brief.steps, "method": "ddim", "guidance": guidance, "seed": seed}
        if control := setting.get("control"):
            c = generator.config
            clip = read_fitted(self.brief.file(control["clip"]), c.num_frames, (c.height, c.width)).video
            mask = mask_of(self._beside(control["mask"]), clip.shape[2:])
            return inpaint(generator, clip, mask, condition, **options).video.cpu()
        return generator.generate(condition, **options).cpu()

    def shows(self, video: Video, caption: str, words: Sequence[str]) -> list[str]:
        """Words that a clip shows: by the reader of moving shapes, or by whether the model's CLIP fits them in."""
        native = self.generator
        if not words or not isinstance(native, NativeGenerator):
            return []
        kinds = {*moving.HUES, *moving.DIRECTIONS, *SHAPES}
        factors = measure(video).values[0] if video.shape[-2:] == (64, 64) else np.full(len(NAMES), np.nan)
        read = vars(moving.true_words(factors)).values() if np.isfinite(factors[NAMES.index("shape")]) else ()
        found = []
        for word in words:
            if word in kinds and len(read):
                found += [word] * (word in read)
            else:
                texts = [caption, f"{caption} , {word}"]
                scores = native.clip_model.score(video.expand(2, -1, -1, -1, -1).to(native.device), texts)
                found += [word] * bool(scores[1] > scores[0])
        return found

    def _base(self, setting: Mapping[str, Any]) -> Generator:
        """The generator with the adapter on; one that reads no images looks at the reference image while it draws."""
        given, image = setting.get("adapter", ""), setting.get("image", "")
        if (given, image) not in self.bases:
            found = with_adapters(self.generator, [self.brief.file(given)] if given else [])
            if image and not isinstance(found, Coded):
                c = found.config
                found = found.guided(Reference(read_fitted(self.brief.file(image), 1, (c.height, c.width)).video))
            self.bases[given, image] = found
        return self.bases[given, image]

    def _asked(self, setting: Mapping[str, Any]) -> Any:
        image = setting.get("image", "") if isinstance(self.generator, Coded) else ""
        return replace(self.model, image=self.brief.file(image)) if image else self.model

    def _beside(self, mask: str) -> str:
        return mask if mask.count(",") == 3 else self.brief.file(mask)


def _plain(caption: str) -> str:
    return Prompt.parse(caption).caption() if WEIGHED.search(caption) else caption


def _drawn(batches: Batches) -> None:
    for clip in batches.step():
        say(f"drew {batches.file(clip).name}: {_setting(clip)}")


def _served(batches: Batches, command: str, port: int) -> None:
    """Draws and waits for ratings by turns, until they have settled it or somebody interrupts."""
    shown: dict[str, Any] = {}

    def state() -> dict[str, Any]:
        return {"batch": shown["batch"], **({"end": END[batches.state]} if batches.state in END else {})}

    def turn() -> None:
        _drawn(batches)
        shown.update(page=_sheet(batches, command, post=True), batch=batches.last()[0].batch)

    turn()
    with Served(lambda: shown["page"], batches.rate, state, port=port) as served:
        say(f"rate the clips at {served.address}; interrupt to stop, what was rated stays")
        try:
            while batches.state not in END:
                if batches.state == "draw":
                    turn()
                time.sleep(0.2)
            time.sleep(2.0)  # so that the page hears of it
        except KeyboardInterrupt:
            pass
    _sheet(batches, command)


def _sheet(batches: Batches, command: str, *, post: bool = False) -> str:
    """Writes the page of the last batch."""
    said, fps = batches.ratings, batches.fps
    cards = [
        Card(c.name, read(batches.file(c)).video, c.caption, _rest(batches.brief, c), c.shows, said.get(c.name), fps)
        for c in batches.last()
    ]
    number = batches.last()[0].batch
    about = {"title": f"Batch {number + 1}", "batch": number, "notes": _lines(batches), "next": command}
    write_text(batches.folder / "contact.html", contact_sheet(cards, **about))
    return contact_sheet(cards, **about, post=True) if post else ""


def _setting(clip: DrawnClip) -> str:
    return ", ".join(f"{name} {value}" for name, value in clip.setting.items())


def _rest(brief: Brief, clip: DrawnClip) -> str:
    return ", ".join(f"{name} {v}" for name, v in clip.setting.items() if f"{{{name}}}" not in brief.caption)


def _numbers(batches: Batches) -> dict[str, Any]:
    said, taste = batches.ratings, batches.taste()
    found = [clip.name for clip in batches.clips if clip.shows] if batches.look else None
    about = {"state": batches.state, "clips": len(batches.clips), "rated": len(said), "liked": sum(said.values())}
    best = {"best": taste.best(), "values": taste.values()} if said else {}
    return {**about, "forbidden_seen": found, **best}


def _lines(batches: Batches) -> list[str]:
    """What is known of the taste."""
    said = batches.ratings
    lines = [f"{len(batches.clips)} clips, {len(said)} rated, {sum(said.values())} liked"]
    if batches.brief.forbidden and batches.look is None:
        lines.append("forbidden words were not looked for in the clips: nothing reads those of this model")
    for clip in batches.last():
        lines += [f"{clip.name} shows {', '.join(clip.shows)}, which is forbidden"] if clip.shows else []
    if said:
        taste = batches.taste()
        lines.append("liked most surely: " + ", ".join(f"{name} {value}" for name, value in taste.best().items()))
        for name, chances in taste.values().items():
            values = zip(batches.brief.axes[name], chances, strict=True)
            lines.append(f"{name}: " + ", ".join(f"{value or 'none'} {chance:.0%}" for value, chance in values))
    return lines
