"""The tour: latentlab's whole job once, on the shipped model, ending in a report that opens offline."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm

from latentlab.data.moving.captions import HUES
from latentlab.data.moving.dataset import HELD_OUT_SEED, moving_shapes
from latentlab.data.moving.measure import measure
from latentlab.generator.generator import Generator, load
from latentlab.interpolate import lerp, slerp
from latentlab.metrics.temporal import flicker
from latentlab.record import Record, frame_hash
from latentlab.shapes import Video
from latentlab.study.edits import BEST, EditSpace, find_directions
from latentlab.study.roundtrip import roundtrip
from latentlab.video import read_fitted
from latentlab.view.report import Player, Report, Section, Strip, Table, line_figure

CAPTIONS = (
    "a bright large red star moving right on a blue background",
    "a bright small yellow circle moving up quickly on a green background",
    "a large cyan square moving down-left on a magenta background",
    "a bright large magenta triangle resting on a cyan background",
    "a dim large green cross moving left spinning clockwise on a red background",
)
STRENGTHS = (-2.0, -1.0, 0.0, 1.0, 2.0)
POSITIONS = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass
class _Walk:
    """What the chapters of the tour share and fill."""

    generator: Generator
    seed: int
    tick: Callable[[str], None]
    source: Video
    numbers: dict[str, Any] = field(default_factory=dict)
    frames: dict[str, str] = field(default_factory=dict)

    def player(self, name: str, clip: Video, title: str, *notes: str) -> Player:
        """A player of a clip, with its flicker; the clip's hash goes to the record."""
        jitter = float(flicker(clip).overall)
        self.frames[name] = frame_hash(clip)
        self.numbers.setdefault("flicker", {})[name] = round(jitter, 3)
        note = " · ".join([*notes, f"flicker {jitter:.2f}"])
        return Player(clip.cpu(), title, note, fps=self.generator.config.fps)


def tour(
    out: str | Path,
    *,
    video: str | Path | None = None,
    seed: int = 0,
    device: str = "auto",
    model: str | Path | None = None,
) -> Record:
    """Runs the tour and writes `report.html` and `record.json` to `out`.

    Args:
        out: folder.
        video: a clip of one's own to take apart, fitted to the model's size and length; None draws one.
        seed: of all randomness.
        device: "auto" is a GPU if there is one.
        model: generator folder; None is the shipped model.

    Returns:
        The record, as saved.
    """
    out = Path(out)
    began = time.perf_counter()
    chapters = (_generate, _round_trip, _interpolate, _edit)
    with tqdm(total=2 + len(chapters), desc="loading the model", bar_format="{l_bar}{bar}| {n}/{total} [{elapsed}]") as bar:

        def tick(doing: str) -> None:
            bar.update()
            bar.set_description(doing)

        generator = load(model, device=device)
        source, note = _source(video, generator, seed)
        walk = _Walk(generator, seed, tick, source)
        sections = [chapter(walk) for chapter in chapters]
        tick("writing the report")
        walk.numbers["seconds"] = round(time.perf_counter() - began, 1)
        settings = {"video": None if video is None else str(video), "fitted": note, "seed": seed}
        record = Record(
            "latentlab tour", settings, seed, str(generator.device), generator.fingerprint(), walk.numbers, walk.frames
        )
        _report(sections, record, note).save(out / "report.html")
        record.save(out / "record.json")
        bar.update()
    return record


def _source(video: str | Path | None, generator: Generator, seed: int) -> tuple[Video, str]:
    c = generator.config
    if video is not None:
        clip = read_fitted(video, c.num_frames, (c.height, c.width))
        return clip.video, clip.note
    shown = {"shape": 3, "hue": 50, "background_hue": 230, "speed": 0.7, "size": 8.5, "light": 0.9, "direction": 30}
    return moving_shapes(1, HELD_OUT_SEED + seed, fixed=shown)[0], "one clip of moving shapes that training never saw"


def _generate(walk: _Walk) -> Section:
    walk.tick("generating from captions")
    clips = walk.generator.generate(list(CAPTIONS), seed=walk.seed, progress="sampling").cpu()
    read = measure(clips)
    players = []
    for i, caption in enumerate(CAPTIONS):
        hue = HUES[round(float(read["hue"][i]) / 60) % 6] if read["hue"][i] == read["hue"][i] else "no object"
        players.append(walk.player(f"generated {i}", clips[i : i + 1], caption, f"measured hue: {hue}"))
    walk.numbers["generated"] = {
        caption: {k: round(float(read[k][i]), 3) for k in ("hue", "size", "direction", "speed", "light")}
        for i, caption in enumerate(CAPTIONS)
    }
    g = walk.generator.config.guidance
    return Section(
        "Clips from captions",
        f"Noise becomes a clip in 25 steps of the denoiser, under a caption with guidance {g:g}. Below each clip: the hue "
        "that closed-form measurement reads from its pixels, and its flicker in 8-bit levels.",
        [Strip(players)],
    )


def _round_trip(walk: _Walk) -> Section:
    rows, players = [], [walk.player("source", walk.source, "source")]
    for method in ("ddim", "midpoint"):
        walk.tick(f"inverting and sampling back ({method})") if method == "ddim" else None
        trip = roundtrip(walk.generator, walk.source, method=method, progress=True)
        n = trip.numbers()
        walk.numbers.setdefault("roundtrip", {})[method] = n
        rows.append([method, f"{n['autoencoder_psnr']:.1f}", f"{n['inversion_psnr']:.1f}", f"{n['total_psnr']:.1f}"])
        if method == "ddim":
            players.append(walk.player("autoencoder", trip.decoded, "autoencoder only", f"{n['autoencoder_psnr']:.1f} dB"))
        players.append(walk.player(f"roundtrip {method}", trip.again, f"there and back, {method}", f"{n['total_psnr']:.1f} dB"))
    return Section(
        "A clip, its noise, and back",
        "The clip is encoded, carried to the noise that the model would draw it from (25 steps, guidance 1), sampled and "
        "decoded. The error is split: what the autoencoder loses, what inversion and sampling add, and both together. "
        "More decibels are better; above 40 the eye sees no difference.",
        [Strip(players), Table(["method", "autoencoder only, dB", "inversion only, dB", "total, dB"], rows)],
    )


def _interpolate(walk: _Walk) -> Section:
    walk.tick("interpolating between two clips")
    other = moving_shapes(1, HELD_OUT_SEED + walk.seed + 1, fixed={"shape": 0, "hue": 300, "background_hue": 120})[0]
    ends = walk.generator.encode(torch.cat([walk.source, other]))
    noise = walk.generator.invert(ends, progress="inverting")
    parts, series = [], {}
    for name, path in (("lerp", lerp), ("slerp", slerp)):
        points = path(noise[:1], noise[1:], POSITIONS).flatten(0, 1)
        clips = walk.generator.decode(walk.generator.sample(points, progress=f"sampling {name}")).cpu()
        norms = (points.flatten(1).norm(dim=1) / points[0].numel() ** 0.5).tolist()
        series[name] = norms
        walk.numbers.setdefault("interpolation", {})[name] = {"noise_norm": [round(x, 4) for x in norms]}
        players = [
            walk.player(f"{name} {t:g}", clips[i : i + 1], f"{name} at {t:g}", f"norm {norms[i]:.2f}")
            for i, t in enumerate(POSITIONS)
        ]
        parts.append(Strip(players))
    figure = line_figure(list(POSITIONS), series, "position on the path", "norm of the noise / sqrt(dim)")
    return Section(
        "Between two clips",
        "Both clips are inverted and the noise between them is sampled. A straight line (lerp) cuts through the inside of "
        "the sphere on which Gaussian noise lives, so its norm sinks halfway; the great circle (slerp) stays on it.",
        [*parts, figure],
    )


def _edit(walk: _Walk) -> Section:
    walk.tick("finding a semantic direction")
    name = "light"
    space = EditSpace(walk.generator, BEST[name], walk.source)
    direction = find_directions(space, seed=walk.seed, progress=True)[name]
    clips = torch.cat([space.edit(direction, strength) for strength in STRENGTHS]).cpu()
    read = measure(clips)["light"]
    brightness = clips.add(1).mul(127.5).mean(dim=(1, 2, 3, 4)).tolist()
    walk.numbers["direction"] = {
        "name": name,
        "space": BEST[name],
        "strengths": list(STRENGTHS),
        "measured_light": [round(float(x), 4) for x in read],
        "mean_level": [round(x, 2) for x in brightness],
    }
    players = [
        walk.player(f"{name} {s:+g}", clips[i : i + 1], f"{name} {s:+g} sd", f"mean level {brightness[i]:.0f}")
        for i, s in enumerate(STRENGTHS)
    ]
    figure = line_figure(list(STRENGTHS), {"mean level": brightness}, "strength, standard deviations", "mean 8-bit level")
    return Section(
        "A direction that means something",
        f"Clips with known factors are encoded, and one joint regression of their codes on all factors gives a direction "
        f"for each. Here the clip moves along “{name}” in {BEST[name]} space; the curve is measured from the pixels.",
        [Strip(players), figure],
    )


def _report(sections: list[Section], record: Record, note: str) -> Report:
    lead = f"Source clip: {note or 'your video, as it is'}. Everything on this page is in record.json beside it."
    versions = ", ".join(f"{k} {v}" for k, v in record.versions.items())
    footer = (
        f"{record.command} · seed {record.seed} · {record.device} · {record.numbers['seconds']:.0f} s · "
        f"weights {record.weights[:12]} · {versions} · {record.made}"
    )
    return Report("latentlab tour", lead, sections, footer)
