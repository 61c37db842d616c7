"""Words of a caption one by one: how much each weighs, when one takes over from another, and where each acts."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.overrides import TorchFunctionMode

from latentlab.checks import Seed, clear_errors
from latentlab.generator.condition import Condition
from latentlab.generator.generator import Generator
from latentlab.generator.guides import Guide
from latentlab.generator.native import NativeGenerator
from latentlab.generator.pipelines.pipeline import Pipeline
from latentlab.generator.solver import Velocity
from latentlab.shapes import Latents, Video
from latentlab.spaces.attention import LEVELS

LESS = 1 / 1.1  # weight of a word in brackets, as AUTOMATIC1111's page has it
SYNTAX = re.compile(
    r"\((?P<heavy>[^():|\[\]]+):(?P<weight>[^()]*)\)|\[(?P<light>[^\[\]()|]+)\]"
    r"|(?P<first>[\w-]+)\|(?P<other>[\w-]*)@(?P<at>[\d.]+)|(?P<plain>[^\s()\[\]|@]+)"
)
WEIGHED = re.compile(r"\([^()]+:[^()]*\)|\[[^\]]+\]|[\w-]\|[\w-]*@")  # what makes a caption one to be parsed
Where = Literal["velocity", "embedding", "attention"]


@dataclass(frozen=True)
class Prompt:
    """A caption whose words have weights, or change on the way.

    Attributes:
        words: of the caption, commas among them.
        weights: by the word's place, where it is not 1.
        switches: by the word's place: the word that takes over, and the flow time below which it does.

    >>> told = Prompt.parse("a (large:1.5) [red] star|circle@0.6")
    >>> told.caption(), told.caption(0.5), told.without(1)
    ('a large red star', 'a large red circle', 'a red star')
    >>> told.weights[1], round(told.weights[2], 2)
    (1.5, 0.91)
    """

    words: tuple[str, ...]
    weights: Mapping[int, float]
    switches: Mapping[int, tuple[str, float]]

    @staticmethod
    @clear_errors
    def parse(text: str) -> Prompt:
        """Reads `(word:1.3)`, `[word]` (a weight of 1 / 1.1) and `word|other@0.6` (from flow time 0.6 downwards).

        Raises:
            ValueError: a bracket without its other one, a weight or a flow time that is none.
        """
        words: list[str] = []
        weights: dict[int, float] = {}
        switches: dict[int, tuple[str, float]] = {}
        spaced, end = text.replace(",", " , "), 0
        for found in SYNTAX.finditer(spaced):
            if spaced[end : found.start()].strip():
                break
            end = found.end()
            weight = LESS if found["light"] else _number(found["weight"], text) if found["heavy"] else 1.0
            for word in (found["heavy"] or found["light"] or found["first"] or found["plain"]).split():
                if weight != 1:
                    weights[len(words)] = weight
                if found["first"]:
                    switches[len(words)] = found["other"], _number(found["at"], text, most=1.0)
                words.append(word)
        if rest := spaced[end:].strip():
            raise ValueError(f"{rest!r} in {text!r} is none of (word:1.3), [word], word|other@0.6")
        return Prompt(tuple(words), weights, switches)

    def caption(self, s: float = math.inf) -> str:
        """What is said at a flow time; at the beginning by default."""
        return " ".join(word for word in self._said(s) if word)

    def without(self, place: int, s: float = math.inf) -> str:
        """The same with one word left out."""
        return " ".join(word for i, word in enumerate(self._said(s)) if word and i != place)

    def _said(self, s: float) -> list[str]:
        changed = {i: other for i, (other, at) in self.switches.items() if s < at}
        return [changed.get(i, word) for i, word in enumerate(self.words)]


@dataclass(frozen=True)
class Prompted:
    """A generator that was told how much each word weighs; `generate` draws with it.

    Attributes:
        generator, condition: to sample with.
        guidance: that the weights were told for.
    """

    generator: Generator
    condition: Condition
    guidance: float

    def generate(self, *, count: int = 1, **options: Any) -> Video:
        """Clips, options as in `Generator.generate`."""
        return self.generator.generate(self.condition.expand(count), guidance=self.guidance, **options)


@clear_errors
def prompted(generator: Generator, text: str, *, where: Where = "velocity", guidance: float | None = None) -> Prompted:
    """A generator that weighs the words of a caption, in one of three places; weights of 1 are the caption to the bit.

    Args:
        generator: any that reads captions.
        text: a caption with `(word:1.3)`, `[word]` or `word|other@0.6`, see `Prompt.parse`.
        where: "velocity": `v + (weight - 1) guidance (v(caption) - v(caption without the word))`, at a call more for
            each such word; 0 is the caption without it, whatever the text tower. "embedding": the word's tokens, led
            from those of the empty caption (as compel does). "attention": log(weight) beside the logits of its tokens
            in cross-attention (as prompt-to-prompt reweights), which is for weights above 0.
        guidance: None is the generator's own.

    Raises:
        ValueError: syntax that is none, words that the model does not know, a place that this model has not.

    >>> import latentlab as ll
    >>> told = prompted(ll.load(device="cpu"), "a (large:1.5) red star")
    >>> told.generate(num_steps=1).shape
    torch.Size([1, 3, 16, 64, 64])
    """
    told = Prompt.parse(text)
    scale = float(generator.config.guidance if guidance is None else guidance)
    condition = generator.condition(told.caption())
    if where == "embedding":
        condition = _embedded(generator, told, condition)
    guides: list[Guide] = []
    if told.switches or (told.weights and where == "velocity"):
        guides.append(WordWeights(generator, told, scale, weigh=where == "velocity"))
    if told.weights and where == "attention":
        guides.append(AttentionWeights(generator, told))
    return Prompted(generator.guided(*guides) if guides else generator, condition, scale)


class WordWeights(Guide):
    """The guide of `prompted` at the velocity, and of words that take over from others.

    Args:
        generator: whose network reads the captions.
        told: the words.
        guidance: of the run.
        weigh: whether weights count here.
    """

    def __init__(self, generator: Generator, told: Prompt, guidance: float, *, weigh: bool = True) -> None:
        self.generator, self.told, self.guidance, self.weigh = generator.unguided, told, guidance, weigh
        self.known: dict[str, Condition] = {}
        for s in (math.inf, *(at - 1e-9 for _, at in told.switches.values())):  # words unknown are told before the work
            for caption in (told.caption(s), *(told.without(i, s) for i in told.weights if weigh)):
                self.known.setdefault(caption, generator.condition(caption))

    def __call__(self, velocity: Velocity, condition: Condition) -> Velocity:
        fields: dict[tuple[str, float], Velocity] = {}

        def under(caption: str, guidance: float) -> Velocity:
            if (caption, guidance) not in fields:
                told = replace(self.known[caption].expand(len(condition)), negative=condition.negative)
                fields[caption, guidance] = self.generator.velocity(told, guidance)
            return fields[caption, guidance]

        def field(y: Tensor, s: float) -> Tensor:
            caption = self.told.caption(s)
            v = velocity(y, s) if caption == self.told.caption() else under(caption, self.guidance)(y, s)
            if not self.weigh or not self.told.weights:
                return v
            own = under(caption, 1.0)(y, s)
            for place, weight in self.told.weights.items():
                lacks = under(self.told.without(place, s), 1.0)(y, s)
                v = v + (weight - 1) * self.guidance * (own - lacks)
            return v

        return field

    def settings(self) -> dict[str, Any]:
        said = {"words": list(self.told.words), "weights": list(self.told.weights.items()) if self.weigh else []}
        switches = [[i, *switch] for i, switch in self.told.switches.items()]
        return {"guide": "words", **said, "switches": switches, "guidance": self.guidance}


class AttentionWeights(Guide):
    """The guide of `prompted` in the attention: log(weight) is added to the logits of the words' tokens."""

    def __init__(self, generator: Generator, told: Prompt) -> None:
        if min(told.weights.values()) <= 0:
            raise ValueError(f"weights in the attention are above 0, got {min(told.weights.values()):g}")
        self.told, self.places = told, places(generator, told.caption())
        self.count = generator.condition(told.caption()).tokens.shape[1]
        self.bias = torch.zeros(self.count)
        for i, weight in told.weights.items():
            self.bias[self.places[i]] = math.log(weight)

    def __call__(self, velocity: Velocity, condition: Condition) -> Velocity:
        rows = len(condition)

        def field(y: Tensor, s: float) -> Tensor:
            with Biased(self.bias, rows):
                return velocity(y, s)

        return field

    def settings(self) -> dict[str, Any]:
        return {"guide": "attention", "words": list(self.told.words), "weights": list(self.told.weights.items())}


class Biased(TorchFunctionMode):
    """Adds to the logits of each token, in calls whose keys are as many as the tokens, for the last `rows` of a batch.

    Those before them are the empty caption of guidance, whose tokens are none of these words.
    """

    def __init__(self, bias: Float[Tensor, " token"], rows: int) -> None:
        super().__init__()
        self.bias, self.rows = bias, rows

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is F.scaled_dot_product_attention:
            named = dict(zip(("query", "key", "value", "attn_mask"), args, strict=False)) | kwargs
            query, key, mask = named["query"], named["key"], named.get("attn_mask")
            if key.shape[-2] == len(self.bias) != query.shape[-2]:
                logits = torch.zeros(len(query), 1, 1, len(self.bias), dtype=query.dtype, device=query.device)
                if mask is not None:
                    low = torch.finfo(query.dtype).min
                    logits = logits + (torch.where(mask, 0.0, low) if mask.dtype == torch.bool else mask).to(query)
                share = len(query) // 2 if len(query) > self.rows and len(query) % (2 * self.rows) == 0 else 0
                logits[share:] += self.bias.to(query)
                named |= {"attn_mask": logits}
                return func(**named, **{name: x for name, x in kwargs.items() if name not in named})
        return func(*args, **kwargs)


@clear_errors
def places(generator: Generator, caption: str) -> list[list[int]]:
    """Places of each word's tokens in what `generator.condition(caption)` holds; silent words have none.

    Raises:
        ValueError: a model whose tokenizer does not say where its tokens come from.

    >>> import latentlab as ll
    >>> places(ll.load(device="cpu"), "a red star")
    [[1], [2], [3]]
    """
    said = caption.replace(",", " , ").split()
    if isinstance(generator, NativeGenerator):
        heard, found, at = generator.clip.tokenize.words(caption), [], 0
        for word in said:
            read = at < len(heard) and heard[at] == word.lower()
            found.append([at + 1] if read else [])
            at += read
        return found
    tokenizer = getattr(generator.pipe, "tokenizer", None) if isinstance(generator, Pipeline) else None
    if tokenizer is None or not getattr(tokenizer, "is_fast", False):
        raise ValueError(f"{type(generator).__name__} does not say which tokens are which words; weigh the velocity")
    spans, at = [], 0
    for word in said:
        at = caption.index(word, at)
        spans.append((at, at + len(word)))
        at += len(word)
    offsets = tokenizer(caption, return_offsets_mapping=True)["offset_mapping"]
    return [[i for i, (a, b) in enumerate(offsets) if a < b and a < end and b > start] for start, end in spans]


def _embedded(generator: Generator, told: Prompt, condition: Condition) -> Condition:
    """The word's tokens, led away from those of the empty caption at their places."""
    empty, where, tokens = generator.condition(""), places(generator, told.caption()), condition.tokens.clone()
    for i, weight in told.weights.items():
        for place in where[i]:
            nothing = empty.tokens[:, min(place, int(empty.mask.sum()) - 1)]
            tokens[:, place] = nothing + weight * (tokens[:, place] - nothing)
    return Condition(parts={**condition.parts, "tokens": tokens}, negative=condition.negative)


@torch.no_grad()
@clear_errors
def word_effect(
    generator: Generator,
    latents: Latents,
    caption: str,
    other: str,
    *,
    levels: Sequence[float] = LEVELS,
    seed: Seed = 0,
) -> Float[Tensor, "batch 1 frame height width"]:
    """Where the network says something else under another caption: |v(caption) - v(other)|, mean over channels.

    With one word swapped it is where that word acts; with one left out it is where the network is then unsure, which is
    the object whatever the word. Measure each word above the level where it is decided (see `why`), for below it the
    clip says it already.

    Args:
        generator: any that reads captions.
        latents: of the clips.
        caption, other: that of the clips, and the one that it is held against.
        levels: flow times; their maps are averaged.
        seed: of the noise; item i depends on `(seed, i)` alone.

    >>> import latentlab as ll
    >>> generator, (clips, _) = ll.load(device="cpu"), ll.data.moving_shapes(1, seed=5)
    >>> word_effect(generator, generator.encode(clips), "a red star", "a blue star", levels=(0.9,)).shape
    torch.Size([1, 1, 16, 8, 8])
    """
    generator.check_latents(latents)
    told, held = (generator.condition(text).expand(len(latents)) for text in (caption, other))
    first, second = generator.velocity(told), generator.velocity(held)
    clean, total = latents.to(generator.device), torch.zeros(())
    noise = _noise(clean, seed)
    for s in levels:
        y = (1 - s) * clean + s * noise
        total = total + (first(y, float(s)) - second(y, float(s))).abs().mean(1, keepdim=True).cpu()
    return total / len(levels)


def _noise(like: Latents, seed: int) -> Latents:
    """Noise of each clip by `(seed, its number)`, of the size of latents."""
    rngs = [np.random.default_rng([seed, 3, i]) for i in range(len(like))]
    return torch.from_numpy(np.stack([rng.standard_normal(like.shape[1:], np.float32) for rng in rngs])).to(like)


def _number(text: str, whole: str, *, most: float = math.inf) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise ValueError(f"{text!r} in {whole!r} is no number") from error
    if not 0 <= value <= most:
        raise ValueError(f"{text} in {whole!r} lies outside of 0 to {most:g}")
    return value
