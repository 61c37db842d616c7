"""What the commands of the command line do: read clips, call the library, write files and a record beside them."""

from __future__ import annotations

from collections.abc import Callable

from latentlab.commands.adapters import why_command
from latentlab.commands.batch import batch_command
from latentlab.commands.clips import encode_command, generate_command, interpolate_command, invert_command
from latentlab.commands.control import extend_command, inpaint_command
from latentlab.commands.edits import directions_command, edit_command, replay_command
from latentlab.commands.paint import paint_command
from latentlab.commands.runs import bench_command, tour_command, train_command
from latentlab.commands.scores import coverage_command, flicker_command, memory_command, score_command

COMMANDS: dict[str, Callable[..., None]] = {
    "tour": tour_command,
    "generate": generate_command,
    "encode": encode_command,
    "invert": invert_command,
    "interpolate": interpolate_command,
    "edit": edit_command,
    "directions": directions_command,
    "replay": replay_command,
    "extend": extend_command,
    "inpaint": inpaint_command,
    "paint": paint_command,
    "flicker": flicker_command,
    "score": score_command,
    "coverage": coverage_command,
    "memory": memory_command,
    "bench": bench_command,
    "batch": batch_command,
    "train": train_command,
    "why": why_command,
}
