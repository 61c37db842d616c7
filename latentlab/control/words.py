"""A caption whose words weigh, or take over from one another: in the velocity, the embedding or the attention."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.overrides import TorchFunctionMode

from latentlab.checks import clear_errors
from latentlab.control.places import places
from latentlab.control.prompt import Prompt
from latentlab.generator.condition import Condition
from latentlab.generator.generator import Generator
from latentlab.generator.guides import Guide
from latentlab.generator.solver import Velocity
from latentlab.names import Where
from latentlab.shapes import Video


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

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
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


def _embedded(generator: Generator, told: Prompt, condition: Condition) -> Condition:
    """The word's tokens, led away from those of the empty caption at their places."""
    empty, where, tokens = generator.condition(""), places(generator, told.caption()), condition.tokens.clone()
    for i, weight in told.weights.items():
        for place in where[i]:
            nothing = empty.tokens[:, min(place, int(empty.mask.sum()) - 1)]
            tokens[:, place] = nothing + weight * (tokens[:, place] - nothing)
    return Condition(parts={**condition.parts, "tokens": tokens}, negative=condition.negative)
