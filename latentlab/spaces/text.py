"""The conditioning as codes, and captions that pull on the noise prediction."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from latentlab.checks import Count, Seed, clear_errors
from latentlab.generator.condition import Condition
from latentlab.generator.generator import Generator
from latentlab.generator.guides import Guide
from latentlab.generator.sampler import DRAW, Sampler
from latentlab.generator.solver import Velocity
from latentlab.shapes import Codes, Video
from latentlab.spaces.space import Described


class TextSpace(Described):
    """What the denoiser is told, flattened: caption tokens, then what else a model takes.

    Clips are drawn from one noise, so what differs between two of them is what was said. Tokens that are padding are
    zeros in a code, and a token of zeros is padding.

    Args:
        generator: whose text tower and denoiser.
        describe: gives captions of clips, for `encode`; None takes captions alone.
        seed: of the noise.
        sampler: see `Generator.generate`; the words below change one setting each.
        num_steps, method, guidance: see there.

    >>> import latentlab
    >>> space = TextSpace(latentlab.load())
    >>> red, blue = space.encode_captions(["a red star", "a blue star"])
    >>> bool((red != blue).any())
    True
    """

    @clear_errors
    def __init__(
        self,
        generator: Generator,
        *,
        describe: Callable[[Video], Sequence[str]] | None = None,
        seed: Seed = 0,
        sampler: Sampler = DRAW,
        num_steps: Count | None = None,
        method: str | None = None,
        guidance: float | None = None,
    ) -> None:
        self.generator, self.describe_clips = generator, describe
        sampler = sampler.but(num_steps=num_steps, method=method, guidance=guidance)
        self.guidance = sampler.guiding(generator.config.guidance)
        self.seed, self.num_steps, self.method = seed, sampler.num_steps, sampler.method
        self.sampler = replace(sampler, guidance=self.guidance)
        empty = generator.condition("")
        self.parts = {"tokens": empty.tokens.shape[1:]}  # raises where a model reads no captions
        self.parts |= {name: part.shape[1:] for name, part in empty.extras.items() if part.is_floating_point()}
        self.shape = tuple(self.parts["tokens"])
        if len(self.parts) > 1:
            self.shape = (sum(math.prod(shape) for shape in self.parts.values()),)
        self.fixed = {name: part for name, part in empty.extras.items() if not part.is_floating_point()}

    def settings(self) -> dict[str, Any]:
        names = ("seed", "num_steps", "method", "guidance")
        return {"weights": self.generator.fingerprint(), **{name: getattr(self, name) for name in names}}

    @clear_errors
    def encode(self, video: Video) -> Codes:
        """Codes of what is said of clips.

        Raises:
            ValueError: nobody says anything: there is no `describe`.
        """
        if self.describe_clips is None:
            raise ValueError("clips have no captions by themselves; give describe=, or use encode_captions")
        return self.encode_captions(self.describe_clips(video))

    @clear_errors
    def encode_captions(self, captions: str | Sequence[str]) -> Codes:
        """Codes `(sample, dim)` of captions."""
        told = self.generator.condition(captions)
        tokens = told.tokens * told.mask[..., None].to(told.tokens.dtype)
        if tokens.shape[1:] != self.parts["tokens"]:
            raise ValueError(f"captions make tokens {tuple(tokens.shape[1:])}, the empty one {self.parts['tokens']}")
        more = [told.extras[name].flatten(1).float() for name in self.parts if name != "tokens"]
        return torch.cat([tokens.flatten(1).float(), *more], 1)

    @clear_errors
    def condition(self, codes: Codes) -> Condition:
        """Codes as what the denoiser takes."""
        self.unflatten(codes)
        flat = codes.split([math.prod(shape) for shape in self.parts.values()], 1)
        parts = {name: part.reshape(-1, *shape) for (name, shape), part in zip(self.parts.items(), flat, strict=True)}
        tokens = parts.pop("tokens")
        fixed = {name: part.expand(len(codes), *part.shape[1:]) for name, part in self.fixed.items()}
        return Condition(tokens, tokens.abs().sum(-1) > 0, {**parts, **fixed})

    @clear_errors
    def decode(self, codes: Codes) -> Video:
        """Clips drawn under these codes, all from one noise."""
        noise = self.generator.noise(1, seed=self.seed).expand(len(codes), -1, -1, -1, -1)
        return self.generator.decode(self.generator.sample(noise, self.condition(codes), sampler=self.sampler))


@clear_errors
def pulled(generator: Generator, captions: tuple[str, str], strength: float, *, until: float = 0.0) -> Generator:
    """A generator whose noise prediction is pulled from one caption towards another.

    `v* = v + strength (v(second) - v(first))`: the target that concept sliders train for (Gandikota et al. 2024), used
    without training. It moves most evenly under a caption that leaves open what the pair is about ("a star"). What else
    it is told stays; networks are shared, and the generator given is left alone. It may invert and sample alike, though
    an inverted latent should be sampled by a pulled generator to be edited.

    Args:
        generator: the model.
        captions: from, to: ("a red star", "a blue star").
        strength: negative goes the other way, 0 changes nothing.
        until: flow time below which nothing is pulled: details stay those of the clip.

    Raises:
        ValueError: a strength that is not finite.

    >>> from latentlab import load
    >>> bluer = pulled(load(device="cpu"), ("a red star", "a blue star"), 1.0)
    >>> bluer.generate("a red star", num_steps=1).shape
    torch.Size([1, 3, 16, 64, 64])
    """
    return generator.guided(CaptionPull(generator.unguided, captions, strength, until))


class CaptionPull(Guide):
    """The guide of `pulled`: `v* = v + strength (v(second) - v(first))` from flow time `until` upwards.

    Args:
        generator: whose network reads the captions.
        captions, strength, until: see `pulled`.

    Raises:
        ValueError: a strength that is not finite.
    """

    def __init__(self, generator: Generator, captions: tuple[str, str], strength: float, until: float = 0.0) -> None:
        if not math.isfinite(strength):
            raise ValueError(f"strength must be finite, got {strength}")
        self.generator, self.captions, self.strength, self.until = generator, captions, strength, until
        self.pair = [generator.condition(caption) for caption in captions]

    def __call__(self, velocity: Velocity, condition: Condition) -> Velocity:
        if self.strength == 0:
            return velocity
        first, second = (self.generator.velocity(_beside(told, condition)) for told in self.pair)

        def field(y: Tensor, s: float) -> Tensor:
            v = velocity(y, s)
            return v if s < self.until else v + self.strength * (second(y, s) - first(y, s))

        return field

    def settings(self) -> dict[str, Any]:
        return {"guide": "pull", "captions": list(self.captions), "strength": self.strength, "until": self.until}


def _beside(told: Condition, condition: Condition) -> Condition:
    """A caption in the place of the clips' own; what else they are told, such as an image, stays."""
    told = told.expand(len(condition))
    return replace(told, extras={**condition.extras, **told.extras})
