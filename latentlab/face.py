"""What a package shows: names that load on first use, so that the package itself loads nothing heavy."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from functools import wraps
from importlib import import_module
from importlib.util import find_spec
from typing import Any, TypeVar, cast

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


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


def renamed(module: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """`__getattr__` of a module whose names changed: those of version 0.1 work until 0.3, with a warning.

    Args:
        module: its `__name__`.
        names: new ones by old.

    >>> with warnings.catch_warnings(record=True) as said:
    ...     warnings.simplefilter("always")
    ...     renamed("latentlab.face", {"facade": "face"})("facade") is face
    True
    >>> str(said[0].message)
    'latentlab.face.facade is face since version 0.2'
    """

    def attribute(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warnings.warn(f"{module}.{name} is {names[name]} since version 0.2", DeprecationWarning, stacklevel=2)
        return getattr(import_module(module), names[name])

    return attribute


def renamed_arguments(**names: str) -> Callable[[F], F]:
    """A function with arguments whose names changed: those of version 0.1 work until 0.3, with a warning.

    Args:
        **names: new ones by old.

    >>> @renamed_arguments(colour="color")
    ... def drawn(color: str) -> str:
    ...     return color
    >>> with warnings.catch_warnings(record=True) as said:
    ...     warnings.simplefilter("always")
    ...     drawn(colour="red")
    'red'
    >>> str(said[0].message)
    'drawn: colour is color since version 0.2'
    """

    def with_old_names(function: F) -> F:
        @wraps(function)
        def called(*args: Any, **arguments: Any) -> Any:
            for old in names.keys() & arguments.keys():
                _warn(function.__qualname__.removesuffix(".__init__"), old, names[old])
                arguments[names[old]] = arguments.pop(old)
            return function(*args, **arguments)

        return cast(F, called)

    return with_old_names


def renamed_attributes(**names: str) -> Callable[[type[T]], type[T]]:
    """A class with attributes, and arguments that make it, whose names changed, as `renamed_arguments`.

    Args:
        **names: new ones by old.

    >>> import dataclasses
    >>> @renamed_attributes(colour="color")
    ... @dataclasses.dataclass
    ... class Pen:
    ...     color: str = "black"
    >>> with warnings.catch_warnings(record=True) as said:
    ...     warnings.simplefilter("always")
    ...     Pen(colour="red").colour
    'red'
    >>> [str(one.message) for one in said]
    ['Pen: colour is color since version 0.2', 'Pen: colour is color since version 0.2']
    """

    def reader(old: str) -> property:
        def read(self: object) -> Any:
            _warn(type(self).__name__, old, names[old])
            return getattr(self, names[old])

        return property(read, doc=f"The name of `{names[old]}` in version 0.1.")

    def with_old_names(kind: type[T]) -> type[T]:
        begin: Any = kind.__init__
        setattr(kind, "__init__", renamed_arguments(**names)(begin))  # noqa: B010 - the checker lets nobody assign it
        for old in names:
            setattr(kind, old, reader(old))
        return kind

    return with_old_names


def _warn(where: str, old: str, new: str) -> None:
    warnings.warn(f"{where}: {old} is {new} since version 0.2", DeprecationWarning, stacklevel=3)


def moved(module: str, home: str, names: Mapping[str, str] | None = None) -> Callable[[str], Any]:
    """`__getattr__` of a module that moved: what it held works until 0.3, with a warning.

    Args:
        module: its `__name__`.
        home: the module or package that has its names now.
        names: new ones by old, where they changed.

    >>> with warnings.catch_warnings(record=True) as said:
    ...     warnings.simplefilter("always")
    ...     moved("latentlab.facade", "latentlab.face")("face") is face
    True
    >>> str(said[0].message)
    'latentlab.facade.face is latentlab.face.face since version 0.2'
    """

    def attribute(name: str) -> Any:
        new, there = (names or {}).get(name, name), vars(import_module(home))
        if name.startswith("__") or new not in there:
            raise AttributeError(f"module {module!r} has no attribute {name!r}; it is {home} since version 0.2")
        warnings.warn(f"{module}.{name} is {home}.{new} since version 0.2", DeprecationWarning, stacklevel=2)
        return there[new]

    return attribute
