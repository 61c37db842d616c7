"""What the command line takes: a parser for each command. Nothing here loads torch, so that help is instant."""

from __future__ import annotations

import argparse

from latentlab import __version__
from latentlab.parsers.batches import batch
from latentlab.parsers.clips import encode, extend, generate, interpolate, invert, tour
from latentlab.parsers.edits import directions, edit, inpaint, paint, replay
from latentlab.parsers.options import FORMAT
from latentlab.parsers.scores import bench, coverage, flicker, memory, score, why
from latentlab.parsers.training import train

EPILOG = """\
Every command takes --out, --json and --traceback; those that draw take --seed, those that compute with a network
--device. `latentlab COMMAND --help` shows an example.
"""


class _Parser(argparse.ArgumentParser):
    """Bad input is one clear line and exit code 2."""

    def error(self, message: str) -> None:  # type: ignore[override]
        self.exit(2, f"{self.prog}: {message}. See {self.prog} --help\n")


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = _Parser(
        prog="latentlab",
        description="Look into the latent space of a video generator.",
        epilog=EPILOG,
        formatter_class=FORMAT,
    )
    top.add_argument("--version", "-V", action="version", version=f"latentlab {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    for add in (
        tour,
        generate,
        encode,
        invert,
        interpolate,
        edit,
        directions,
        replay,
        extend,
        inpaint,
        paint,
        batch,
        flicker,
        score,
        coverage,
        memory,
        bench,
        train,
        why,
    ):
        add(commands)
    return top
