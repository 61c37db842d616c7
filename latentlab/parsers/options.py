"""Options that several commands share, and the kinds of their values."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from latentlab.asked import add_model
from latentlab.flags import add_fields

if TYPE_CHECKING:
    from latentlab.generator.sampler import Sampler

LABELS = "labels of your own: CSV, files first, a column a factor; or a folder with a folder for each class"
FORMAT = argparse.RawDescriptionHelpFormatter


class Parser(argparse.ArgumentParser):
    """Bad input is one clear line and exit code 2. Options of a command are made when it is asked for, so that help on
    all of them loads no library.

    Attributes:
        asks: makes the options, once.
    """

    asks: Iterator[Any] = iter(())

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        self._ask()
        return super().parse_known_args(args, namespace)

    def format_help(self) -> str:
        self._ask()
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}. See {self.prog} --help\n")

    def _ask(self) -> None:
        for _ in self.asks:
            pass


Asking = Iterator[Parser]  # the parser of a command first, then nothing but its options


def command(
    commands, name: str, summary: str, example: str, *, out: str, seed: bool = True, device: bool = True
) -> Parser:
    p = commands.add_parser(
        name, help=summary, description=summary, epilog=f"example:\n  {example}", formatter_class=FORMAT
    )
    shared_options(p, out=out, seed=seed, device=device)
    return p


def shared_options(p: argparse.ArgumentParser, *, out: str, seed: bool = True, device: bool = True) -> None:
    p.add_argument(
        "--out", type=_path, default=out or None, metavar="PATH", help=f"where to write (default: {out or 'nowhere'})"
    )
    if seed:
        p.add_argument("--seed", type=seed_number, default=0, help="of all randomness (default: 0)")
    if device:
        p.add_argument("--device", default="auto", help="auto, cpu, cuda, mps (default: auto, a GPU if there is one)")
    p.add_argument("--json", action="store_true", help="print the result as JSON")
    p.add_argument("--traceback", action="store_true", help="of an error, show where it was raised")


def model_options(
    p: argparse.ArgumentParser,
    sampler: Sampler,
    *,
    told: bool = True,
    length: bool = True,
    own_steps: bool = False,
) -> None:
    """Options of a command that loads a model and runs its solver; what they say by default is a `Sampler`."""
    add_model(p, positive(int), told=told, length=length)
    steps = {"num_steps": f"solver steps (default: {sampler.num_steps}; a student's own)"} if own_steps else {}
    add_fields(p, sampler, ["num_steps"], flags={"num_steps": "--steps"}, helps=steps, unset=own_steps)
    shown = "as shipped" if sampler.guidance is None else sampler.guidance
    helps = {
        "method": f"solver (default: {sampler.method})",
        "guidance": f"weight of the caption, 1 is the model as trained (default: {shown})",
    }
    add_fields(p, sampler, ["method", "guidance"], helps=helps)


def _path(text: str) -> str:
    """A place as it is known: `runs/` is `runs`."""
    return str(Path(text)) if text else text


def height_and_width(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([1-9]\d*)(?:x([1-9]\d*))?", text, re.ASCII)
    if not found:
        raise argparse.ArgumentTypeError(f"must be HEIGHTxWIDTH, as 64x96, or one side of a square, got {text}")
    return int(found[1]), int(found[2] or found[1])


def seed_number(text: str) -> int:
    if not re.fullmatch(r"\d+", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 on, got {text}")
    return int(text)


def whole_number(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"must be 0 or more, got {text}")
    return value


def positive(kind: Callable, least: float = 0) -> Callable:
    def parse(text: str):
        value = kind(text)
        if value < least or value <= 0:
            raise argparse.ArgumentTypeError(f"must be {f'at least {least}' if least else 'above 0'}, got {text}")
        return value

    parse.__name__ = kind.__name__
    return parse
