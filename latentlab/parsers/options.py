"""Options that several commands share, and the kinds of their values."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable

from latentlab.asked import add_model
from latentlab.generator.methods import METHODS

LABELS = "labels of your own: CSV, files first, a column a factor; or a folder with a folder for each class"
FORMAT = argparse.RawDescriptionHelpFormatter


def command(
    commands, name: str, summary: str, example: str, *, out: str, seed: bool = True, device: bool = True
) -> argparse.ArgumentParser:
    p = commands.add_parser(
        name, help=summary, description=summary, epilog=f"example:\n  {example}", formatter_class=FORMAT
    )
    p.add_argument("--out", default=out or None, metavar="PATH", help=f"where to write (default: {out or 'nowhere'})")
    if seed:
        p.add_argument("--seed", type=seed_number, default=0, help="of all randomness (default: 0)")
    if device:
        p.add_argument("--device", default="auto", help="auto, cpu, cuda, mps (default: auto, a GPU if there is one)")
    p.add_argument("--json", action="store_true", help="print the result as JSON")
    p.add_argument("--traceback", action="store_true", help="of an error, show where it was raised")
    return p


def model_options(
    p: argparse.ArgumentParser,
    *,
    method: str = "midpoint",
    guidance: float | None = 1.0,
    told: bool = True,
    length: bool = True,
    own_steps: bool = False,
) -> None:
    add_model(p, positive(int), told=told, length=length)
    few = "25; a student's own" if own_steps else "25"
    p.add_argument(
        "--steps", type=positive(int), default=None if own_steps else 25, help=f"solver steps (default: {few})"
    )
    p.add_argument("--method", choices=METHODS, default=method, help=f"solver (default: {method})")
    shown = "as shipped" if guidance is None else guidance
    p.add_argument("--guidance", type=float, default=guidance, help=f"weight of the caption (default: {shown})")


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
