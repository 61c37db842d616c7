"""Where each word of a caption is looked at: maps over words, frames, layers, heads and levels, of any network.

Two kinds of attention carry captions. In cross-attention places of the clip ask tokens alone (U-Nets, Wan, LTX); in
joint attention clip and tokens are one sequence (SD3, FLUX, CogVideoX, HunyuanVideo), of which the part from places to
tokens is taken, normalised over the tokens. Where the tokens stand in that sequence is found by asking: the keys that
change in the first such layer when the tokens do are theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.overrides import TorchFunctionMode

from latentlab.checks import Seed, clear_errors
from latentlab.control.effect import noise_of
from latentlab.control.places import places, words_in
from latentlab.generator.condition import Condition
from latentlab.generator.generator import Generator
from latentlab.generator.levels import check_flow_times
from latentlab.shapes import CLAMPED, Latents, Video, check_video, in_a_line
from latentlab.spaces.attention import LEVELS, _placed, _weights
from latentlab.tensors import write_tensors

HOT = torch.tensor([1.0, 0.55, 0.1])  # of a map over a clip


@dataclass(frozen=True, eq=False)
class WordMaps:
    """Attention to each word.

    Attributes:
        words: of the caption that have tokens.
        levels: flow times.
        maps: shares of the attention to all tokens, at the size of the latents.
    """

    words: tuple[str, ...]
    levels: tuple[float, ...]
    maps: Float[Tensor, "batch level layer head word frame height width"]

    __repr__ = in_a_line

    def mean(self) -> Float[Tensor, "batch word frame height width"]:
        """Over levels, layers and heads."""
        return self.maps.mean((1, 2, 3))

    @clear_errors
    def of(self, word: str) -> Float[Tensor, "batch 1 frame height width"]:
        """The mean map of one word, as `latentlab.directions.above` takes it.

        Raises:
            ValueError: a word that is not there.
        """
        if word not in self.words:
            raise ValueError(f"no word {word!r} in the caption; it has {', '.join(self.words)}")
        return self.mean()[:, self.words.index(word)][:, None]

    @clear_errors
    def over(self, video: Video, word: str) -> Video:
        """The clip in grey, with the word's map over it in orange: bright where it is looked at most.

        Args:
            video: the clips that the latents are of.
            word: one of the caption.
        """
        check_video(CLAMPED, video=video)
        seen = self.of(word)
        low, high = seen.amin((2, 3, 4), keepdim=True), seen.amax((2, 3, 4), keepdim=True)
        heat = F.interpolate((seen - low) / (high - low).clamp(min=1e-12), video.shape[2:], mode="trilinear")
        grey = ((video.cpu() + 1) / 2).mean(1, keepdim=True) * 0.6
        return (grey + heat * (HOT[:, None, None, None] - grey) * 0.8).clamp(0, 1) * 2 - 1

    @clear_errors
    def save(self, path: str | Path) -> None:
        """Writes the arrays as safetensors, words and levels in the header."""
        about = {"words": " ".join(self.words), "levels": " ".join(f"{s:g}" for s in self.levels)}
        write_tensors(path, "word maps", about, {"maps": self.maps})


@torch.no_grad()
@clear_errors
def word_maps(
    generator: Generator,
    latents: Latents,
    caption: str,
    *,
    where: Mapping[str, Sequence[int]] | None = None,
    heads: bool = False,
    levels: Sequence[float] = LEVELS,
    seed: Seed = 0,
) -> WordMaps:
    """How much each place of a clip looks at each word of its caption, by level, layer and head.

    Such maps are the weakest explanation of what a word does; `word_effect`, with the word swapped, points at its
    object far better.

    Args:
        generator: whose denoiser attends to tokens by PyTorch's own function.
        latents: of the clips.
        caption: of them.
        where: places of each word's tokens; None asks the model's tokenizer.
        heads: whether each head has its map, where all layers have as many; else their mean.
        levels: flow times.
        seed: of the noise; item i depends on `(seed, i)` alone.

    Raises:
        ValueError: a denoiser without attention to the caption's tokens, layers of different numbers of heads.

    >>> import latentlab as ll
    >>> generator, (clips, _) = ll.load(device="cpu"), ll.data.moving_shapes(1, seed=5)
    >>> found = word_maps(generator, generator.encode(clips), "a red star", levels=(0.5,))
    >>> found.words, found.mean().shape
    (('a', 'red', 'star'), torch.Size([1, 3, 16, 8, 8]))
    """
    generator.check_latents(latents)
    check_flow_times(levels)
    condition = generator.condition(caption)
    _, count = _tokens(condition)
    if where is None:
        found = [(word, at) for word, at in zip(words_in(caption), places(generator, caption), strict=True) if at]
    else:
        found = [(word, list(at)) for word, at in where.items()]
    if not found or any(not 0 <= t < count for _, at in found for t in at):
        raise ValueError(f"tokens of words must be places from 0 to {count - 1}, got {dict(found)}")
    told = condition.expand(len(latents)).to(generator.device, generator.dtype)
    clean, noise = latents.to(generator.device), noise_of(latents.to(generator.device), seed)
    spots = [at for _, at in found]
    patch = generator.frame_patch
    rows = []
    for i in range(len(clean)):  # one at a time, as some networks take them
        states = [((1 - s) * clean[i : i + 1] + s * noise[i : i + 1], float(s)) for s in levels]
        own = told[i : i + 1]
        joint = joint_tokens(generator, *states[0], own)
        rows.append(
            torch.stack([_looked(generator, y, s, own, count, joint, spots, patch, heads) for y, s in states], 1)
        )
    return WordMaps(tuple(word for word, _ in found), tuple(map(float, levels)), torch.cat(rows))


def _looked(
    generator: Generator, y: Tensor, s: float, told: Condition, count: int, joint: slice | None,
    spots: Sequence[Sequence[int]], patch: int, heads: bool,
) -> Float[Tensor, "batch layer head word frame height width"]:  # fmt: skip
    """Maps of one state."""
    layers: list[Tensor | None] = []
    with Attended(count, joint, lambda weights: layers.append(_words_on(weights, spots, y.shape, patch, heads))):
        generator.predict(y, s, told)
    kept = [layer for layer in layers if layer is not None]
    if not kept:
        raise ValueError(f"no layer of this denoiser attends from places of the clip to the {count} tokens")
    if len({layer.shape[1] for layer in kept}) > 1:
        raise ValueError(f"layers have {sorted({x.shape[1] for x in kept})} heads; ask for their mean, heads=False")
    return torch.stack(kept, 1)


class Attended(TorchFunctionMode):
    """Shows the weights from places of the clip to tokens, `(row, head, query, token)`, layer by layer.

    Args:
        count: of tokens.
        joint: where they stand where clip and tokens are one sequence; None if they never are.
        show: what is done with the weights of a layer, before the next one is called.
    """

    def __init__(self, count: int, joint: slice | None, show: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.count, self.joint, self.show = count, joint, show

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            named = dict(zip(("query", "key", "value", "attn_mask"), args, strict=False)) | kwargs
            self.see(named["query"], named["key"], named.get("attn_mask"), kwargs.get("scale"))
        return func(*args, **kwargs)

    def see(self, query: Tensor, key: Tensor, mask: Tensor | None, scale: float | None) -> None:
        if key.shape[-2] == self.count != query.shape[-2]:
            self.show(_weights(query, key, mask, scale))
        elif self.joint is not None and key.shape[-2] == query.shape[-2] > self.count:
            start, stop = self.joint.start, self.joint.stop
            asks = torch.cat([query[..., :start, :], query[..., stop:, :]], -2)
            if mask is not None:
                mask = mask.expand(*mask.shape[:-2], query.shape[-2], key.shape[-2])
                mask = torch.cat([mask[..., :start, self.joint], mask[..., stop:, self.joint]], -2)
            self.show(_weights(asks, key[..., self.joint, :], mask, scale))


class _FirstKeys(TorchFunctionMode):
    """Keeps the keys of the first call in which queries are as many as keys."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: Tensor | None = None

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention and self.keys is None:
            named = dict(zip(("query", "key"), args, strict=False)) | kwargs
            self.keys = named["key"] if named["key"].shape[-2] == named["query"].shape[-2] else None
        return func(*args, **kwargs)


def _tokens(condition: Condition) -> tuple[str, int]:
    """The part of a condition that holds its tokens, and how many they are.

    Raises:
        ValueError: none does.
    """
    rows = {name: part for name, part in condition.parts.items() if part.ndim == 3 and part.is_floating_point()}
    name = "tokens" if "tokens" in rows else max(rows, key=lambda name: rows[name].shape[1], default="")
    if not name:
        raise ValueError(f"this condition has no tokens; its parts are {', '.join(condition.parts) or 'none'}")
    return name, rows[name].shape[1]


@torch.no_grad()
def joint_tokens(generator: Generator, y: Latents, s: float, condition: Condition) -> slice | None:
    """Where tokens stand in the sequence of joint attention: whose keys change in the first layer when they do.

    Args:
        generator: whose denoiser is asked.
        y, s: a state of one clip and its flow time.
        condition: of that clip.

    Returns:
        None where clip and tokens are no sequence together.
    """
    (tokens, count), kept = _tokens(condition), []
    told = condition.to(generator.device, generator.dtype)
    for sign in (1, -1):
        with _FirstKeys() as first:
            generator.predict(y, s, replace(told, parts={**told.parts, tokens: sign * told.parts[tokens]}))
        if first.keys is None:
            return None
        kept.append(first.keys)
    changed = (kept[0] != kept[1]).any(-1).flatten(0, -2).any(0).nonzero().flatten().tolist()
    if len(changed) != count or changed[-1] - changed[0] != count - 1:
        return None
    return slice(changed[0], changed[-1] + 1)


def _words_on(
    weights: Tensor, words: Sequence[Sequence[int]], shape: torch.Size, patch: int, heads: bool
) -> Float[Tensor, "batch head word frame height width"] | None:
    """Weights of words on the grid of latents; None where the queries fit none."""
    weights = weights.float().cpu()
    weights = weights if heads else weights.mean(1, keepdim=True)
    found = []
    for head in weights.unbind(1):
        grids = [_placed(head[..., list(at)].sum(-1), shape, patch) for at in words]
        if any(grid is None for grid in grids):
            return None
        found.append(
            torch.cat([F.interpolate(g, tuple(shape[2:]), mode="trilinear") for g in grids if g is not None], 1)
        )
    return torch.stack(found, 1)
