"""What the words of a caption ask for."""

from __future__ import annotations

import re

from latentlab.checks import clear_errors
from latentlab.data.moving.captions import DIRECTIONS, HUES
from latentlab.data.moving.factors import SHAPES
from latentlab.study.change import Change, changes


@clear_errors
def named(caption: str) -> list[Change]:
    """What the words of a caption ask for: hue, background, shape and direction.

    >>> [str(change) for change in named("a blue star moving left on a green background")]
    ['shape to star', 'hue to 240', 'background_hue to 120', 'direction to 180']
    """
    found = words_of(caption)
    if not found:
        raise ValueError(
            f"{caption!r} names nothing that an edit can reach: no hue ({', '.join(HUES)}), no shape "
            f"({', '.join(SHAPES)}), no 'moving' and one of {', '.join(DIRECTIONS)}"
        )
    return changes(to={name: found[name] for name in ("shape", "hue", "background_hue", "direction") if name in found})


@clear_errors
def words_of(caption: str) -> dict[str, str]:
    """The factors that a caption names, and their words."""
    words = re.findall(r"[\w-]+", caption.lower())
    found: dict[str, str] = {}
    for i, word in enumerate(words):
        ground = words[i + 1 : i + 2] == ["background"]
        if word in HUES:
            found["background_hue" if ground else "hue"] = word
        elif word in SHAPES:
            found["shape"] = word
        elif word in DIRECTIONS and words[i - 1 : i] == ["moving"]:
            found["direction"] = word
    return found
