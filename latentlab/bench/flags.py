"""The command line of a script of `benchmarks/`: a flag for each field of its `Config`, its figures as JSON."""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, asdict, fields
from functools import partial
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from latentlab import __version__
from latentlab.record import to_json


def main(
    run: Callable[[Any], Mapping[str, Any]],
    given: Sequence[str] | None = None,
    *,
    presets: Mapping[str, Any] | None = None,
    show: Callable[[Mapping[str, Any]], str] | None = None,
) -> None:
    """Runs a benchmark as its command line asks, and prints its figures.

    Args:
        run: of the script; it takes a `Config`, a dataclass, whose docstring may explain fields under "Args:".
        given: flags; None is those of the command line.
        presets: other Configs to start from, by the name of their flag.
        show: figures as text; None is JSON, without what begins with "_", which is for the page.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Config:
    ...     clips: int = 4
    >>> def run(config: Config) -> dict:
    ...     return {"twice": 2 * config.clips}
    >>> main(run, ["--clips", "3"], show=str)
    {'twice': 6}
    """
    config = config_from_flags(run, given, presets or {})
    figures = run(config)
    plain = {name: value for name, value in figures.items() if not name.startswith("_")}
    settings = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(config).items()}
    said = {"version": __version__, "config": settings, **plain}
    sys.stdout.write((to_json(said) if show is None else show(figures)) + "\n")


def config_from_flags(run: Callable[[Any], Any], given: Sequence[str] | None, presets: Mapping[str, Any]) -> Any:
    """The Config that flags ask for; one that refuses its values ends with the reason."""
    module = inspect.getmodule(run)
    kind = get_type_hints(run)["config"]
    kinds, told = get_type_hints(kind), _explained(inspect.getdoc(kind) or "")
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.set_defaults(preset=None)
    for name, preset in presets.items():
        first.add_argument(f"--{name}", action="store_const", dest="preset", const=preset, help="a smaller question")
    known, rest = first.parse_known_args(given)
    preset = known.preset
    parser = argparse.ArgumentParser(
        description=inspect.cleandoc(module.__doc__ or "") if module else None,
        parents=[first],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for field in fields(kind):
        default = _default(field) if preset is None else getattr(preset, field.name)
        help = told.get(field.name, "") + ("" if default in (None, MISSING) else f" (default: {_text(default)})")
        flag, options = f"--{field.name.replace('_', '-')}", _options(kinds[field.name])
        required = {"required": True} if default is MISSING else {"default": default}
        parser.add_argument(flag, help=help.replace("%", "%%").strip(), **required, **options)
    chosen = vars(parser.parse_args(rest))
    chosen.pop("preset", None)
    try:
        return kind(**chosen)
    except ValueError as error:
        parser.error(str(error))


def _options(kind: Any) -> dict[str, Any]:
    """What argparse needs to read a value of a type."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return _options(next(one for one in inner if one is not type(None)))
    if origin is tuple:
        return {"type": partial(_words, inner[0]), "metavar": f"{_name(inner[0])},..."}
    if origin is Literal:
        return {"choices": inner}
    return {"action": argparse.BooleanOptionalAction} if kind is bool else {"type": kind, "metavar": _name(kind)}


def _words(kind: type, text: str) -> tuple:
    """A list divided by semicolons, or by commas if there are none."""
    return tuple(kind(word.strip()) for word in text.split(";" if ";" in text else ",") if word.strip())


def _name(kind: type) -> str:
    return {int: "N", float: "X", str: "WORD", Path: "PATH"}.get(kind, kind.__name__.upper())


def _default(field: Any) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _explained(doc: str) -> dict[str, str]:
    """What the section "Args:" of a docstring says, by name.

    >>> _explained("A.\\n\\nArgs:\\n    a, b: of both,\\n        at once.\\n    c: of one.")
    {'a': 'of both, at once', 'b': 'of both, at once', 'c': 'of one'}
    """
    found: dict[str, str] = {}
    section = re.search(r"^Args:\n((?: {4}.*\n?|\n)*)", doc, re.M)
    for names, text in re.findall(r"^ {4}(\w[\w, ]*): (.*(?:\n {8}.*)*)", section[1] if section else "", re.M):
        for name in names.split(", "):
            found[name] = re.sub(r"\s+", " ", text).rstrip(".")
    return found
