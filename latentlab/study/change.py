"""What an edit is to reach, in the factor's own unit: `to={"hue": 240}`, `by={"size": "*1.25"}`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from latentlab.checks import clear_errors
from latentlab.data.moving.captions import DIRECTIONS, HUES
from latentlab.data.moving.edits import EDITS, PLACE
from latentlab.data.moving.factors import FACTORS, NAMES, SHAPES, SIDE
from latentlab.data.moving.scenes import MARGIN, OWN

ALIASES = {"background": "background_hue", "colour": "hue", "color": "hue", "brightness": "light"}
SPEC = {spec.name: spec for spec in FACTORS}
WORDS: dict[str, dict[str, float]] = {
    "hue": {word: 60.0 * i for i, word in enumerate(HUES)},
    "background_hue": {word: 60.0 * i for i, word in enumerate(HUES)},
    "direction": {word: 45.0 * i for i, word in enumerate(DIRECTIONS)},
    "shape": {word: float(i) for i, word in enumerate(SHAPES)},
}
SLACK = 0.02  # share of a range by which a reading may lie outside of it
MOVING = 0.05  # pixels a frame; a motion that is slower has no direction to change
FADED = 30.0  # degrees between the hues of object and background, below which one vanishes in the other
WIDE = {"start_x": (MARGIN, SIDE - MARGIN), "start_y": (MARGIN, SIDE - MARGIN)}  # where one of two objects may be
SECOND = ".2"  # behind the names of the second object's factors, as in tables
NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)"

Value = float | str | Sequence[float]


@clear_errors
@dataclass(frozen=True)
class Change:
    """One factor that is to change, and all else to stay.

    Attributes:
        name: of `EDITS`: a factor, or "place", which is two.
        how: "to" a value, "by" a difference, or "times" a factor.
        value: two numbers for a place, one else; a shape is its index.
        object: of which of two objects it is, 0 the first; a factor of the second is asked for as "hue.2".
    """

    name: str
    how: str
    value: tuple[float, ...]
    object: int = 0

    def __post_init__(self) -> None:
        if self.name not in EDITS or len(self.value) != len(self.columns):
            raise ValueError(f"{self.name!r} and {self.value!r} are no factor that an edit can change and its value")

    @staticmethod
    @clear_errors
    def of(name: str, value: Value, how: str = "to") -> Change:
        """Reads what a user asks for.

        Args:
            name: a factor, or place; of the second of two objects, the one further right, "hue.2".
            value: a number; for a hue or a direction also its word, for a shape its word, for a place two numbers, such
                as (5, 0) or "+5,0". By a factor: "*1.25".
            how: "to" or "by".

        Raises:
            KeyError: no such factor.
            ValueError: no such value, or one outside of the factor's range.

        >>> Change.of("hue", "blue"), Change.of("size", "*1.25", "by").how
        (Change(name='hue', how='to', value=(240.0,), object=0), 'times')
        """
        if how not in ("to", "by"):
            raise ValueError(f'how is "to" or "by", got {how!r}')
        asked, second = name, name.endswith(SECOND)
        name = name.removesuffix(SECOND)
        name = ALIASES.get(name, name)
        if name not in EDITS:
            raise KeyError(f"no factor {asked!r} that an edit can change; there are {', '.join(EDITS)}")
        if second:
            if name not in (*OWN, "place"):
                raise KeyError(f"{name} is of the whole clip, so that there is no {asked!r}: ask for {name!r}")
            return replace(Change.of(name, value, how), object=1)
        if how == "by" and isinstance(value, str) and value.strip()[:1] in "*x" and name in ("size", "speed", "light"):
            change = Change(name, "times", (_number(name, value.strip()[1:]),))
            if change.value[0] <= 0:
                raise ValueError(f"{name} can be multiplied by a number above 0, got {value!r}")
            return change
        if how == "by" and name == "shape":
            raise ValueError(f"a shape has no distance to others: ask for it by to, one of {', '.join(SHAPES)}")
        word = WORDS.get(name, {}).get(value.strip()) if isinstance(value, str) and how == "to" else None
        if name == "place":
            change = Change(name, how, _two(value))
        elif word is not None:
            change = Change(name, how, (word,))
        else:
            change = Change(name, how, (_number(name, value),))
        if how == "to":
            change._check(change.value, several=True)  # whether there are two objects, only the clip can say
        return change

    def __str__(self) -> str:
        name, value = self.told, ", ".join(f"{x:g}" for x in self.value)
        if self.how == "to":
            return f"{name} to {SHAPES[int(self.value[0])] if self.name == 'shape' else value}"
        return (
            f"{name} times {value}" if self.how == "times" else f"{name} by {', '.join(f'{x:+g}' for x in self.value)}"
        )

    @property
    def told(self) -> str:
        """Its name as it is asked for: that of a second object with `.2` behind."""
        return self.name + SECOND * self.object

    @property
    def columns(self) -> tuple[str, ...]:
        """The factors that it changes."""
        return PLACE if self.name == "place" else (self.name,)

    @property
    def of_the_object(self) -> bool:
        """Whether nothing but the object is to change, so that pixels elsewhere have to stay."""
        return self.name not in ("background_hue", "light")

    @clear_errors
    def after(self, row: np.ndarray, *, strength: float = 1.0) -> np.ndarray:
        """The factors of a clip once it is done; what `check` says about them is not asked.

        Args:
            row: factors of the object and its clip, in the order of `FACTORS`; more columns stay as they are.
            strength: how much of it; 1 is all, 0 nothing.

        >>> row = np.array([3, 0, 6.0, 32, 32, 90, 0.6, 0, 240, 0.7, 0])
        >>> Change.of("light", 0.2, "by").after(row)[NAMES.index("light")].round(3)
        np.float64(0.9)
        """
        after = np.array(row, dtype=float)
        for name, value in zip(self.columns, self._wanted(row, strength), strict=True):
            after[NAMES.index(name)] = value
        return after

    @clear_errors
    def check(self, row: np.ndarray, *, several: bool = False) -> None:
        """Raises unless a clip of these factors can be edited so.

        Args:
            row: factors of the object and its clip.
            several: whether it shows two objects, which may be anywhere in the frame.

        Raises:
            ValueError: a factor that the clip does not show, a value out of its range, or hues in which the object
                would vanish.
        """
        now = np.array([row[NAMES.index(name)] for name in self.columns], dtype=float)
        self._check_shown(row, now)
        wanted = self._wanted(row)
        self._check(wanted, several=several)
        self._check_seen(row, float(wanted[0]))

    def _wanted(self, row: np.ndarray, strength: float = 1.0) -> np.ndarray:
        now = np.array([row[NAMES.index(name)] for name in self.columns], dtype=float)
        given = np.array(self.value)
        if self.name == "shape":
            return given if strength else now
        if self.how == "to":
            off = given - now
            wanted = now + strength * ((off + 180) % 360 - 180 if self._circular else off)
        else:
            wanted = now * given**strength if self.how == "times" else now + strength * given
        return wanted % 360 if self._circular else wanted

    @property
    def _circular(self) -> bool:
        return SPEC[self.columns[0]].kind == "circular"

    def _check(self, values: Sequence[float] | np.ndarray, *, several: bool) -> None:
        """Raises for values out of the factor's range."""
        for name, value in zip(self.columns, values, strict=True):
            spec = SPEC[name]
            low, high = WIDE.get(name, (spec.low, spec.high)) if several else (spec.low, spec.high)
            slack = SLACK * (spec.high - spec.low)
            if not self._circular and not low - slack <= value <= high + slack:
                unit = f" ({spec.unit})" if spec.unit else ""
                raise ValueError(f"{self}: {name} {value:.4g} is out of its range, {low:g} to {high:g}{unit}")

    def _check_shown(self, row: np.ndarray, now: np.ndarray) -> None:
        """Raises where the clip has nothing that could change so."""
        shape = row[NAMES.index("shape")]
        if not np.isfinite(shape):
            raise ValueError(f"{self}: no object can be seen in the clip")
        if self.name == "rotation" and shape == 0:
            raise ValueError(f"{self}: the clip shows a circle, whose rotation nobody can see")
        if self.name in ("direction", "speed") and row[NAMES.index("speed")] < MOVING:
            needs = "no direction" if self.name == "direction" else "no direction to move on in"
            raise ValueError(f"{self}: the object rests, so it has {needs}")
        if not np.isfinite(now).all():
            raise ValueError(f"{self}: {' and '.join(self.columns)} cannot be read in the clip")

    def _check_seen(self, row: np.ndarray, wanted: float) -> None:
        """Raises where the object would vanish in the background."""
        other = {"hue": "background_hue", "background_hue": "hue"}.get(self.name)
        if other is None:
            return
        apart = abs((wanted - row[NAMES.index(other)] + 180) % 360 - 180)
        before = abs((row[NAMES.index(self.name)] - row[NAMES.index(other)] + 180) % 360 - 180)
        if apart < min(FADED, before):
            named = "background" if self.name == "hue" else "object"
            raise ValueError(f"{self}: only {apart:.0f} degrees from the hue of the {named}, in which it would vanish")


@clear_errors
def changes(to: Mapping[str, Any] | None = None, by: Mapping[str, Any] | None = None) -> list[Change]:
    """All that is asked for, one change a factor.

    Raises:
        KeyError: no such factor.
        ValueError: nothing asked for, a value that there is not, or two that contradict each other.

    >>> [str(change) for change in changes(to={"hue": 240}, by={"light": 0.2})]
    ['hue to 240', 'light by +0.2']
    """
    found = [
        Change.of(name, value, how) for how, given in (("to", to), ("by", by)) for name, value in (given or {}).items()
    ]
    if not found:
        raise ValueError('an edit needs a target, such as to={"hue": 240} or by={"size": "*1.25"}')
    for i, one in enumerate(found):
        same = [other for other in found[:i] if other.object == one.object]
        if twice := [other for other in same if set(other.columns) & set(one.columns)]:
            raise ValueError(f"{twice[0]} and {one} contradict each other: ask for one change of {one.told}")
    return found


@clear_errors
def parse(text: str, how: str) -> dict[str, str]:
    """One target as the command line takes it: `hue=blue`, `size*1.25`, `light+0.2`, `place=+5,0`.

    >>> parse("size*1.25", "by"), parse("light-0.2", "by"), parse("place=+5,0", "by")
    ({'size': '*1.25'}, {'light': '-0.2'}, {'place': '+5,0'})
    """
    found = (
        re.fullmatch(r"\s*([A-Za-z_]+(?:\.2(?![\d.]))?)\s*(?:=\s*)?(.+?)\s*", text)
        if "=" in text or how == "by"
        else None
    )
    if found is None:
        example = "hue=blue, shape=star or place=32,30" if how == "to" else "size*1.25, light+0.2 or place=+5,0"
        raise ValueError(f"cannot read {text!r}: a target is written as {example}")
    return {found[1]: found[2]}


@clear_errors
def parse_all(texts: Sequence[str] | None, how: str) -> dict[str, str]:
    """All targets of the command line.

    Raises:
        ValueError: one that cannot be read, or two of one factor.
    """
    found: dict[str, str] = {}
    for text in texts or ():
        one = parse(text, how)
        if both := found.keys() & one.keys():
            raise ValueError(f"{', '.join(both)} is asked for twice")
        found |= one
    return found


def _number(name: str, value: Any) -> float:
    if isinstance(value, str) and re.fullmatch(NUMBER, value.strip()):
        return float(value)
    real = isinstance(value, int | float | np.number) and not isinstance(value, bool) and np.isfinite(value)
    if real and (name != "shape" or value in range(len(SHAPES))):
        return float(value)
    known = WORDS.get(name)
    words = f" or one of {', '.join(known)}" if known else ""
    raise ValueError(f"{name} takes a finite number{words}, got {value!r}")


def _two(value: Any) -> tuple[float, float]:
    """A place or a shift: pixels right and down."""
    parts = (
        value.split(",") if isinstance(value, str) else list(value) if isinstance(value, Sequence | np.ndarray) else []
    )
    if isinstance(value, torch.Tensor):
        parts = value.tolist()
    if len(parts) != 2:
        raise ValueError(f"a place is two numbers, pixels right and down, such as (5, 0), got {value!r}")
    return _number("place", parts[0]), _number("place", parts[1])
