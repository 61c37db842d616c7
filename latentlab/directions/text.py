"""Directions from captions: a pair ("a red star", "a blue star") says from where to where."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from latentlab.checks import as_numbers, clear_errors
from latentlab.directions.design import as_numpy
from latentlab.directions.direction import Direction
from latentlab.directions.supervised import Effect
from latentlab.factors import Factor, FactorTable

Pair = tuple[str, str]
Embed = Callable[[Sequence[str]], Any]


@dataclass(kw_only=True, eq=False, repr=False)
class Text(Effect):
    """Effect directions of captions: codes regressed on how much more their clips look like one caption than another.

    A joint embedding such as CLIP's (Radford et al. 2021) says how a clip compares with two captions; the difference of
    the two cosines is the factor. No labels are needed, and several pairs are held apart as factors are by `Effect`.

    Args:
        pairs: (from, to) by the name of the direction.
        embed: captions to vectors `(caption, embedding)` in the joint space; None takes the differences of cosines
            themselves, one column for each pair, where embeddings cannot be had.
        ridge, folds, permutations, random_state: see `Effect`.

    >>> words = {"a dark star": [1.0, 0.0], "a bright star": [0.0, 1.0]}
    >>> light = np.random.default_rng(0).uniform(size=50)
    >>> pairs = {"light": ("a dark star", "a bright star")}
    >>> finder = Text(pairs=pairs, embed=lambda captions: np.array([words[c] for c in captions]))
    >>> seen = np.stack([1 - light, light], 1)  # what the same model says of the clips
    >>> finder.fit(np.stack([light, 0 * light], 1), seen)["light"].vector
    array([1., 0.])
    """

    pairs: Mapping[str, Pair] | None = None
    embed: Embed | None = None

    @clear_errors
    def fit(self, codes: Any, y: Any, groups: Any = None) -> Self:
        """Learns the directions.

        Args:
            codes: `(sample, dim)`.
            y: embeddings of the clips `(sample, embedding)`, from the same model as `embed`; see there.
            groups: which samples belong together, see `Effect.fit`.

        Raises:
            ValueError: no pairs to embed, a pair that the model cannot tell apart, or embeddings of another width.
        """
        if not self.pairs:
            if self.embed is not None:
                raise ValueError("Text needs pairs={name: (from, to)} for embed= to make directions of")
            return super().fit(codes, y, groups)
        told = as_numpy(y) if self.embed is None else contrasts(as_numpy(y), self.pairs, self.embed)
        specs = tuple(Factor(name, "continuous", -2, 2, "difference of cosines") for name in self.pairs)
        return super().fit(codes, FactorTable(np.asarray(told), specs), groups)


def contrasts(seen: np.ndarray, pairs: Mapping[str, Pair], embed: Embed) -> np.ndarray:
    """How much more like its second caption than its first each clip looks: differences of cosines `(sample, pair)`.

    Raises:
        ValueError: see `Text.fit`.
    """
    seen = as_numbers("embeddings of clips", seen).astype(np.float64)
    ends = [np.asarray(as_numpy(embed([pair[i] for pair in pairs.values()])), dtype=np.float64) for i in (0, 1)]
    if seen.ndim != 2 or seen.shape[1] != ends[0].shape[1]:
        raise ValueError(f"embeddings of clips must be (sample, {ends[0].shape[1]}) as those of captions, {seen.shape}")
    norms = np.linalg.norm(seen, axis=1)
    if not (np.isfinite(norms) & (norms > 0)).all():
        bad = int((~(np.isfinite(norms) & (norms > 0))).sum())
        raise ValueError(f"embeddings of {bad} of {len(seen)} clips are zero, NaN or infinite and have no cosine")
    first, second = (end / np.linalg.norm(end, axis=1, keepdims=True) for end in ends)
    same = np.linalg.norm(second - first, axis=1) < 1e-6
    if same.any():
        names = ", ".join(repr(name) for name, alike in zip(pairs, same, strict=True) if alike)
        raise ValueError(f"the model cannot tell the two captions of {names} apart")
    return seen / norms[:, None] @ (second - first).T


@clear_errors
def caption_direction(encode: Embed, pairs: Pair | Sequence[Pair], name: str | None = None) -> Direction:
    """The way from one caption to another in the conditioning; a strength of 1 is all of it.

    Args:
        encode: captions to codes `(caption, dim)`, such as `TextSpace.encode_captions`.
        pairs: one (from, to), or several that say the same of different things, whose differences are averaged. Within
            a pair captions should have the same number of words, since codes hold a word at its place.
        name: of the direction; None is the first pair, "a red star > a blue star".

    Raises:
        ValueError: captions that the codes do not tell apart.

    >>> codes = {"red": [1.0, 0.0], "blue": [1.0, 2.0]}
    >>> found = caption_direction(lambda captions: np.array([codes[c] for c in captions]), ("red", "blue"))
    >>> found.name, found.vector, found.scale
    ('red > blue', array([0., 1.]), 2.0)
    """
    if not len(pairs):
        raise ValueError("at least one pair of captions is needed, got none")
    several: Any = [pairs] if isinstance(pairs[0], str) else pairs
    chosen: list[Pair] = list(several)
    first, second = (np.asarray(as_numpy(encode([pair[i] for pair in chosen])), dtype=np.float64) for i in (0, 1))
    move = (second - first).mean(0)
    length = float(np.linalg.norm(move))
    name = name or " > ".join(chosen[0])
    if length == 0:
        raise ValueError(f"the captions of {name!r} have one code; say something else")
    return Direction(name, move / length, length)
