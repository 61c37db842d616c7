"""What the commands of the command line do: read clips, call the library, write files and a record beside them."""

from __future__ import annotations

from collections.abc import Callable

from latentlab.commands.adapters import why_command
from latentlab.commands.batch import batch
from latentlab.commands.clips import directions_command, edit, encode, generate, interpolate, invert, replay
from latentlab.commands.control import extend_command, inpaint_command
from latentlab.commands.paint import paint_command
from latentlab.commands.runs import bench, tour, train
from latentlab.commands.scores import coverage_command, flicker_command, memory_command, score

COMMANDS: dict[str, Callable[..., None]] = {
    "tour": tour,
    "generate": generate,
    "encode": encode,
    "invert": invert,
    "interpolate": interpolate,
    "edit": edit,
    "directions": directions_command,
    "replay": replay,
    "extend": extend_command,
    "inpaint": inpaint_command,
    "paint": paint_command,
    "flicker": flicker_command,
    "score": score,
    "coverage": coverage_command,
    "memory": memory_command,
    "bench": bench,
    "batch": batch,
    "train": train,
    "why": why_command,
}
