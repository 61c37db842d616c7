"""Seconds that work takes, on the clock and of the processor; several works by turns, as a busy machine slows all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple


class Seconds(NamedTuple):
    """Of each repeat."""

    clock: list[float]
    processor: list[float]


def seconds_of(work: Callable[[], object], repeats: int, *, wait: Callable[[], object] | None = None) -> Seconds:
    """Seconds of one work, see `by_turns`.

    >>> taken = seconds_of(lambda: sum(range(1000)), 3)
    >>> len(taken.clock), min(taken.processor) >= 0
    (3, True)
    """
    return by_turns({"work": work}, repeats, wait=wait)["work"]


def by_turns(
    works: Mapping[str, Callable[[], object]], repeats: int, *, wait: Callable[[], object] | None = None
) -> dict[str, Seconds]:
    """Seconds of several works, each once in every repeat.

    Args:
        works: by name.
        repeats: of each.
        wait: until a device has done what it was given.
    """
    taken = {name: Seconds([], []) for name in works}
    wait = wait or (lambda: None)
    for _ in range(repeats):
        for name, work in works.items():
            wait()
            clock, processor = time.perf_counter(), time.process_time()
            work()
            wait()
            taken[name].clock.append(time.perf_counter() - clock)
            taken[name].processor.append(time.process_time() - processor)
    return taken
