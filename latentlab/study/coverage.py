"""Does a generator draw all that its data hold? Histograms of factors under captions that leave them open.

Under an empty caption a model should draw every shape as often as the data have it, under "a star" stars of every hue.
What it draws instead is read off the clips, and held against the data that the caption admits: how far the histograms
are apart, which values never come (mode collapse), which come too often (bias), which pairs never come together though
each of the two does. Every number stands beside what chance alone makes of as many clips.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations, pairwise
from typing import Any

import numpy as np
from jaxtyping import Int

from latentlab.checks import Count, Seed, clear_errors
from latentlab.control.places import words_in
from latentlab.data.moving import captions as moving
from latentlab.data.moving.factors import SHAPES, FactorSampler
from latentlab.data.moving.measure import measure
from latentlab.factors import Factor, FactorTable
from latentlab.generator.generator import Generator
from latentlab.shapes import Video

LEVEL = 0.05  # of all tests of a caption together
DRAWS = 2_000  # of the null
DATA = 16_384  # rows of the data, which cost no rendering
BINS = 4  # of a factor without names
RESTS = 0.02  # pixels a frame, below which `measure` tells no direction
HIDDEN = "none"  # of a factor that a clip does not show, as the direction of a shape that rests
SAID = {  # what words say of
    "shape": SHAPES,
    "size": ("small", "large"),
    "light": ("dim", "bright"),
    "direction": moving.DIRECTIONS,
    "speed": ("slowly", "quickly"),
    "spin": ("clockwise", "counterclockwise"),
}
NAMES = {"hue": moving.HUES, "background_hue": moving.HUES, "direction": moving.DIRECTIONS}


@dataclass(frozen=True)
class Histogram:
    """One factor under one caption.

    Attributes:
        factor: its name.
        bins: names of values.
        data, drawn: share of each in the data that the caption admits, and in what was drawn.
        distance: total variation between them, 0 to 1.
        chance: what 95 of 100 samples of that size from the data itself stay under.
        p: how often such a sample is as far off.
        unlike: whether it is further than chance, all factors of the caption considered (Bonferroni).
        missing: values that never came and should have, beyond chance.
        most: the value that came too often by the largest share; "" where nothing is beyond chance.
    """

    factor: str
    bins: tuple[str, ...]
    data: tuple[float, ...]
    drawn: tuple[float, ...]
    distance: float
    chance: float
    p: float
    unlike: bool
    missing: tuple[str, ...]
    most: str


@dataclass(frozen=True)
class Covered:
    """What was drawn under one caption.

    Attributes:
        caption: what was said.
        count: clips drawn.
        nothing: share of them in which the reader sees no object.
        histograms: of each factor.
        pairs: of values that never came together though each came, beyond chance, as "hue red, shape star".
    """

    caption: str
    count: int
    nothing: float
    histograms: tuple[Histogram, ...]
    pairs: tuple[str, ...]

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    @property
    def collapsed(self) -> bool:
        """Whether something is missing."""
        return bool(self.pairs) or any(h.missing for h in self.histograms)

    def lines(self) -> list[str]:
        """One line a factor."""
        found = [
            f'"{self.caption}", {self.count} clips' + f", {self.nothing:.0%} without an object" * (self.nothing > 0)
        ]
        for h in self.histograms:
            said = f"  {h.factor:15} {h.distance:.2f} from the data (chance {h.chance:.2f})"
            if h.unlike:
                i = h.bins.index(h.most)
                said += f"; {h.most} came in {h.drawn[i]:.0%}, the data have it in {h.data[i]:.0%}"
            found.append(said + (f"; never {', '.join(h.missing)}" if h.missing else ""))
        return found + [f"  never together: {pair}" for pair in self.pairs]

    def numbers(self) -> dict[str, Any]:
        """As a record holds it."""
        return {**asdict(self), "collapsed": self.collapsed}


@clear_errors
def coverage(
    generator: Generator,
    captions: Sequence[str] = ("",),
    *,
    count: Count = 64,
    data: FactorTable | None = None,
    read: Callable[[Video], FactorTable] = measure,
    seed: Seed = 0,
    **options: Any,
) -> list[Covered]:
    """Draws clips under captions that leave something open, and holds their factors against the data.

    Args:
        generator: any whose clips the reader reads.
        captions: "" is everything; of moving shapes' words the data keep what fits ("a red star").
        count: clips for each. Of 64 a value of 1/9 that never comes is beyond chance, one of 1/20 is not.
        data: factors of the data; None is moving shapes. With other data captions other than "" admit all of them.
        read: factors of clips, columns as in `data`.
        seed: of the noise and of the null.
        options: of `generator.generate`, such as `num_steps`.

    Raises:
        ValueError: a caption that the data never admit.

    >>> import latentlab as ll
    >>> found = coverage(ll.load(device="cpu"), ["a star"], count=2, num_steps=1)
    >>> found[0].count
    2
    """
    own = data is None
    table = _world(seed) if data is None else data
    held = []
    for caption in captions:
        rows = _admitted(table, caption) if own else np.arange(len(table))
        if not len(rows):
            raise ValueError(f"the data have nothing that fits {caption!r}")
        held.append(table[rows])
    found = []
    for caption, kept in zip(captions, held, strict=True):
        drawn = read(generator.generate([caption] * count, seed=seed, **options))
        if own and drawn.names != table.names:
            raise ValueError(f"data are needed of what is read: {drawn.names}, and moving shapes have {table.names}")
        drawn, kept = (_as_seen(drawn), _as_seen(kept)) if own else (drawn, kept)
        found.append(covered(drawn, kept, caption=caption, seed=seed))
    return found


@clear_errors
def covered(drawn: FactorTable, data: FactorTable, *, caption: str = "", seed: Seed = 0) -> Covered:
    """Holds factors of drawn clips against those of data.

    Args:
        drawn, data: tables of the same columns; NaN is what a clip does not show. Rows of NaN alone show nothing.
        caption: that both are of.
        seed: of the null.

    Raises:
        ValueError: other columns, or no rows.

    >>> table = FactorSampler(seed=1).table(range(400))
    >>> covered(table[:64], table[64:]).collapsed
    False
    """
    if drawn.names != data.names or not len(drawn) or not len(data):
        raise ValueError(
            f"both need rows and the same factors, got {len(drawn)} of {drawn.names}, {len(data)} of {data.names}"
        )
    seen = ~np.isnan(drawn.values).all(1)
    count, nothing, drawn = len(drawn), 1 - float(np.mean(seen)), drawn[np.flatnonzero(seen)]
    rng = np.random.default_rng([seed, 17])
    binned = {spec.name: (_binned(spec, drawn[spec.name]), _binned(spec, data[spec.name])) for spec in data.specs}
    bins = {spec.name: _bins(spec) for spec in data.specs}
    histograms = tuple(_histogram(name, bins[name], *pair, len(binned), rng) for name, pair in binned.items())
    return Covered(caption, count, nothing, histograms, _pairs(bins, binned))


@functools.lru_cache(2)
def _world(seed: int) -> FactorTable:
    return FactorSampler(seed=seed).table(range(DATA))


def _histogram(
    name: str, bins: tuple[str, ...], drawn: np.ndarray, data: np.ndarray, tests: int, rng: np.random.Generator
) -> Histogram:
    """One factor, beside samples of the data as large as both (the null)."""
    p, q = (np.bincount(x, minlength=len(bins)) / max(1, len(x)) for x in (data, drawn))
    both = [rng.multinomial(len(x), p, size=DRAWS) / max(1, len(x)) for x in (drawn, data)]
    null = 0.5 * np.abs(both[0] - both[1]).sum(1)
    distance = 0.5 * float(np.abs(p - q).sum())
    often = (1 + int((null >= distance - 1e-12).sum())) / (1 + DRAWS)
    unlike = often <= LEVEL / tests
    never = (q == 0) & ((1 - p) ** len(drawn) < LEVEL / (tests * len(bins)))
    return Histogram(
        factor=name, bins=bins, data=tuple(p.tolist()), drawn=tuple(q.tolist()), distance=distance,
        chance=float(np.quantile(null, 0.95)), p=often, unlike=unlike,
        missing=tuple(bins[i] for i in np.flatnonzero(never)), most=bins[int((q - p).argmax())] if unlike else "",
    )  # fmt: skip


def _pairs(bins: Mapping[str, tuple[str, ...]], binned: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> tuple[str, ...]:
    """Pairs of values that never came together, where as many clips with each value by itself would have had them."""
    found, tests = [], sum(len(bins[a]) * len(bins[b]) for a, b in combinations(bins, 2))
    for one, other in combinations(bins, 2):
        (a, x), (b, y) = binned[one], binned[other]
        size = len(bins[one]), len(bins[other])
        drawn, data = (np.zeros(size) for _ in range(2))
        np.add.at(drawn, (a, b), 1)
        np.add.at(data, (x, y), 1 / len(x))
        apart = data.sum(1, keepdims=True) * data.sum(0, keepdims=True)
        lift = np.divide(data, apart, out=np.zeros(size), where=apart > 0)  # what the data make of the pair
        share = drawn / max(1, len(a))
        expected = np.minimum(1, lift * share.sum(1, keepdims=True) * share.sum(0, keepdims=True))
        never = (drawn == 0) & ((1 - expected) ** len(a) < LEVEL / tests)
        found += [f"{one} {bins[one][i]}, {other} {bins[other][j]}" for i, j in np.argwhere(never)]
    return tuple(found)


def _bins(spec: Factor) -> tuple[str, ...]:
    """Names of the values of a factor, the last for what is not shown."""
    if spec.name in NAMES and spec.kind == "circular":
        return (*NAMES[spec.name], HIDDEN)
    if spec.kind == "categorical":
        return (*(spec.labels or tuple(f"{i}" for i in range(int(spec.low), int(spec.high) + 1))), HIDDEN)
    edges = np.linspace(spec.low, spec.high, BINS + 1)
    return (*(f"{low:.3g} to {high:.3g}" for low, high in pairwise(edges)), HIDDEN)


def _binned(spec: Factor, values: np.ndarray) -> Int[np.ndarray, " sample"]:
    """Numbers of the bins."""
    count = len(_bins(spec)) - 1
    known = np.nan_to_num(values)
    if spec.kind == "circular":
        turn = (known - spec.low) / (spec.high - spec.low) * count
        places = np.round(turn) % count if spec.name in NAMES else np.floor(turn) % count
    elif spec.kind == "categorical":
        places = known - spec.low
    else:
        places = np.floor((known - spec.low) / max(spec.high - spec.low, 1e-12) * count)
    return np.where(np.isnan(values), count, places.clip(0, count - 1)).astype(int)


def _as_seen(table: FactorTable) -> FactorTable:
    """Factors of moving shapes as a reader sees them: no turn of a circle, no way of what rests; blur it may miss."""
    values = table.values.copy()
    column = {name: i for i, name in enumerate(table.names)}
    values[values[:, column["shape"]] == 0, column["rotation"]] = np.nan
    values[values[:, column["speed"]] < RESTS, column["direction"]] = np.nan
    return FactorTable(values, table.specs).select([name for name in table.names if name != "blur"])


def _admitted(table: FactorTable, caption: str) -> Int[np.ndarray, " row"]:
    """Rows of moving shapes of which all words of the caption are true."""
    said = words_in(caption.lower())
    asked: dict[str, str] = {}
    for i, word in enumerate(said):
        if word in moving.HUES:
            asked["background" if said[i + 1 : i + 2] == ["background"] else "hue"] = word
        asked |= {field: word for field, group in SAID.items() if word in group}
    if not asked:
        return np.arange(len(table))
    told = [moving.true_words(row) for row in table.values]
    return np.flatnonzero([all(getattr(words, field) == word for field, word in asked.items()) for words in told])
