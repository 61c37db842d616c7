"""Latents moved until the pixels that are known come out right."""

from __future__ import annotations

from collections.abc import Callable

import torch

from latentlab.generator.generator import Generator
from latentlab.generator.native import NativeGenerator
from latentlab.generator.pipelines.coded import Coded
from latentlab.shapes import Latents, Mask, Video

Decoder = Callable[[Latents], Video]
HELD = 0.1  # weight of the pixels in the hole, which should stay as they were drawn, beside those that are known


def decoder(generator: Generator) -> Decoder:
    """The generator's decoder, with gradients."""
    if isinstance(generator, NativeGenerator):
        return generator.autoencoder.decode
    if isinstance(generator, Coded):
        return generator.coder.decode
    raise ValueError(f"the decoder of {type(generator).__name__} is not known to have gradients; ask for refine=0")


def refined(
    decode: Decoder,
    latents: Latents,
    source: Video,
    hole: Mask,
    *,
    evaluations: int,
    callback: Callable[[], object] = lambda: None,
) -> Latents:
    """Latents whose clip is the source outside of a hole, and inside still what was drawn.

    Minimises sum of (1 - hole) (decode(z) - source)^2 + 0.1 hole (decode(z) - decode(latents))^2 over all latents by
    L-BFGS (Liu & Nocedal 1989), for each clip on its own. Known latents may move too: what a decoder that looks at
    whole frames spreads from the hole can only be taken back there.

    Args:
        decode: differentiable.
        latents: of clips, holes filled.
        source: the clips before.
        hole: at their size.
        evaluations: of the decoder and its gradient, at most.
        callback: called after each.
    """
    clips = zip(latents.split(1), source.split(1), hole.split(1), strict=True)
    found = [_one(decode, *clip, evaluations, callback) for clip in clips]
    return torch.cat(found)


def _one(
    decode: Decoder,
    latents: Latents,
    source: Video,
    hole: Mask,
    evaluations: int,
    callback: Callable[[], object],
) -> Latents:
    if hole.min() == 1:
        return latents  # nothing is known
    with torch.no_grad():
        drawn = decode(latents)
    move = torch.zeros_like(latents, requires_grad=True)
    search = torch.optim.LBFGS([move], max_iter=evaluations, max_eval=evaluations, line_search_fn="strong_wolfe")

    def error() -> float:
        callback()
        search.zero_grad()
        clip = decode(latents + move)
        value = ((1 - hole) * (clip - source).square()).sum() + HELD * (hole * (clip - drawn).square()).sum()
        value.backward()
        return value.item()

    with torch.enable_grad():
        search.step(error)
    return latents + move.detach()
