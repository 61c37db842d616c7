"""A brief: a caption with slots, axes of what may stand in them, and words that must not be seen."""

from __future__ import annotations

import difflib
import string
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from latentlab.checks import clear_errors
from latentlab.control.places import words_in

OWN = ("seed", "guidance", "adapter", "image", "control")  # axes that are no slot of the caption
KEYS = ("caption", "axes", "forbidden", "batch", "ratings", "seed", "steps")


@clear_errors
@dataclass(frozen=True)
class Brief:
    """What a series of batches is made of.

    Attributes:
        caption: with slots, "a {size} {hue} star".
        axes: values by slot; besides slots "seed" and "guidance" (numbers), "adapter" ("FILE=STRENGTH", "" for none),
            "image" (file of a reference image) and "control" ({clip =, mask =}: a clip that is drawn into, and where).
        forbidden: words that become the negative caption, and are looked for in what was drawn.
        batch: clips of a batch.
        ratings: after how many it ends at the latest.
        seed: of all randomness; clips have seeds of their own unless an axis says them.
        steps: of the solver.

    Raises:
        ValueError: a slot without an axis or an axis without a slot, values of the wrong kind, a word that is asked
            for and forbidden.

    >>> brief = Brief("a {hue} star", {"hue": ("red", "blue"), "guidance": (2.0, 4.0)}, forbidden=("green",))
    >>> brief.said({"hue": "red", "guidance": 2.0})
    'a red star'
    """

    caption: str
    axes: Mapping[str, Sequence[Any]]
    forbidden: Sequence[str] = ()
    batch: int = 6
    ratings: int = 60
    seed: int = 0
    steps: int = 25
    folder: Path = field(default=Path(), compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.caption, str) or not self.caption.strip():
            raise ValueError(f'caption must be text such as "a {{hue}} star", got {self.caption!r}')
        slots = _slots(self.caption)
        for slot in slots - self.axes.keys():
            raise ValueError(f"the caption has a slot {{{slot}}} and no axis has its values{_near(slot, self.axes)}")
        for name in self.axes.keys() - slots - set(OWN):
            raise ValueError(
                f"axis {name!r} is no slot of {self.caption!r}{_near(name, [*slots, *OWN])}; axes besides slots are "
                f"{', '.join(OWN)}"
            )
        for name, values in self.axes.items():
            if not isinstance(values, list | tuple) or not values:
                raise ValueError(f"axis {name!r} must be a list of values, got {values!r}")
            if any(values.count(value) > 1 for value in values):
                raise ValueError(f"axis {name!r} has a value twice: {values!r}")
            _check_kind(name, values)
        for key, least in (("batch", 1), ("ratings", 1), ("seed", 0), ("steps", 1)):
            value = getattr(self, key)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"{key} must be a whole number from {least} on, got {value!r}")
        if isinstance(self.forbidden, str) or not all(isinstance(word, str) and word for word in self.forbidden):
            raise ValueError(f'forbidden must be a list of words, such as ["green"], got {self.forbidden!r}')
        asked = words_in(" ".join([self.caption, *(str(v) for name in slots for v in self.axes[name])]).lower())
        for word in self.forbidden:
            if word.lower() in asked:
                raise ValueError(f"{word!r} is forbidden, and the caption or one of its axes asks for it")

    @staticmethod
    @clear_errors
    def read(path: str | Path) -> Brief:
        """The brief of a TOML file; files that it names are looked for beside it.

        Raises:
            ValueError: no TOML, a key that is none, saying which was likely meant.
        """
        path = Path(path)
        try:
            given = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is no TOML: {error}") from error
        for key in given.keys() - set(KEYS):
            raise ValueError(f"{path}: no key {key!r}{_near(key, KEYS)}; there are {', '.join(KEYS)}")
        for key in ("caption", "axes"):
            if key not in given:
                raise ValueError(f"{path}: {key} is missing")
        if not isinstance(given["axes"], dict) or not given["axes"]:
            raise ValueError(f'{path}: [axes] must name values, such as hue = ["red", "blue"], got {given["axes"]!r}')
        try:
            return Brief(**given, folder=path.resolve().parent)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    @clear_errors
    def said(self, setting: Mapping[str, Any]) -> str:
        """The caption of a setting; empty slots leave no double spaces."""
        if missing := sorted(_slots(self.caption) - set(setting)):
            raise ValueError(f"the setting lacks {', '.join(missing)}, got {sorted(setting)}")
        return " ".join(self.caption.format(**setting).split())

    @property
    def negative(self) -> str:
        """The forbidden words as a caption."""
        return " ".join(self.forbidden)

    @clear_errors
    def file(self, name: str) -> str:
        """A file that the brief names, beside it unless it says where."""
        return str(self.folder / name)


def _slots(caption: str) -> set[str]:
    try:
        return {slot for _, slot, _, _ in string.Formatter().parse(caption) if slot is not None}
    except ValueError as error:
        raise ValueError(f"caption {caption!r}: {error}; slots are words in braces, such as {{hue}}") from error


def _check_kind(name: str, values: Sequence[Any]) -> None:
    numbers = {"seed": int, "guidance": (int, float)}.get(name)
    if numbers is not None:
        if any(not isinstance(v, numbers) or isinstance(v, bool) or v < 0 for v in values):
            raise ValueError(f"axis {name!r} must hold numbers from 0 on, got {list(values)!r}")
    elif name == "control":
        for value in values:
            if value != "" and (not isinstance(value, dict) or value.keys() != {"clip", "mask"}):
                raise ValueError(
                    f'axis "control" must hold {{ clip = "a.mp4", mask = "0,0,32,32" }} or "" for none, got {value!r}'
                )
    elif any(not isinstance(v, str) for v in values):
        raise ValueError(f"axis {name!r} must hold text, got {list(values)!r}")


def _near(name: str, known: Any) -> str:
    found = difflib.get_close_matches(name, list(known), 1)
    return f", is it {found[0]!r}?" if found else ""
