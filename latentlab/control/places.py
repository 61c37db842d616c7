"""Where the words of a caption stand among the tokens that a denoiser reads."""

from __future__ import annotations

from latentlab.checks import clear_errors
from latentlab.generator.clip_model import PUNCTUATION
from latentlab.generator.generator import Generator
from latentlab.generator.native import NativeGenerator
from latentlab.generator.pipelines.driven import Driven
from latentlab.generator.pipelines.foreign import Tokenizes, part
from latentlab.generator.pipelines.pipeline import Pipeline


def words_in(caption: str) -> list[str]:
    """Words and commas of a caption, without the punctuation at their ends.

    >>> words_in("A red star, moving.")
    ['A', 'red', 'star', ',', 'moving']
    """
    return [word.strip(PUNCTUATION) or word for word in caption.replace(",", " , ").split()]


@clear_errors
def places(generator: Generator, caption: str) -> list[list[int]]:
    """Places of each word's tokens in what `generator.condition(caption)` holds; silent words have none.

    Raises:
        ValueError: a model whose tokenizer does not say where its tokens come from.

    >>> import latentlab as ll
    >>> places(ll.load(device="cpu"), "a red star")
    [[1], [2], [3]]
    """
    said = words_in(caption)
    if isinstance(generator, NativeGenerator):
        tokenize, found, at = generator.clip_model.tokenize, [], 1
        for word in said:
            count = len(tokenize.words(word)) if tokenize.split(word) else 0
            found.append(list(range(at, at + count)))
            at += count
        return found
    read_by = _tokenizers(generator, caption) if isinstance(generator, Pipeline | Driven) else []
    if not read_by:
        raise ValueError(f"{type(generator).__name__} does not say which tokens are which words; weigh the velocity")
    spans, at = [], 0
    for word in said:
        at = caption.index(word, at)
        spans.append((at, at + len(word)))
        at += len(word)
    offsets = []
    for tokenizer, start in read_by:
        own = tokenizer(caption, return_offsets_mapping=True)["offset_mapping"]
        offsets += [(start + i, a, b) for i, (a, b) in enumerate(own)]
    found = [[i for i, a, b in offsets if a < b and a < end and b > start] for start, end in spans]
    if isinstance(generator, Driven) and not _changes(generator, caption, found[-1]):
        raise ValueError(f"{generator.call.name} reads captions within a text of its own; weigh the velocity")
    return found


def _tokenizers(generator: Pipeline | Driven, caption: str) -> list[tuple[Tokenizes, int]]:
    """The tokenizers whose tokens a condition holds, each with the place where they begin; none that says where.

    Of several the first may be for a pooled caption alone (FLUX), or the last ones follow on the first (SD3).
    """
    found = [part(generator.pipe, f"tokenizer{end}") for end in ("", "_2", "_3")]
    fast = [one for one in found if isinstance(one, Tokenizes) and one.is_fast]
    if isinstance(generator, Pipeline) or not fast:
        return [(one, 0) for one in fast[:1]]
    total = generator.condition(caption).tokens.shape[1]
    lengths = [len(one(caption, padding="max_length").input_ids) for one in fast]
    if total in lengths:
        return [(fast[lengths.index(total)], 0)]
    if total == generator.call.max_tokens:
        return [(fast[-1], 0)]
    return [(fast[0], 0), (fast[2], lengths[0])] if len(fast) == 3 and lengths[0] < total else []


def _changes(generator: Driven, caption: str, last: list[int]) -> bool:
    """Whether another last word changes tokens from its place on, or all, as where each token has seen the others."""
    words = caption.split()
    if len(words) < 2 or words[0] == words[-1] or not last:
        return True
    before, after = (generator.condition(said).tokens for said in (caption, " ".join([*words[:-1], words[0]])))
    count = min(before.shape[1], after.shape[1])
    changed = (before[0, :count] != after[0, :count]).any(-1).nonzero()
    return bool(len(changed)) and int(changed[0]) in (0, last[0])
