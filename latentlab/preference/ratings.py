"""Pairwise comparisons by people: which pairs to show, and the table of what was said."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from latentlab.checks import clear_errors
from latentlab.store import write_text

ANSWERS = ("left", "right", "equal")
FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")  # with which a spreadsheet begins one, or hides that it is none
COLUMNS = ("rater", "left", "right", "answer", "session")


@dataclass(frozen=True)
class Rating:
    """One answer.

    Attributes:
        rater: who.
        left, right: names of what was shown.
        answer: "left", "right" or "equal".
        session: of which schedule it is part.
    """

    rater: str
    left: str
    right: str
    answer: str
    session: str = ""

    def __post_init__(self) -> None:
        if self.answer not in ANSWERS:
            raise ValueError(f"an answer is one of {', '.join(ANSWERS)}, got {self.answer!r}")
        if self.left == self.right:
            raise ValueError(f"{self.left!r} cannot be compared with itself")


@clear_errors
def schedule(items: Sequence[str], *, rounds: int = 1, seed: int = 0) -> list[tuple[str, str]]:
    """Pairs `(left, right)` to show, in an order that tells nothing.

    Every pair comes once a round. Within a round each item is on the left as often as on the right, or once more or
    less where the number of its pairs is odd; every other round is the one before it with sides exchanged, so that
    an even number of rounds is balanced pair by pair. The order is drawn, and no pair follows itself.

    Args:
        items: names, all different.
        rounds: how often each pair is shown to one rater.
        seed: one for each rater gives each an order of their own.

    Raises:
        ValueError: fewer than two items, or names that repeat.

    >>> len(schedule(["a", "b", "c", "d"], rounds=2))
    12
    """
    if len(items) < 2 or len(set(items)) < len(items) or rounds < 1:
        raise ValueError(f"a schedule needs two or more different items and a round, got {list(items)}, {rounds}")
    rng = np.random.default_rng(seed)
    shown: list[tuple[str, str]] = []
    sides: list[tuple[str, str]] = []
    for turn in range(rounds):
        sides = _balanced(list(rng.permutation(list(items)))) if turn % 2 == 0 else [(b, a) for a, b in sides]
        order = [sides[i] for i in rng.permutation(len(sides))]
        if len(order) > 1 and shown and set(order[0]) == set(shown[-1]):
            order.append(order.pop(0))
        shown += order
    return shown


def _balanced(items: list[str]) -> list[tuple[str, str]]:
    """All pairs around a circle: whoever is less than half a circle ahead is on the right."""
    count = len(items)
    pairs = []
    for i, j in combinations(range(count), 2):
        ahead = j - i
        # opposite items of an even circle: by turns, so that nobody collects them
        left_first = ahead < count / 2 or (2 * ahead == count and i % 2 == 0)
        pairs.append((str(items[i]), str(items[j])) if left_first else (str(items[j]), str(items[i])))
    return pairs


@clear_errors
def write_rating_table(path: str | Path, ratings: Sequence[Rating]) -> None:
    """Writes a table as CSV; a killed run leaves the old one whole.

    A name that a spreadsheet would take for a formula stands behind an apostrophe, which `read_rating_table` takes off.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows([_defused(getattr(r, name)) for name in COLUMNS] for r in ratings)
    write_text(path, text.getvalue())


def _defused(cell: str) -> str:
    return "'" + cell if cell.startswith(FORMULA) else cell


def _fused(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA) else cell


def read_rating_table(path: str | Path) -> list[Rating]:
    """Reads what `write_rating_table` wrote; a table without sessions will do.

    Raises:
        ValueError: other columns or answers.
    """
    with Path(path).open(encoding="utf-8", errors="replace", newline="") as file:
        rows = list(csv.reader(file))
    if not rows or tuple(rows[0]) not in (COLUMNS, COLUMNS[:-1]):
        raise ValueError(f"{path} is no table of ratings: its first line should be {','.join(COLUMNS)}")
    try:
        return [Rating(*map(_fused, row)) for row in rows[1:]]
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error
