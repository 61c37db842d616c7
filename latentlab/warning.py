"""Warnings that name the line of the user's own code."""

from __future__ import annotations

import inspect
import warnings


def warn(said: str, category: type[Warning] = UserWarning) -> None:
    """Warns at the caller of the library, however deep in it, and behind whatever wrapper, the call is made.

    >>> with warnings.catch_warnings(record=True) as heard:
    ...     warnings.simplefilter("always")
    ...     warn("few samples")
    >>> str(heard[0].message)
    'few samples'
    """
    frame, level = inspect.currentframe(), 1
    while (
        frame is not None
        and frame.f_back is not None
        and frame.f_globals.get("__name__", "").partition(".")[0] == "latentlab"
    ):
        frame, level = frame.f_back, level + 1
    warnings.warn(said, category, stacklevel=level)
