"""One thread at a time in a network: autoencoders of diffusers keep state on themselves, and offloading moves weights.

A thread that finds its networks in use waits. Whoever changes networks for a while, such as their weights, holds them:

    with alone(*generator.modules):
        ...
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from functools import wraps
from threading import RLock
from typing import Any
from weakref import WeakKeyDictionary

from torch import nn

# By network, so that generators that share one wait for each other; beside it, so that copies and files know of none.
_LOCKS: WeakKeyDictionary[nn.Module, Any] = WeakKeyDictionary()
if sys.platform != "win32":
    os.register_at_fork(after_in_child=_LOCKS.clear)  # threads that held one are not in the child


@contextmanager
def alone(*networks: nn.Module) -> Generator[None]:
    """Holds networks for this thread, which may hold them already.

    >>> layer = nn.Identity()
    >>> with alone(layer), alone(layer):
    ...     pass
    """
    with ExitStack() as held:
        for network in sorted(set(networks), key=id):  # in one order, so that no two threads wait for each other
            held.enter_context(_LOCKS.setdefault(network, RLock()))
        yield


def one_at_a_time(method: Callable) -> Callable:
    """A method of a model, which holds the model's networks while it works."""

    @wraps(method)
    def held(self: Any, *args: Any, **kwargs: Any) -> Any:
        with alone(*self.modules):
            return method(self, *args, **kwargs)

    return held
