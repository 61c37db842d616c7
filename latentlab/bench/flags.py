"""The command line of a script of `benchmarks/`: a flag for each field of its `Config`, its figures as JSON."""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_type_hints

from latentlab import __version__
from latentlab.flags import add_fields
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
    add_fields(parser, kind if preset is None else preset)
    chosen = vars(parser.parse_args(rest))
    chosen.pop("preset", None)
    try:
        return kind(**chosen)
    except ValueError as error:
        parser.error(str(error))
