"""Processes that work for this one, and end when it does."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from typing import Any, TypeVar

from tqdm.auto import tqdm

Result = TypeVar("Result")


@contextmanager
def workers(count: int, prepare: Callable[[], object] | None = None) -> Generator[ProcessPoolExecutor]:
    """A pool of fresh processes, which end at once where the block ends by an error, a signal, or a kill.

    Args:
        count: how many.
        prepare: what each calls first.
    """
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(count, mp_context=context, initializer=_follow, initargs=(prepare,))
    try:
        yield pool
    except BaseException:
        for process in list(pool._processes.values()):  # no public way ends what runs
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _follow(prepare: Callable[[], object] | None) -> None:
    """Ends this process when the one that started it is no more, even by a kill that it cannot answer."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    if prepare is not None:
        prepare()


def each(
    measure: Callable[..., Result],
    jobs: Sequence[tuple[Any, ...]],
    *,
    processes: int,
    title: str = "",
    prepare: Callable[[], object] | None = None,
) -> list[Result]:
    """What `measure(*job)` returns for each job, in their order, worked out by several processes."""
    with workers(processes, prepare) as pool:
        running = [pool.submit(measure, *job) for job in jobs]
        for done in tqdm(as_completed(running), total=len(running), desc=title, disable=None):
            done.result()  # what fails, fails at once
    return [done.result() for done in running]
