"""Tells the attention to captions where what they name is, as training data know it (Wang et al. 2024, TokenCompose).

The error of the velocity alone teaches late, or never, which words belong to which of two objects: hues are decided
before shapes are seen, so that hardly any error tells the one red from the other. Exact places tell it at every level.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, cast, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from latentlab.data.moving.said import SaidObject
from latentlab.generator.blocks import Attention

OBJECTS = 2  # that words are told apart of


@runtime_checkable
class GroundedClips(Protocol):
    """Captioned clips of which it is known where the objects are that captions name."""

    def said(self, index: int, caption: str, *, frames: Sequence[int]) -> tuple[SaidObject, ...]:
        """The objects of a clip in the order of its caption; none where words do not tell them apart."""
        ...


def grounding_batch(said: Sequence[tuple[SaidObject, ...]], tokens: int, frames: int, side: int) -> dict[str, Tensor]:
    """Tokens that name each of two objects, and the share of each cell in which it is seen; else nothing.

    Args:
        said: of each clip of a batch.
        tokens: that a caption has, the start before its words.
        frames: in which objects are seen.
        side: of the latents, in cells.
    """
    words = torch.zeros(len(said), OBJECTS, tokens, dtype=torch.bool)
    places = torch.zeros(len(said), OBJECTS, frames, side, side)
    for row, objects in enumerate(said):
        if len(objects) != OBJECTS:
            continue
        for k, one in enumerate(objects):
            words[row, k, [1 + at for at in one.words]] = True
            places[row, k] = F.adaptive_avg_pool2d(torch.from_numpy(one.seen).float(), side)
    return {"words": words, "places": places}


def grounding_loss(
    maps: Sequence[Float[Tensor, "batch head query token"]],
    words: Bool[Tensor, "batch object token"],
    places: Float[Tensor, "batch object frame height width"],
) -> Float[Tensor, ""]:
    """Cross-entropy of whose words a cell looks at, given whose object is seen there; log 2 is chance.

    Args:
        maps: logarithm of each layer's attention to the tokens; queries are cells, frame by frame.
        words: which tokens name which object; clips where none do have no share in the loss.
        places: share of each cell in which the object is seen; where none is ever seen, the loss is 0.
    """
    told = words.flatten(1).any(1)
    if not told.any():
        return places.new_zeros(())
    losses = []
    for logs in maps:
        side = round((logs.shape[2] // places.shape[2]) ** 0.5)
        here = F.adaptive_avg_pool2d(places[told].flatten(0, 1), side).reshape(-1, OBJECTS, logs.shape[2])
        to = logs[told].float()[:, None].masked_fill(~words[told][:, :, None, None], -torch.inf)
        whose = torch.logsumexp(to, (2, 4)).log_softmax(1)  # over heads and tokens: (clip, object, query)
        seen = here.sum().clamp(min=torch.finfo(here.dtype).tiny)  # where all are hidden, 0 of them: no loss, not NaN
        losses.append(-(whose * here).sum() / seen)
    return torch.stack(losses).mean()


@contextmanager
def attention_maps(network: nn.Module) -> Generator[list[Tensor]]:
    """The logarithm of every attention to the caption, in the order of the layers, as `network` computes."""
    maps: list[Tensor] = []

    def watch(layer: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        if named.get("context") is not None:
            maps.append(cast(Attention, layer).log_weights(*inputs, context=named["context"], mask=named["mask"]))

    hooks = [
        layer.register_forward_pre_hook(watch, with_kwargs=True)
        for layer in network.modules()
        if isinstance(layer, Attention)
    ]
    try:
        yield maps
    finally:
        for hook in hooks:
            hook.remove()
