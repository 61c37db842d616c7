"""Options of a command line from the fields of a dataclass: names, types, defaults, and what its docstring says."""

from __future__ import annotations

import argparse
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields
from functools import partial
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

METAVARS: dict[type, str] = {int: "N", float: "X", str: "WORD", Path: "PATH"}


def add_fields(
    parser: Any,
    of: Any,
    names: Sequence[str] | None = None,
    *,
    flags: Mapping[str, str] | None = None,
    helps: Mapping[str, str] | None = None,
    unset: bool = False,
) -> None:
    """Adds an option for each field.

    Args:
        parser: of argparse, or a group of one.
        of: a dataclass, or one of its instances, whose values are the defaults.
        names: of the fields; None is all of them.
        flags: other than the field's name.
        helps: other than what the docstring says under "Args:".
        unset: whether an option that was not given is None; the default is then what the help says alone.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Config:
    ...     clips: int = 4
    >>> parser = argparse.ArgumentParser()
    >>> add_fields(parser, Config, flags={"clips": "--count"})
    >>> parser.parse_args([]), parser.parse_args(["--count", "3"])
    (Namespace(count=4), Namespace(count=3))
    """
    kind = of if isinstance(of, type) else type(of)
    kinds = get_type_hints(kind, include_extras=True)
    told: dict[str, str] = {}
    for base in reversed(kind.__mro__):  # a field that a base explains is explained
        told |= explained(inspect.cleandoc(base.__doc__ or ""))
    own = {field.name: field for field in fields(kind)}
    for name in own if names is None else names:
        default = _default(own[name]) if isinstance(of, type) else getattr(of, name)
        words = told.get(name, "") + ("" if default in (None, MISSING, "", False) else f" (default: {_text(default)})")
        words = (helps or {}).get(name, words)
        options = {**value_options(kinds[name]), **own[name].metadata}
        if "choices" in options:
            options.pop("metavar", None)
        options |= {"required": True} if default is MISSING else {"default": None if unset else default}
        if unset and kinds[name] is bool:
            options |= {"action": "store_true", "default": False}
        flag = (flags or {}).get(name, f"--{name.replace('_', '-')}")
        parser.add_argument(flag, help=words.replace("%", "%%").strip(), **options)


def value_options(kind: Any) -> dict[str, Any]:
    """What argparse needs to read a value of a type."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        options = value_options(inner[0])
        return options | {"type": partial(_within, options["type"], inner[1])} if "type" in options else options
    if origin in (Union, UnionType):
        return value_options(next(one for one in inner if one is not type(None)))
    if origin is tuple:
        return {
            "type": partial(_words, inner[0]),
            "metavar": f"{METAVARS.get(inner[0], inner[0].__name__.upper())},...",
        }
    if origin is Literal:
        return {"choices": inner}
    if kind is bool:
        return {"action": argparse.BooleanOptionalAction}
    return {"type": kind, "metavar": METAVARS.get(kind, kind.__name__.upper())}


def explained(doc: str) -> dict[str, str]:
    """What the section "Args:" of a docstring says, by name.

    >>> explained("A.\\n\\nArgs:\\n    a, b: of both,\\n        at once.\\n    c: of one.")
    {'a': 'of both, at once', 'b': 'of both, at once', 'c': 'of one'}
    """
    found: dict[str, str] = {}
    section = re.search(r"^Args:\n((?: {4}.*\n?|\n)*)", doc, re.M)
    for names, text in re.findall(r"^ {4}(\w[\w, ]*): (.*(?:\n {8}.*)*)", section[1] if section else "", re.M):
        for name in names.split(", "):
            found[name] = re.sub(r"\s+", " ", text).rstrip(".")
    return found


def _within(kind: Callable[[str], Any], bounds: Any, text: str) -> Any:
    """A value inside the range that the annotation says."""
    try:
        value = kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be {bounds}, got {text!r}") from None
    if value not in bounds:
        raise argparse.ArgumentTypeError(f"must be {bounds}, got {text}")
    return value


def _words(kind: type, text: str) -> tuple:
    """A list divided by semicolons, or by commas if there are none."""
    return tuple(kind(word.strip()) for word in text.split(";" if ";" in text else ",") if word.strip())


def _default(field: Any) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
