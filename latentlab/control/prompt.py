"""How a caption says what its words weigh, and when one takes over from another: `a (large:1.5) red|blue@0.6 star`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from latentlab.checks import clear_errors

LESS = 1 / 1.1  # weight of a word in brackets, as AUTOMATIC1111's page has it
SYNTAX = re.compile(
    r"\((?P<heavy>[^():|\[\]]+):(?P<weight>[^()]*)\)|\[(?P<light>[^\[\]()|]+)\]"
    r"|(?P<first>[\w-]+)\|(?P<other>[\w-]*)@(?P<at>[\d.]+)|(?P<plain>[^\s()\[\]|@]+)"
)
WEIGHED = re.compile(r"\([^()]+:[^()]*\)|\[[^\]]+\]|[\w-]\|[\w-]*@")  # what makes a caption one to be parsed


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


def _number(text: str, whole: str, *, most: float = math.inf) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise ValueError(f"{text!r} in {whole!r} is no number") from error
    if not 0 <= value <= most:
        raise ValueError(f"{text} in {whole!r} lies outside of 0 to {most:g}")
    return value
