"""What the command line takes: a parser for each command. Help on all of them loads no library, so it is instant."""

from __future__ import annotations

from latentlab import __version__
from latentlab.parsers.batches import add_batch
from latentlab.parsers.clips import add_encode, add_extend, add_generate, add_interpolate, add_invert, add_tour
from latentlab.parsers.edits import add_directions, add_edit, add_inpaint, add_paint, add_replay
from latentlab.parsers.options import FORMAT, Parser
from latentlab.parsers.scores import add_bench, add_coverage, add_flicker, add_memory, add_score, add_why
from latentlab.parsers.training import add_train

EPILOG = """\
Every command takes --out, --json and --traceback; those that draw take --seed, those that compute with a network
--device. `latentlab COMMAND --help` shows an example.
"""


def parser() -> Parser:
    """The whole command line."""
    top = Parser(
        prog="latentlab",
        description="Look into the latent space of a video generator.",
        epilog=EPILOG,
        formatter_class=FORMAT,
    )
    top.add_argument("--version", "-V", action="version", version=f"latentlab {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    for add in (
        add_tour,
        add_generate,
        add_encode,
        add_invert,
        add_interpolate,
        add_edit,
        add_directions,
        add_replay,
        add_extend,
        add_inpaint,
        add_paint,
        add_batch,
        add_flicker,
        add_score,
        add_coverage,
        add_memory,
        add_bench,
        add_train,
        add_why,
    ):
        asks = add(commands)
        next(asks).asks = asks
    return top
