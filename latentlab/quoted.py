"""How errors and records quote what users give."""

from __future__ import annotations

import inspect
from collections.abc import Collection
from typing import Any

from latentlab.protocols import HasShape


def shown(value: Any) -> str:
    """A value as an error quotes it: in full where that is short, else its kind and size.

    >>> shown(range(1000)), shown([0] * 1000)
    ('range(0, 1000)', 'list of 1000')
    """
    if isinstance(value, HasShape) and value.shape:
        return f"{type(value).__name__} of shape {tuple(value.shape)}"
    text = repr(value)
    if len(text) <= 60:
        return text
    return f"{type(value).__name__} of {len(value)}" if isinstance(value, Collection) else f"{text[:57]}..."


def name_of(function: Any) -> str:
    """What a function is called where it is defined, and an object that is called like one by its class.

    >>> name_of(shown), name_of(1.5)
    ('shown', 'float')
    """
    own = function if inspect.isroutine(function) or inspect.isclass(function) else type(function)
    return str(own.__qualname__)
