"""Where the words of a caption stand among the tokens that a denoiser reads."""

from __future__ import annotations

from typing import Any

from latentlab.checks import clear_errors
from latentlab.generator.generator import Generator
from latentlab.generator.native import NativeGenerator
from latentlab.generator.pipelines.driven import Driven
from latentlab.generator.pipelines.foreign import Tokenizes, part
from latentlab.generator.pipelines.pipeline import Pipeline


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
    tokenizer = part(generator.pipe, "tokenizer") if isinstance(generator, Pipeline | Driven) else None
    if not isinstance(tokenizer, Tokenizes) or not tokenizer.is_fast or not _reads(tokenizer, generator, caption):
        raise ValueError(f"{type(generator).__name__} does not say which tokens are which words; weigh the velocity")
    spans, at = [], 0
    for word in said:
        at = caption.index(word, at)
        spans.append((at, at + len(word)))
        at += len(word)
    offsets = tokenizer(caption, return_offsets_mapping=True)["offset_mapping"]
    return [[i for i, (a, b) in enumerate(offsets) if a < b and a < end and b > start] for start, end in spans]


def _reads(tokenizer: Any, generator: Generator, caption: str) -> bool:
    """Whether a condition's tokens are this tokenizer's; of several the first may be for a pooled caption alone."""
    if isinstance(generator, Pipeline):
        return True
    return len(tokenizer(caption, padding="max_length").input_ids) == generator.condition(caption).tokens.shape[1]
