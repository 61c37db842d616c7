"""Latents of an image that a pipeline holds in a clip, whatever is stepped: they are part of the condition."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from PIL import Image
from torch import Tensor

from latentlab.generator.condition import Condition
from latentlab.generator.pipelines.call import Call, Size
from latentlab.generator.pipelines.layout import Layout
from latentlab.generator.pipelines.reading import PAIR, Reading
from latentlab.generator.pipelines.remembered import differing
from latentlab.generator.pipelines.visit import Visit
from latentlab.shapes import Latents


def keeps(call: Call, size: Size, images: Sequence[Image.Image]) -> bool:
    """Whether an image is among what encoders answer, so that a condition holds it."""
    black = [Image.new("RGB", images[0].size)]
    seen = (call.answers(PAIR[:1], size, images=given) for given in (images, black))
    return bool(differing(*seen)) or not np.asarray(images[0]).any()


def held_latents(
    call: Call, reading: Reading, layout: Layout, size: Size, condition: Condition
) -> Float[Tensor, "batch latent"]:
    """Latents that no step moves: what comes to the autoencoder in their places."""
    rows = range(len(condition))
    batches = [slice(None)] if reading.batches else [slice(i, i + 1) for i in rows]
    found = []
    for each in batches:
        told = condition[each]
        start = torch.zeros(len(told) * layout.stepped[0], *layout.stepped[1:])
        seen = Visit("decode", returned=start, time=(1.0, 0.5), remembered=reading.answers(told, 1.0))
        call.visit(call.arguments([""] * len(told), size), seen)
        z = layout.normal(layout.of_clips(torch.cat(seen.decoded).float(), len(told)))
        found.append(z[:, layout.held.to(z.device)])
    return torch.cat(found)


def filled(
    latents: Latents, held: Bool[Tensor, "channel frame height width"], condition: Condition, name: str
) -> Latents:
    """The latents of a pipeline of this name, the image's in their places.

    Raises:
        ValueError: the condition says nothing of them, or of others.
    """
    told = condition.parts.get("held")
    if told is None or told.shape[1] != int(held.sum()):
        raise ValueError(
            f"{name} holds the image's latents in {int(held.sum())} places, of which this condition says "
            f"{'nothing' if told is None else told.shape[1]}; make it by generator.condition(..., image=...) at "
            "this size"
        )
    filled = torch.zeros(len(told), *held.shape, dtype=latents.dtype, device=latents.device)
    filled[:, held] = told.to(latents)
    return torch.where(held, filled, latents)
