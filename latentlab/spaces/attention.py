"""Where a denoiser looks when it reads a word: maps of cross-attention, of which masks are made."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.overrides import TorchFunctionMode

from latentlab.checks import Seed, clear_errors
from latentlab.generator.clip_model import ARTICLES, SILENT, Tokenizer
from latentlab.generator.condition import Condition
from latentlab.generator.generator import Generator
from latentlab.shapes import Latents

LEVELS = (0.3, 0.5, 0.7)  # where a scene is drawn: later only details are, and earlier there is little to see


class Watched(TorchFunctionMode):
    """Shows the weights of every call of scaled dot-product attention whose keys are as many as the tokens.

    Args:
        tokens: how many.
        see: what is done with the weights `(row, head, query, token)` of a layer, before the next one is called.
    """

    def __init__(self, tokens: int, see: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.tokens, self.see = tokens, see

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            query, key = args[:2] if len(args) > 1 else (kwargs["query"], kwargs["key"])
            if key.shape[-2] == self.tokens != query.shape[-2]:
                mask = kwargs.get("attn_mask", args[3] if len(args) > 3 else None)
                self.see(_weights(query, key, mask, kwargs.get("scale")))
        return func(*args, **kwargs)


@contextmanager
@clear_errors
def watched(tokens: int) -> Iterator[list[Tensor]]:
    """Maps of cross-attention to so many tokens, of any network that attends by PyTorch's own function.

    >>> query, key = torch.zeros(1, 2, 6, 4), torch.zeros(1, 2, 3, 4)
    >>> with watched(3) as maps:
    ...     _ = F.scaled_dot_product_attention(query, key, key)
    >>> maps[0].shape, float(maps[0][0, 0, 0].sum())
    (torch.Size([1, 2, 6, 3]), 1.0)
    """
    maps: list[Tensor] = []
    with Watched(tokens, maps.append):
        yield maps


@torch.no_grad()
@clear_errors
def attention(
    generator: Generator,
    latents: Latents,
    condition: Condition,
    tokens: Sequence[int],
    *,
    levels: Sequence[float] = LEVELS,
    seed: Seed = 0,
) -> Float[Tensor, "batch 1 frame height width"]:
    """How much of the denoiser's attention at each place of a clip goes to some tokens of its caption.

    Clips are noised to some levels and shown to the denoiser under the caption; the weights of all its cross-attention
    layers are averaged over heads, layers and levels (prompt-to-prompt, Hertz et al. 2022; DAAM, Tang et al. 2023).
    `latentlab.directions.above` makes a mask of the map.

    Args:
        generator: whose denoiser; one whose captions enter by cross-attention.
        latents: of the clips.
        condition: of the caption, `generator.condition("a red star")`.
        tokens: places of the words in it, for the shipped model `words("a red star", "star")`. Which word finds an
            object differs between models, look with `latentlab.view.plots.attention`; here the object is where
            "background" is not looked at.
        levels: flow times.
        seed: of the noise; item i depends on `(seed, i)` alone.

    Returns:
        At the size of the latents; each row of weights sums to 1 over all tokens.

    Raises:
        ValueError: no such token, or a denoiser without cross-attention to them.

    >>> from latentlab import load
    >>> from latentlab.data import moving_shapes
    >>> generator, (video, _) = load(device="cpu"), moving_shapes(1)
    >>> told = generator.condition("a red star")
    >>> attention(generator, generator.encode(video), told, token_positions("a red star", "star"), levels=(0.5,)).shape
    torch.Size([1, 1, 16, 8, 8])
    """
    generator.check_latents(latents)
    told = condition.expand(len(latents)).to(generator.device, generator.dtype)
    count = told.tokens.shape[1]
    if not len(tokens) or not all(0 <= t < count for t in tokens):
        raise ValueError(f"tokens must be places from 0 to {count - 1} in the caption, got {list(tokens)}")
    patch = generator.frame_patch
    clean = latents.to(generator.device)
    rngs = [np.random.default_rng([seed, 2, i]) for i in range(len(latents))]
    noise = np.stack([rng.standard_normal(latents.shape[1:], np.float32) for rng in rngs])
    total, seen = torch.zeros(len(latents), 1, *latents.shape[2:]), 0

    def see(weights: Tensor) -> None:
        nonlocal total, seen
        grid = _placed(weights.mean(1)[..., list(tokens)].sum(-1), latents.shape, patch)
        if grid is not None:
            total += F.interpolate(grid.cpu(), total.shape[2:], mode="trilinear")
            seen += 1

    for s in levels:
        y = (1 - s) * clean + s * torch.from_numpy(noise).to(clean)
        with Watched(count, see):
            generator.predict(y, float(s), told)
    if not seen:
        raise ValueError(
            f"no layer of this denoiser attends from places of the clip to the {count} tokens of the caption alone"
        )
    return total / seen


@clear_errors
def token_positions(caption: str, wanted: str) -> list[int]:
    """Places of the shipped model's tokens that are one of the wanted words: words read stand between two marks.

    Raises:
        ValueError: the caption has none of them.

    >>> token_positions("a red star, which is moving left.", "red star left")
    [2, 3, 7]
    """
    said = [word for word in Tokenizer.split(caption) if word not in SILENT or word in ARTICLES]
    asked = Tokenizer.split(wanted)
    found = [i + 1 for i, word in enumerate(said) if word in asked]
    if not found:
        raise ValueError(f"none of {wanted!r} is in the caption {caption!r}")
    return found


def _weights(query: Tensor, key: Tensor, mask: Tensor | None, scale: float | None) -> Tensor:
    """softmax(QK' / sqrt(d)), masked by truth or by what is added."""
    logits = query.float() @ key.float().transpose(-1, -2) * (query.shape[-1] ** -0.5 if scale is None else scale)
    if mask is not None:
        logits = logits.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else logits + mask.float()
    return logits.softmax(-1)


def _placed(weights: Tensor, shape: torch.Size, patch: int) -> Tensor | None:
    """Weights `(row, query)` as grids `(clip, 1, frame, height, width)`, coarser than the latents by whole ratios.

    Rows are clips, or frames of clips. None where the number of queries fits no such grid.
    """
    clips, _, frame, height, width = shape
    for ratio in range(1, min(height, width) + 1):
        grid = clips, 1, frame // patch, height // ratio, width // ratio
        if not (height % ratio or width % ratio) and weights.numel() == math.prod(grid):
            return weights.reshape(grid)
    return None
