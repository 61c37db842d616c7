"""The chapters of a model whose clips nobody has factors of: captions take the place of what moving shapes know."""

from __future__ import annotations

import numpy as np
import torch

from latentlab.directions import MeanDifference, edit
from latentlab.generator.generator import Generator
from latentlab.generator.image import ImageGenerator
from latentlab.generator.native import NativeGenerator
from latentlab.shapes import Video
from latentlab.tour.walk import STRENGTHS, Walk
from latentlab.view.report import Section, Strip, line_figure

CAPTIONS = ("a red car", "a blue car", "a small dog", "a big dog")
DRAWN = 4  # clips of each, from the same noise


def without_factors(generator: Generator) -> bool:
    """Whether the factors of its clips are not known: all models but those of moving shapes."""
    return not isinstance(generator, NativeGenerator)


def captions_of(generator: Generator) -> tuple[str, ...]:
    """What it is told, the first two those between which a direction is found; classes where it knows no captions."""
    return generator.classes[: len(CAPTIONS)] if isinstance(generator, ImageGenerator) else CAPTIONS


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
    """A direction between two captions: in latents of clips drawn under both from the same noise."""
    walk.tick("finding a direction between two captions")
    generator, options = walk.generator, {"num_steps": walk.num_steps, "method": "ddim"}
    pair, noise = captions_of(generator)[:2], generator.noise(DRAWN, seed=walk.seed)
    sides = [
        generator.sample(noise, caption, guidance=generator.config.guidance, batch_size=1, **options)
        for caption in pair
    ]
    codes = torch.cat(sides).flatten(1).cpu()
    name = " > ".join(pair)
    found = MeanDifference(names=[name], share=0.5, folds=0, permutations=0).fit(
        codes, np.repeat([[0.0], [1.0]], DRAWN, axis=0)
    )[name]
    source = generator.encode(walk.source).flatten(1).cpu()
    moved = torch.cat([edit(source, found, strength) for strength in STRENGTHS])
    clips = generator.decode(moved.reshape(-1, *generator.latent_shape)).cpu()
    apart = [round(float(x), 2) for x in (clips - clips[2:3]).abs().mean(dim=(1, 2, 3, 4)).mul(127.5)]
    walk.numbers["direction"] = {"name": name, "space": "latent", "strengths": list(STRENGTHS), "moved_levels": apart}
    titles = [f"{s:+g} sd" for s in STRENGTHS]
    players = [walk.player(f"{name} {t}", clips[i : i + 1], t, f"moved {apart[i]:.1f}") for i, t in enumerate(titles)]
    figure = line_figure(list(STRENGTHS), {"moved": apart}, "strength (standard deviations)", "mean 8-bit levels moved")
    return Section(
        f"A direction from “{pair[0]}” to “{pair[1]}”",
        f"{DRAWN} clips of each caption are drawn from the same noise; the mean difference of their latents is a "
        "direction, along which the source moves. Exact factors, which moving shapes have, are not known here.",
        [Strip(players), figure],
        f"The source moves by {apart[0]:.1f} levels at {STRENGTHS[0]:+g} sd and by {apart[-1]:.1f} at "
        f"{STRENGTHS[-1]:+g}; whether that is all that the captions differ in, nobody reads.",
    )
