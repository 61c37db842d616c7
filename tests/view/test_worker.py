"""The worker behind the sliders: the latest value wins."""

import subprocess
import sys
import threading
import time

import pytest

from latentlab.view.worker import LatestWins


class Screen:
    """Records what is shown."""

    def __init__(self):
        self.shown, self.failed = [], []

    def show(self, request, result, last):
        self.shown.append((request, result, last))

    def fail(self, request, error):
        self.failed.append((request, error))


@pytest.fixture
def screen():
    return Screen()


def test_fifty_moves_end_with_the_last_and_no_queue(screen):
    worker = LatestWins([lambda x: time.sleep(0.02) or x], screen.show, screen.fail)
    for value in range(50):
        worker.ask(value)
        time.sleep(0.002)
    before = worker.computed
    assert worker.wait(5)
    assert screen.shown[-1] == (49, 49, True)
    assert worker.computed - before <= 3
    assert worker.computed < 25
    worker.close()


def test_the_coarse_result_comes_first(screen):
    worker = LatestWins([lambda x: -x, lambda x: x], screen.show, screen.fail)
    worker.ask(3)
    assert worker.wait(5)
    assert screen.shown == [(3, -3, False), (3, 3, True)]
    worker.close()


def test_full_work_on_a_stale_value_is_dropped(screen):
    begun, go_on = threading.Event(), threading.Event()

    def coarse(x):
        if x == 1:
            begun.set()
            go_on.wait(5)
        return x

    full = []
    worker = LatestWins([coarse, full.append], screen.show, screen.fail)
    worker.ask(1)
    begun.wait(5)
    worker.ask(2)
    go_on.set()
    assert worker.wait(5)
    assert full == [2]
    worker.close()


def test_visited_values_are_kept(screen):
    worker = LatestWins([lambda x: -x, lambda x: x], screen.show, screen.fail)
    for value in (1, 2, 1):
        worker.ask(value)
        assert worker.wait(5)
    assert worker.computed == 4
    assert screen.shown[-1] == (1, 1, True)
    worker.close()


def test_only_so_many_are_kept(screen):
    worker = LatestWins([lambda x: x], screen.show, screen.fail, keep=2)
    for value in (1, 2, 3, 1):
        worker.ask(value)
        assert worker.wait(5)
    assert worker.computed == 4
    worker.close()


def test_the_size_of_results_bounds_what_is_kept(screen):
    worker = LatestWins([lambda x: x], screen.show, screen.fail, keep=12, size=lambda x: x)
    for value in (4, 5, 4, 7, 4, 20, 4):  # 4 and 5 fit, 7 drives the older out; 20 is kept alone
        worker.ask(value)
        assert worker.wait(5)
        assert sum(worker._kept.values()) <= 12 or len(worker._kept) == 1
    assert worker.computed == 5
    worker.close()


def test_no_thread_is_left_without_work(screen):
    def threads():
        return [one for one in threading.enumerate() if one.name == "latentlab-worker"]

    before = len(threads())
    worker = LatestWins([lambda x: x], screen.show, screen.fail)
    assert len(threads()) == before
    worker.ask(1)
    assert worker.wait(5)
    for thread in threads():
        thread.join(5)
    assert len(threads()) == 0
    worker.close()
    worker.ask(2)
    assert worker.wait(5)
    assert screen.shown == [(1, 1, True)]
    assert not worker._kept


def test_it_survives_an_error(screen):
    worker = LatestWins([lambda x: 1 / x], screen.show, screen.fail)
    worker.ask(0)
    assert worker.wait(5)
    worker.ask(2)
    assert worker.wait(5)
    assert isinstance(screen.failed[0][1], ZeroDivisionError)
    assert screen.shown == [(2, 0.5, True)]
    worker.close()


def test_it_needs_a_stage(screen):
    with pytest.raises(ValueError, match="stage"):
        LatestWins([], screen.show, screen.fail)


def test_a_program_that_ends_waits_for_the_stage_at_hand_alone():
    """The interpreter may not go while the worker is inside PyTorch: that aborts the process."""
    program = """
import threading, time
from latentlab.view.worker import LatestWins
begun = threading.Event()
def slow(x):
    begun.set()
    time.sleep(0.2)
    return x
worker = LatestWins([slow, slow, slow], lambda request, result, last: print("shown"), lambda *_: print("failed"))
worker.ask(1)
begun.wait()
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stdout.split()) == (0, ["shown"]), ended.stderr
