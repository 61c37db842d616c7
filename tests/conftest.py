"""Fixtures for all tests; torch is loaded only by those that need it."""

import gc
import os
from copy import deepcopy

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # a process a core: more threads would only wait for each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """What is collected stays to the end; looking through it again and again would free nothing."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        set_aside()


@pytest.fixture(scope="module", autouse=True)
def _imports_set_aside():
    set_aside()


def set_aside() -> None:
    """Takes what is there out of the collector's sight: a million objects of imported modules cost each search 0.7 s.

    Each training searches as it begins.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def _tiny_generator():
    import tiny

    return tiny.generator()


@pytest.fixture
def tiny_generator(_tiny_generator):
    """A generator of random weights: clips of 4 frames of 16 x 16, latents (2, 4, 2, 2); the test may change it."""
    return deepcopy(_tiny_generator)


@pytest.fixture(scope="module")
def generator(_tiny_generator):
    """The same for all tests of a module, which leave it as it is."""
    return deepcopy(_tiny_generator)


@pytest.fixture
def clips():
    """Three clips for it."""
    import torch

    return torch.rand(3, 3, 4, 16, 16, generator=torch.Generator().manual_seed(2)) * 2 - 1
