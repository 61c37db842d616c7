"""A caption rewritten while the picture stays: attention of one run is put into another (prompt-to-prompt)."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import chain
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from latentlab.checks import Count, Seed, clear_errors
from latentlab.control.effect import word_effect
from latentlab.control.injected import SourceAttention, StatesOfRun
from latentlab.control.maps import joint_tokens
from latentlab.control.places import places, words_in
from latentlab.control.prompt import Prompt
from latentlab.directions.mask import above
from latentlab.generator.generator import Generator
from latentlab.generator.grid import check_mask, to_grid
from latentlab.generator.inverted import Inverted
from latentlab.shapes import Latents, Mask, Video, in_a_line


@dataclass(frozen=True, eq=False)
class Rewritten:
    """Two captions that are drawn side by side, see `rewrite`."""

    generator: Generator
    source: str
    target: Prompt
    cross: float
    own: float
    blend: Mask | float | None
    guidance: float

    __repr__ = in_a_line

    @clear_errors
    def generate(self, *, count: Count = 1, seed: Seed = 0, **options: Any) -> tuple[Video, Video]:
        """Clips under the source and under the target, of the same noise; options as in `Generator.sample`."""
        before, after = self.sample(self.generator.noise(count, seed=seed), **options)
        return self.generator.decode(before), self.generator.decode(after)

    @clear_errors
    def sample(self, noise: Latents | Inverted, **options: Any) -> tuple[Latents, Latents]:
        """Latents under the source and under the target; a clip that was inverted is edited."""
        start = noise.noise if isinstance(noise, Inverted) else noise
        run = {"guidance": self.guidance, **({"method": "ddim", "num_steps": 25} if start is noise else {}), **options}
        path, source = StatesOfRun(), self.generator.condition(self.source)
        before = self.generator.guided(path).sample(noise, source.expand(len(start)), **run)
        joint = joint_tokens(self.generator, before[:1], 0.5, source[:1])
        guide = SourceAttention(
            self.generator, source, path, aligned(self.generator, self.source, self.target.caption()),
            self._factors(), self.cross, self.own, self._mask(before), self.guidance, joint,
        )  # fmt: skip
        target = self.generator.condition(self.target.caption()).expand(len(start))
        return before, self.generator.guided(guide).sample(noise, target, **run)

    def _factors(self) -> Float[Tensor, " token"]:
        where = places(self.generator, self.target.caption())
        factors = torch.ones(self.generator.condition(self.target.caption()).tokens.shape[1])
        for i, weight in self.target.weights.items():
            factors[where[i]] = weight
        return factors

    def _mask(self, before: Latents) -> Mask | None:
        if self.blend is None or isinstance(self.blend, Tensor):
            return None if self.blend is None else to_grid(self.blend, self.generator.latent_shape[1:])
        acts = word_effect(self.generator, before, self.source, self.target.caption(), levels=(0.5, 0.7, 0.9))
        return above(acts, threshold=self.blend)


@clear_errors
def rewrite(
    generator: Generator,
    source: str,
    target: str,
    *,
    cross: float = 0.3,
    own: float = 0.6,
    blend: Mask | float | None = None,
    guidance: float | None = None,
) -> Rewritten:
    """Prompt-to-prompt (Hertz et al. 2022): a clip of the target caption that keeps what the source's clip looks like.

    Both are drawn of the same noise. In each call of cross-attention down to flow time `cross` the target's tokens take
    the maps that the source's had there (eq. 4 and 5 there): words that stand in both captions their own, a word that
    took the place of one of as many tokens that one's ("a red star" to "a blue star": swap), words that were added none
    ("a star" to "a red star": refine). `(word:1.5)` in the target multiplies its maps (reweight). Self-attention keeps
    the source's down to `own`, which holds the layout where attention carries it. What lies outside of `blend`
    follows the source to the bit, in latents.

    In the shipped model attention carries little of it: with all maps kept, size moved by 0.28 of its range under
    another hue word, and by 0.27 with none kept; outside the object pixels came within 19 dB of the source's, with
    blend=0.3 within 33 (`benchmarks/words.py --only rewrite --clips 3 --num-steps 8 --cross 0 --own 0`).

    Args:
        generator: whose denoiser attends to tokens by PyTorch's function, in layers of their own, or in one sequence
            with the clip (SD3, FLUX), of which the part from clip to tokens is taken for cross-attention.
        source, target: captions; the target may have weights, see `Prompt.parse`.
        cross, own: flow times down to which maps are kept; above 1 none is.
        blend: where the target may differ, of clips or their latents, or the share of the largest effect of the words
            from which on it may (`word_effect`; 0.3 is a start); None is everywhere.
        guidance: None is the generator's own.

    Raises:
        ValueError: words that the model does not know, tokens that are not told, a denoiser that attends otherwise.

    >>> import latentlab as ll
    >>> told = rewrite(ll.load(device="cpu"), "a red star", "a blue star")
    >>> before, after = told.generate(num_steps=1)
    >>> before.shape == after.shape
    True
    """
    told = Prompt.parse(target)
    if told.switches:
        raise ValueError(f"{target!r} changes on its way; a rewritten caption weighs its words alone")
    if isinstance(blend, Tensor):
        check_mask(blend)
    elif blend is not None and not 0 <= blend < 1:
        raise ValueError(f"blend is a mask, or a share of the largest effect below 1, got {blend}")
    aligned(generator, source, told.caption())  # words and tokens that are not known are told before the work
    scale = float(generator.config.guidance if guidance is None else guidance)
    return Rewritten(generator, source, told, float(cross), float(own), blend, scale)


def aligned(generator: Generator, source: str, target: str) -> Int[Tensor, " token"]:
    """For each token of the target that of the source whose map it takes; -1 where it keeps its own.

    >>> import latentlab as ll
    >>> generator = ll.load(device="cpu")
    >>> aligned(generator, "a red star", "a blue star")[:5].tolist()
    [0, 1, 2, 3, 4]
    >>> aligned(generator, "a star", "a red star")[:5].tolist()
    [0, 1, -1, 2, 3]
    """
    size = generator.condition(target).tokens.shape[1]
    old, new = places(generator, source), places(generator, target)
    first, second = map(words_in, (source, target))
    found = torch.full((size,), -1)
    for kind, a, b, c, d in SequenceMatcher(None, first, second, autojunk=False).get_opcodes():
        before, after = [*chain(*old[a:b])], [*chain(*new[c:d])]
        if kind in ("equal", "replace") and len(before) == len(after):
            found[after] = torch.tensor(before, dtype=found.dtype)
    ends = [[place for word in each for place in word] for each in (old, new)]
    start = min(ends[1], default=0)
    found[:start] = torch.arange(start)
    after, before = (max(end, default=-1) + 1 for end in (ends[1], ends[0]))
    rest = torch.arange(before, before + size - after)
    found[after:] = torch.where(rest < size, rest, -1)  # the end of the text, and padding
    return found
