"""The chapters of a model whose clips nobody has factors of: captions take the place of what moving shapes know."""

from __future__ import annotations

import numpy as np
import torch

from latentlab.directions import edit
from latentlab.generator.generator import Generator
from latentlab.generator.image import ImageGenerator
from latentlab.generator.native import NativeGenerator
from latentlab.generator.sampler import Sampler
from latentlab.shapes import Video
from latentlab.study.sources import directions_of_captions, directions_of_labels
from latentlab.tour.walk import STRENGTHS, Walk
from latentlab.view.report import Section, Strip, line_figure

CAPTIONS = ("a red car", "a blue car", "a small dog", "a big dog")
ON_A_CPU = 17, 256  # frames, and pixels a side, of a pipeline's clips: at its own size nobody would wait for the end
DRAWN = 4  # clips of each, from the same noise


def without_factors(generator: Generator) -> bool:
    """Whether the factors of its clips are not known: all models but those of moving shapes."""
    return not isinstance(generator, NativeGenerator)


def captions_of(generator: Generator) -> tuple[str, ...]:
    """What it is told, the first two those between which a direction is found; classes where it knows no captions."""
    return generator.classes[: len(CAPTIONS)] if isinstance(generator, ImageGenerator) else CAPTIONS


def holding_note(generator: Generator, at_most: tuple[int, int] | None) -> str:
    """What the page says of the size of clips, where that was held to be no larger."""
    if at_most is None:
        return ""
    c, (frames, side) = generator.config, at_most
    kind = "Images" if c.num_frames == 1 else f"Clips of {c.num_frames} frames"
    return (
        f" {kind} are {c.height} x {c.width} here: without another size, pipelines are held to {frames} frames and "
        f"{side} pixels a side for the tour on a CPU, and what was trained at larger ones may draw worse at this "
        f"(--size {2 * c.height}x{2 * c.width} asks for another)."
    )


def drawn(generator: Generator, caption: str, *, seed: int, num_steps: int) -> Video:
    """A clip of the model's own."""
    return generator.generate(caption, seed=seed, num_steps=num_steps, batch_size=1).cpu()


def generated_chapter(walk: Walk) -> Section:
    walk.tick("generating from captions")
    captions = captions_of(walk.generator)
    clips = walk.generator.generate(list(captions), seed=walk.seed, num_steps=walk.num_steps, progress="sampling").cpu()
    players = [walk.player(f"generated {i}", clips[i : i + 1], caption) for i, caption in enumerate(captions)]
    c = walk.generator.config
    kind = "Images" if c.num_frames == 1 else "Clips"
    return Section(
        f"{kind} from captions",
        f"Noise becomes {kind.lower()} in {walk.num_steps} steps of the denoiser, under a caption with guidance "
        f"{c.guidance:g}.",
        [Strip(players)],
        "Nothing here reads factors from such pictures, so no number says whether they show what was asked for; look.",
    )


def edited_chapter(walk: Walk) -> Section:
    """A direction from the user's labels, or else between two captions, in latents; the source moves along it."""
    generator = walk.generator
    if walk.labels is not None:
        walk.tick("finding a direction from labels")
        found = directions_of_labels(generator, walk.labels)
        one = max(found, key=lambda direction: abs(direction.t) if np.isfinite(direction.t) else 0.0)
        title = f"A direction from labels: {one.name}"
        real = f" Of {len(found)} directions it is the surest: t {one.t:.1f}, p {one.p:.2f}." if one.t == one.t else ""
        how = f"Found from {found.provenance['given']}, by regression of latents on all labels together.{real}"
        unread = "whether anything else moves with the label, nobody reads"
    else:
        walk.tick("finding a direction between two captions")
        pair = captions_of(generator)[:2]
        sampler = Sampler("ddim", walk.num_steps, None, None, 1)
        found = directions_of_captions(generator, *pair, count=DRAWN, sampler=sampler, seed=walk.seed)
        one = found[found.names[0]]
        title = f"A direction from “{pair[0]}” to “{pair[1]}”"
        how = (
            f"{DRAWN} clips of each caption are drawn from the same noise; the mean difference of their latents is a "
            "direction, along which the source moves."
        )
        unread = "whether that is all that the captions differ in, nobody reads"
    source = generator.encode(walk.source).flatten(1).cpu()
    moved = torch.cat([edit(source, one, strength) for strength in STRENGTHS])
    clips = generator.decode(moved.reshape(-1, *generator.latent_shape)).cpu()
    apart = [round(float(x), 2) for x in (clips - clips[2:3]).abs().mean(dim=(1, 2, 3, 4)).mul(127.5)]
    told = {"name": one.name, "space": "latent", "given": found.provenance["given"], "strengths": list(STRENGTHS)}
    walk.numbers["direction"] = {**told, "moved_levels": apart}
    titles = [f"{s:+g} sd" for s in STRENGTHS]
    players = [
        walk.player(f"{one.name} {t}", clips[i : i + 1], t, f"moved {apart[i]:.1f}") for i, t in enumerate(titles)
    ]
    figure = line_figure(list(STRENGTHS), {"moved": apart}, "strength (standard deviations)", "mean 8-bit levels moved")
    return Section(
        title,
        f"{how} That takes the place of the exact factors that moving shapes have, which are not known here.",
        [Strip(players), figure],
        f"The source moves by {apart[0]:.1f} levels at {STRENGTHS[0]:+g} sd and by {apart[-1]:.1f} at "
        f"{STRENGTHS[-1]:+g}; {unread}.",
    )
