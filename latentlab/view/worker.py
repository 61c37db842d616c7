"""A worker for sliders: the latest value wins, stale work is dropped, visited values are kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any

WorkerTask = Callable[[Any], Any]


class LatestWins:
    """Computes the last thing asked for, coarse first, in a thread that lives only as long as there is work.

    Every stage is tried in turn on the newest request; what arrives meanwhile ends the work after the stage at hand.
    So fifty moves of a slider cost the one under way and the last, whatever the time each takes. A program that ends
    waits for the stage at hand alone.

    Args:
        stages: from coarse and quick to full, each `request -> result`.
        show: called in the thread as `show(request, result, last)`, `last` telling whether it is the full result.
        fail: called in the thread as `fail(request, error)`; the next request is served again.
        keep: how much is kept, in the unit of `size`; a request whose full result is kept is not computed again.
        size: of a result, such as its bytes; default counts results. The last one is kept whatever its size.
    """

    def __init__(
        self,
        stages: Sequence[WorkerTask],
        show: Callable[[Any, Any, bool], None],
        fail: Callable[[Any, Exception], None],
        *,
        keep: int = 64,
        size: Callable[[Any], int] = lambda result: 1,
    ) -> None:
        if not stages or keep < 1:
            raise ValueError(f"a worker needs at least one stage and room for one result, got {len(stages)} and {keep}")
        self._stages, self._show, self._fail = tuple(stages), show, fail
        self._keep, self._size = keep, size
        self._kept: OrderedDict[tuple[Hashable, int], Any] = OrderedDict()
        self._changed = threading.Condition()
        self._wanted: Hashable | None = None
        self._waiting = self._busy = self._closed = False
        self.computed = 0  # stages run so far, for tests and for the curious

    def ask(self, request: Hashable) -> None:
        """Wants this one now; returns at once. A closed worker does nothing."""
        with self._changed:
            if self._closed:
                return
            self._wanted, self._waiting = request, True
            if not self._busy:
                self._busy = True
                # No daemon: the interpreter would end under PyTorch's feet, which aborts the whole process.
                threading.Thread(target=self._run, name="latentlab-worker", daemon=False).start()

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until all is done; False when it took longer than `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._busy, timeout)

    def close(self) -> None:
        """Ends after the stage at hand, and forgets all results."""
        with self._changed:
            self._closed, self._waiting = True, False
            if not self._busy:
                self._kept.clear()

    @property
    def _ends(self) -> bool:
        """Whether nobody will look: the worker is closed, or the program waits for its threads to end."""
        return self._closed or not threading.main_thread().is_alive()

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._waiting or self._ends:
                    if self._closed:
                        self._kept.clear()
                    self._busy = False
                    self._changed.notify_all()
                    return
                request, self._waiting = self._wanted, False
            self._serve(request)

    def _serve(self, request: Any) -> None:
        last = len(self._stages) - 1
        first = last if (request, last) in self._kept else 0
        for k in range(first, last + 1):
            if self._waiting or self._ends:
                return
            try:
                self._show(request, self._result(request, k), k == last)
            except Exception as error:  # whatever the user's model raises is shown, and the next move works again
                self._fail(request, error)
                return

    def _result(self, request: Any, stage: int) -> Any:
        key = (request, stage)
        if key not in self._kept:
            self.computed += 1
            self._kept[key] = self._stages[stage](request)
        self._kept.move_to_end(key)
        while len(self._kept) > 1 and sum(map(self._size, self._kept.values())) > self._keep:
            self._kept.popitem(last=False)
        return self._kept[key]
