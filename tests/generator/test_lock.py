"""Threads that share a generator get what one alone would get, to the bit."""

import copy
import gc
import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from latentlab.generator.lock import _LOCKS, alone
from latentlab.spaces import BottleneckSpace
from latentlab.spaces.hooks import hooked

TIMES = 30


def together(*works, times: int = TIMES) -> list[list[torch.Tensor]]:
    """What each returns each time, all at once in a thread each."""
    start = threading.Barrier(len(works))

    def often(work) -> list[torch.Tensor]:
        start.wait(20)
        return [work() for _ in range(times)]

    with ThreadPoolExecutor(len(works)) as threads:
        return [made.result() for made in [threads.submit(often, work) for work in works]]


def assert_as_alone(*works) -> None:
    expected = [work() for work in works]
    for made, known in zip(together(*works), expected, strict=True):
        assert [torch.equal(one, known) for one in made] == [True] * TIMES


def test_h_space_decodes_beside_a_thread_that_samples(tiny_generator, clips):
    space = BottleneckSpace(tiny_generator, num_steps=2).around(clips[:1])
    codes, noise = space.codes + 1, tiny_generator.noise(1)
    assert_as_alone(lambda: space.decode(codes), lambda: tiny_generator.sample(noise, num_steps=2))


def test_a_hook_is_met_by_its_own_thread_alone():
    layer, x = nn.Identity(), torch.zeros(1)
    with hooked(layer, lambda h: h + 1), ThreadPoolExecutor(1) as other:
        assert (layer(x).item(), other.submit(layer, x).result().item()) == (1, 0)


@pytest.mark.parametrize("copied", [copy.copy, lambda generator: generator])
def test_a_thread_waits_for_networks_in_use_and_for_no_others(tiny_generator, copied):
    entered, free = threading.Event(), threading.Event()

    def noise(generator) -> torch.Tensor:
        entered.set()
        return generator.sample(generator.noise(1), num_steps=1)

    with ThreadPoolExecutor(2) as threads:
        with alone(tiny_generator.clip_model):
            waits = threads.submit(noise, copied(tiny_generator))
            entered.wait(20)
            other = copy.deepcopy(tiny_generator)
            threads.submit(noise, other).result(20)  # its networks are its own
            free.wait(0.1)
            assert not waits.done()
        assert waits.result(20).isfinite().all()


def test_nothing_of_it_stays_with_the_networks():
    network = nn.Linear(1, 1)
    with alone(network):
        assert network in _LOCKS
        assert pickle.loads(pickle.dumps(network)) not in _LOCKS
        assert copy.deepcopy(network) not in _LOCKS
    before = len(_LOCKS)
    del network
    gc.collect()
    assert len(_LOCKS) < before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_does_not_wait_for_a_thread_that_it_has_not_got():
    network = nn.Linear(1, 1)
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with alone(network):
            held.set()
            over.wait(20)

    with ThreadPoolExecutor(1) as threads:
        threads.submit(hold)
        held.wait(20)
        child = os.fork()
        if not child:
            with alone(network):
                os._exit(7)
        over.set()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
