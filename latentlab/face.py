"""What a package shows: names that load on first use, so that the package itself loads nothing heavy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any


def face(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package.

    Args:
        package: its `__name__`.
        homes: names that it shows, each with the module of the package that it lives in.

    >>> attribute, _ = face("latentlab.generator", {"Sampler": "sampler"})
    >>> attribute("Sampler").__name__, attribute("levels").__name__
    ('Sampler', 'latentlab.generator.levels')
    """

    def attribute(name: str) -> Any:
        if name in homes:
            return getattr(import_module(f"{package}.{homes[name]}"), name)
        if not name.startswith("_") and find_spec(f"{package}.{name}") is not None:
            return import_module(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}; it shows {', '.join(homes)}")

    return attribute, lambda: sorted(homes)
