"""What a slider learns from: two words of opposite meaning, or clips of which a factor is known."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import chain

import numpy as np
import torch

from latentlab.checks import Count, Seed, clear_errors
from latentlab.data.moving.captions import WORDINGS, caption
from latentlab.data.moving.dataset import TRAIN_SEED, MovingShapes
from latentlab.data.moving.factors import FACTORS, FactorSampler
from latentlab.directions.target import Target
from latentlab.generator.generator import Generator
from latentlab.shapes import Video, check_video
from latentlab.store import digest
from latentlab.train.tuned import knows_moving_shapes

LEVELS = (-1.6, -0.8, 0.8, 1.6)  # standard deviations of a factor; a uniform one ends at sqrt(3) of them
COSINES = (-1.0, -0.5, 0.5, 1.0)  # of an angle and a slider's; that of a uniform angle has a deviation of sqrt(1/2)


@dataclass(frozen=True)
class Opposites:
    """Captions that leave something open, each beside the two that say it one way and the other.

    Attributes:
        first, second: the words, from and to.
        captions: (open, from, to) of each.

    >>> Opposites.of("small", "large", ["a small red star"]).captions
    (('a red star', 'a small red star', 'a large red star'),)
    >>> Opposites.of("a calm sea", "a stormy sea").captions
    (('a sea', 'a calm sea', 'a stormy sea'),)
    """

    first: str
    second: str
    captions: tuple[tuple[str, str, str], ...]

    @staticmethod
    @clear_errors
    def of(first: str, second: str, captions: Sequence[str] = ()) -> Opposites:
        """The two words in the place of each other in captions that hold one; by themselves where there are none.

        Raises:
            ValueError: twice the same word, or a caption that holds neither.
        """
        if first.split() == second.split():
            raise ValueError(f"a slider leads from one caption to another, got {first!r} twice")
        found = []
        for text in captions or [first]:
            parts = re.split(rf"(?<![\w-])(?:{re.escape(first)}|{re.escape(second)})(?![\w-])", text)
            if len(parts) < 2:
                raise ValueError(f"the caption {text!r} holds neither {first!r} nor {second!r}")
            ends = (first.join(parts), second.join(parts))
            found.append((_common(*ends), *ends))
        return Opposites(first, second, tuple(dict.fromkeys(found)))

    @staticmethod
    def within(generator: Generator, first: str, second: str, count: int = 48, seed: int = 0) -> Opposites:
        """In captions of moving shapes where the model knows these and they hold one of the words; else as they are."""
        held: list[str] = []
        if knows_moving_shapes(generator):
            world, word = FactorSampler(seed), re.compile(rf"\b({re.escape(first)}|{re.escape(second)})\b")
            said = (caption(world(i), i % len(WORDINGS)) for i in range(40 * count))
            held = [text for text in said if len(word.findall(text)) == 1][:count]
        return Opposites.of(first, second, held)

    @property
    def identity(self) -> str:
        return digest(*(text for row in self.captions for text in row))[:16]


@dataclass(frozen=True, eq=False)
class Graded:
    """Clips in rows of rising values of a factor.

    Attributes:
        target: what the factor is called.
        video: `(level, clip, 3, frame, height, width)`.
        captions: of each clip, `(level, clip)`, which say nothing of the factor.
        strengths: of each level, in standard deviations from the mean.
    """

    target: str
    video: Video
    captions: tuple[tuple[str, ...], ...]
    strengths: tuple[float, ...]

    @staticmethod
    @clear_errors
    def of(target: str, video: Video, values: Sequence[float], captions: Sequence[str], levels: Count = 4) -> Graded:
        """Clips with a number each, sorted into levels of as many clips.

        Args:
            target: name of the factor.
            video: `(clip, 3, frame, height, width)`.
            values: of the clips.
            captions: of the clips; what they say of the factor the slider does not learn.
            levels: how many, an even number.

        Raises:
            ValueError: fewer clips than levels, values that are all alike or not finite, other lengths.
        """
        check_video(video=video)
        column = np.asarray(values, dtype=np.float64)
        if not len(video) == len(column) == len(captions):
            raise ValueError(f"{len(video)} clips, {len(column)} values and {len(captions)} captions; one for each")
        if levels % 2 or len(column) < levels:
            raise ValueError(f"levels are an even number, at most the {len(column)} clips, got {levels}")
        if not np.isfinite(column).all() or column.std() == 0:
            raise ValueError(f"values of {target!r} are finite and differ, got {column[:5].tolist()} ...")
        z = (column - column.mean()) / column.std()
        order = np.argsort(z, kind="stable")
        each = len(order) // levels
        rows = np.stack([order[len(order) * i // levels :][:each] for i in range(levels)])
        said = tuple(tuple(captions[int(i)] for i in row) for row in rows)
        return Graded(target, video[torch.from_numpy(rows)], said, tuple(map(float, z[rows].mean(1))))

    @staticmethod
    @clear_errors
    def moving_shapes(target: str, count: Count = 24, seed: Seed = TRAIN_SEED) -> Graded:
        """Moving shapes in which nothing but one factor changes from level to level.

        Args:
            target: "size", "light", "hue@240" (towards blue, from the opposite hue, either way round).
            count: of clips at each level.
            seed: of the others.

        Raises:
            KeyError: no such factor.
            ValueError: a categorical one, which has no more and less, or fewer than two clips.
        """
        if count < 2:
            raise ValueError(f"count is of clips at each level, two at least, got {count}")
        found = Target.parse(target, FACTORS)
        spec = next(spec for spec in FACTORS if spec.name == found.factor)
        if found.angle is None and found.value is not None:
            raise ValueError(f"{target} has no more and less; lead from one word to another: --from circle --to star")
        if found.angle is None:
            middle, deviation = (spec.low + spec.high) / 2, (spec.high - spec.low) / 12**0.5
            strengths, sides = LEVELS, [[middle + z * deviation for z in LEVELS]]
        else:
            strengths, turns = [2**0.5 * c for c in COSINES], np.degrees(np.arccos(COSINES))
            sides = [[float((found.angle + way * turn) % 360) for turn in turns] for way in (1, -1)]
        clips: list[Video] = []
        said: list[list[list[str]]] = []
        for side, values in enumerate(sides):
            each, number = len(range(side, count, len(sides))), len(values)
            data = MovingShapes(max(1, each * number), seed + side, sweep={found.factor: values})
            rows = data.sampler.table(range(each * number)).values
            video = torch.stack([data.clip(i)[0] for i in range(each * number)])
            clips.append(video.unflatten(0, (each, number)).transpose(0, 1))
            words = [caption(row, i // number % len(WORDINGS), silent=[found.factor]) for i, row in enumerate(rows)]
            said.append([words[level::number] for level in range(number)])
        captions = tuple(tuple(chain.from_iterable(halves)) for halves in zip(*said, strict=True))
        return Graded(target, torch.cat(clips, 1), captions, tuple(strengths))

    @property
    def identity(self) -> str:
        return digest(self.video.contiguous().numpy(), *(text for row in self.captions for text in row))[:16]


def _common(first: str, second: str) -> str:
    """The words that two captions share, in order."""
    a, b = first.split(), second.split()
    blocks = SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks()
    return " ".join(word for block in blocks for word in a[block.a : block.a + block.size])
