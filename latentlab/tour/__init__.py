"""The tour: latentlab's whole job once, on the shipped model or another, ending in a report that opens offline."""

from __future__ import annotations

import time
from pathlib import Path

import torch
from tqdm.auto import tqdm

from latentlab.data.labelled import labelled
from latentlab.data.moving.captions import HUES
from latentlab.data.moving.dataset import HELD_OUT_SEED, moving_shapes
from latentlab.data.moving.factors import SHAPES, SIDE
from latentlab.data.moving.measure import mask, measure
from latentlab.generator.generator import Generator
from latentlab.generator.load import find_device, load
from latentlab.generator.pipelines.coded import Coded
from latentlab.interpolate import lerp, slerp
from latentlab.metrics.perceptual import background_preservation, psnr
from latentlab.record import Record
from latentlab.shapes import Video
from latentlab.spaces import LatentSpace
from latentlab.study.account import account
from latentlab.study.fidelity import Fidelity, fidelity
from latentlab.study.roundtrip import roundtrip
from latentlab.study.sources import find_directions
from latentlab.study.steps import Step, draw
from latentlab.tour import captions
from latentlab.tour.captions import ON_A_CPU, drawn, holding_note, without_factors
from latentlab.tour.walk import STRENGTHS, Walk
from latentlab.video import read_fitted
from latentlab.view.report import Report, Section, Strip, Table, line_figure

CAPTIONS = (
    "a bright large red star moving right on a blue background",
    "a bright small yellow circle moving up quickly on a green background",
    "a large cyan square moving down-left on a magenta background",
    "a bright large magenta triangle resting on a cyan background",
    "a dim large green cross moving left spinning clockwise on a red background",
)
POSITIONS = (0.0, 0.25, 0.5, 0.75, 1.0)
FAR_FROM_NOISE = 0.2  # norms this far from 1 are hardly ever those of fresh noise
LEVEL = 0.02  # share of a norm by which it must fall to be called sunken


def tour(
    out: str | Path,
    *,
    video: str | Path | None = None,
    seed: int = 0,
    device: str = "auto",
    model: str | Path | Generator | None = None,
    num_steps: int = 25,
    labels: str | Path | None = None,
    at_most: tuple[int, int] | None = None,
) -> Record:
    """Runs the tour and writes `report.html` and `record.json` to `out`.

    Args:
        out: folder.
        video: a clip of one's own to take apart, fitted to the model's size and length; None draws one.
        seed: of all randomness.
        device: "auto" is a GPU if there is one.
        model: generator, or the folder of one; None is the shipped model. Of one that makes other clips than moving
            shapes, the clips come from captions, and so does the direction.
        num_steps: of the solver, in every chapter.
        labels: what is known of clips of one's own, see `data.labelled`; the direction is then found from them.
        at_most: frames and pixels a side that a pipeline was held to as it was loaded, which the page then says; a
            folder is loaded with `ON_A_CPU` there. A generator makes clips as it was told to.

    Returns:
        The record, as saved.
    """
    out = Path(out)
    began = time.perf_counter()
    chapters = (_generate, _round_trip, _interpolate, _edit)
    with tqdm(
        total=2 + len(chapters),
        desc="loading the model",
        bar_format="{l_bar}{bar}| {n}/{total} [{elapsed}]",
        disable=None,
    ) as bar:

        def tick(doing: str) -> None:
            bar.update()
            bar.set_description(doing)

        if not isinstance(model, Generator):
            at_most = at_most or (ON_A_CPU if find_device(device).type == "cpu" else None)
        generator = model if isinstance(model, Generator) else load(model, device=device, at_most=at_most)
        if without_factors(generator):
            chapters = (captions.generated_chapter, _round_trip, _interpolate, captions.edited_chapter)
        elif labels is not None:
            chapters = (*chapters[:-1], captions.edited_chapter)
        source, note = _source(video, generator, seed, num_steps)
        c = generator.config
        known = None if labels is None else labelled(labels, c.num_frames, (c.height, c.width))
        walk = Walk(generator, seed, tick, source, fidelity(generator, source), num_steps, known)
        walk.numbers["source"] = walk.known.numbers()
        sections = [chapter(walk) for chapter in chapters]
        tick("writing the report")
        walk.numbers["seconds"] = round(time.perf_counter() - began, 1)
        settings = {"video": None if video is None else str(video), "fitted": note, "num_steps": num_steps}
        settings |= {} if labels is None else {"labels": str(labels)}
        settings |= {"num_frames": c.num_frames, "height": c.height, "width": c.width}
        record = Record(
            "latentlab tour", settings, seed, str(generator.device), generator.fingerprint(), walk.numbers, walk.frames
        )
        held = at_most if isinstance(generator, Coded) else None
        _report(sections, record, note, walk.known, holding_note(generator, held)).save(out / "report.html")
        record.save(out / "record.json")
        bar.update()
    return record


def _source(video: str | Path | None, generator: Generator, seed: int, num_steps: int) -> tuple[Video, str]:
    c = generator.config
    if video is not None:
        clip = read_fitted(video, c.num_frames, (c.height, c.width))
        return clip.video, clip.note
    if without_factors(generator):
        caption = captions.captions_of(generator)[0]
        return drawn(generator, caption, seed=seed, num_steps=num_steps), f"drawn by the model: “{caption}”"
    shown = {"shape": 3, "hue": 50, "background_hue": 230, "speed": 0.7, "size": 8.5, "light": 0.9, "direction": 30}
    return moving_shapes(1, HELD_OUT_SEED + seed, fixed=shown)[0], "one clip of moving shapes that training never saw"


def _generate(walk: Walk) -> Section:
    walk.tick("generating from captions")
    clips = walk.generator.generate(list(CAPTIONS), seed=walk.seed, num_steps=walk.num_steps, progress="sampling").cpu()
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
        f"Noise becomes a clip in {walk.num_steps} steps of the denoiser, under a caption with guidance {g:g}.",
        [Strip(players)],
        "Below each clip: the hue that closed-form measurement reads from its pixels, and its flicker in 8-bit levels.",
    )


def _round_trip(walk: Walk) -> Section:
    walk.tick("inverting and sampling back")
    players, rows = [walk.player("source", walk.source, "source")], []
    for method in ("ddim", "midpoint"):
        trip = roundtrip(walk.generator, walk.source, method=method, num_steps=walk.num_steps, progress=True)
        n = walk.numbers.setdefault("roundtrip", {})[method] = trip.numbers()
        rows.append([method, n["autoencoder_psnr"], n["inversion_psnr"], n["total_psnr"]])
        if method == "ddim":
            loss = f"{n['autoencoder_psnr']:.1f} dB"
            players.append(walk.player("autoencoder", trip.decoded, "autoencoder only", loss))
        loss = f"{n['total_psnr']:.1f} dB"
        players.append(walk.player(f"roundtrip {method}", trip.again, f"there and back, {method}", loss))
    return Section(
        "A clip, its noise, and back",
        f"The clip is encoded, carried to the noise that the model would draw it from ({walk.num_steps} steps, "
        "guidance 1), sampled and decoded. The error is split: what the autoencoder loses, what inversion and sampling "
        "add, and both together.",
        [Strip(players), Table(["method", "autoencoder only (dB)", "inversion only (dB)", "total (dB)"], rows)],
        _lost(walk, trip.decoded.cpu()),
    )


def _lost(walk: Walk, decoded: Video) -> str:
    """What the autoencoder does to the clip, and to the object in it where there is one to be read."""
    if without_factors(walk.generator) or walk.known.warning or walk.source.shape[-2:] != (SIDE, SIDE):
        colour = walk.source.mean(dim=(2, 3, 4), keepdim=True).expand_as(walk.source)
        plain, said = float(psnr(colour, walk.source)[0]), f"More decibels are better: {walk.known}."
        if walk.known.psnr[0] > plain:
            return said
        return (
            f"{said} A frame of one colour, the clip's mean, would leave {plain:.1f} dB: this autoencoder keeps "
            "nothing of the clip, and all pictures below show its own patterns."
        )
    inside = mask(walk.source)[:, 0] > 0.5
    if not inside.any():
        return f"More decibels are better: {walk.known}; no object is seen in it."
    kept = float(background_preservation(decoded, walk.source, ~inside))
    before, after = (float(measure(clip)["shape"][0]) for clip in (walk.source, decoded))
    shapes = [SHAPES[int(x)] if x == x else "nothing" for x in (before, after)]
    walk.numbers["object"] = {"autoencoder_psnr": round(kept, 2), "shape_before": shapes[0], "shape_after": shapes[1]}
    frame = walk.known.psnr[0]
    return (
        f"More decibels are better, but most of the frame is plain background: through the autoencoder alone the frame "
        f"keeps {frame:.1f} dB, its object {kept:.1f}. The object is read as {shapes[0]} before and {shapes[1]} after."
    )


def _interpolate(walk: Walk) -> Section:
    walk.tick("interpolating between two clips")
    end = {"shape": 0, "hue": 300, "background_hue": 120, "size": 8.0, "light": 0.9}
    other = (
        drawn(walk.generator, captions.captions_of(walk.generator)[1], seed=walk.seed + 1, num_steps=walk.num_steps)
        if without_factors(walk.generator)
        else moving_shapes(1, HELD_OUT_SEED + walk.seed + 1, fixed=end)[0]
    )
    ends = walk.generator.encode(torch.cat([walk.source, other]))
    noise = walk.generator.invert(ends, num_steps=walk.num_steps, levels="sampling", progress="inverting").noise
    parts, norms, kept = [], {}, [0.0, 0.0]
    for name, path in (("lerp", lerp), ("slerp", slerp)):
        points = path(noise[:1], noise[1:], POSITIONS).flatten(0, 1)
        norms[name] = [round(float(x), 4) for x in points.flatten(1).pow(2).mean(1).sqrt()]
        latents = walk.generator.sample(points, num_steps=walk.num_steps, progress=f"sampling {name}")
        clips = walk.generator.decode(latents).cpu()
        kept = psnr(clips[[0, -1]].clamp(-1, 1), torch.cat([walk.source, other]).cpu()).tolist()
        ends_psnr = [round(x, 2) for x in kept]
        walk.numbers.setdefault("interpolation", {})[name] = {"noise_norm": norms[name], "ends_psnr": ends_psnr}
        parts.append(
            Strip(
                [
                    walk.player(f"{name} {t:g}", clips[i : i + 1], f"{name} at {t:g}", f"norm {norms[name][i]:.2f}")
                    for i, t in enumerate(POSITIONS)
                ]
            )
        )
    figure = line_figure(list(POSITIONS), norms, "position on the path", "root mean square of the noise")
    return Section(
        "Between two clips",
        "Both clips are inverted and the noise between them is sampled, along a straight line (lerp) and along a great "
        "circle (slerp). Fresh noise has a norm of 1 here; far from that the model has hardly met any noise.",
        [*parts, figure],
        f"The ends come out at {kept[0]:.1f} and {kept[1]:.1f} dB to the two clips. {_sunken(norms)}",
    )


def _sunken(norms: dict[str, list[float]]) -> str:
    """What the norms do between the ends of the paths, in words."""
    first, last, middle = norms["lerp"][0], norms["lerp"][-1], len(POSITIONS) // 2
    said = [f"The ends have norms of {first:.2f} and {last:.2f}"]
    for name, norm in norms.items():
        least = min(norm[1:-1])
        how = "sinks below both" if least < (1 - LEVEL) * min(first, last) else "stays at or above the lower"
        said.append(f"{name} has {norm[middle]:.2f} halfway and {how}")
    far = max(abs(first - 1), abs(last - 1)) > FAR_FROM_NOISE
    return "; ".join(said) + "." + (" Already the ends are far from what the model draws from." if far else "")


def _edit(walk: Walk) -> Section:
    walk.tick("finding a semantic direction")
    name = "light"
    direction = find_directions(walk.generator, seed=walk.seed, progress=True)[name]
    here = LatentSpace(walk.generator).around(walk.source)
    clips = torch.cat([draw([Step(direction, strength)], here).video for strength in STRENGTHS]).cpu()
    levels = [round(float(x), 2) for x in clips.add(1).mul(127.5).mean(dim=(1, 2, 3, 4))]
    walk.numbers["direction"] = {
        "name": name,
        "space": "latent",
        "strengths": list(STRENGTHS),
        "measured_light": [round(float(x), 4) for x in measure(clips)["light"]],
        "mean_level": levels,
    }
    told, kept = _moved(walk, clips)
    players = [
        walk.player(f"{name} {s:+g}", clips[i : i + 1], f"{name} {s:+g} sd", f"mean level {levels[i]:.0f}{kept[i]}")
        for i, s in enumerate(STRENGTHS)
    ]
    figure = line_figure(list(STRENGTHS), {"mean level": levels}, "strength (standard deviations)", "8-bit level")
    return Section(
        f"A direction for {name}",
        "Clips with known factors are encoded, and one joint regression of their codes on all factors gives a direction"
        f" for each. Here the clip moves along “{name}” in latent space.",
        [Strip(players), figure],
        f"Measured from the pixels, the mean level goes from {levels[0]:.0f} to {levels[-1]:.0f} and "
        f"{'rises' if levels == sorted(levels) else 'does not rise'} at every step. {told}",
    )


def _moved(walk: Walk, clips: Video) -> tuple[str, list[str]]:
    """What the strongest edit moved, and what else; and of each clip, whether it kept the contract of an edit."""
    if walk.known.warning or clips.shape[-2:] != (SIDE, SIDE):
        return "What else moved is not known: nothing reads the factors of such a clip.", [""] * len(clips)
    each = clips.clamp(-1, 1).split(1)
    unedited = each[STRENGTHS.index(0.0)]
    found = [
        account(unedited, clip, "light", towards=1 if s > 0 else -1)
        for clip, s in zip(each, STRENGTHS, strict=True)
        if s
    ]
    kept = {f"{s:+g}": one.kept for s, one in zip(filter(None, STRENGTHS), found, strict=True)}
    walk.numbers["direction"] |= {"account": found[-1].numbers(), "kept": kept}
    said = (
        f"At {STRENGTHS[-1]:+g} sd: {'; '.join(found[-1].lines())}. Of {len(kept)} strengths {sum(kept.values())} keep "
        "the contract: the target moves, and shape, size, colours, place and motion stay within their tolerances."
    )
    notes = {True: ", kept", False: ", not kept", None: ""}
    return said, [notes[kept.get(f"{s:+g}")] for s in STRENGTHS]


def _report(sections: list[Section], record: Record, note: str, known: Fidelity, held: str) -> Report:
    warning = f" {known.warning[0].upper()}{known.warning[1:]}." if known.warning else ""
    still = "" if "flicker" in record.numbers else " What has no motion has no flicker, so none is measured here."
    source = note or "your video, as it is"
    lead = f"Source clip: {source}.{warning}{still}{held} All on this page is in record.json beside it."
    versions = ", ".join(f"{k} {v}" for k, v in record.versions.items())
    footer = (
        f"{record.command} · seed {record.seed} · {record.device} · {record.numbers['seconds']:.0f} s · "
        f"weights {record.weights[:12]} · {versions} · {record.made}"
    )
    return Report("latentlab tour", lead, sections, footer)
