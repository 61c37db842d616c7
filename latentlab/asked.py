"""What the command line asks of a model: which, at what size, in what precision. Nothing here loads torch."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from latentlab.flags import add_fields

LENGTH = "frames_of_model"  # where --num-frames is the model's alone, and the command has none of its own
SPELLED = {"compiled": "--compile"}
Dtype = Literal["float32", "bfloat16", "float16"]


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)x(\d+)", text)
    if found is None or "0" in found.groups():
        raise argparse.ArgumentTypeError(f"expected height and width, such as 480x832, got {text!r}")
    return int(found[1]), int(found[2])


@dataclass(frozen=True)
class Asked:
    """A model, and how it is loaded; None and False are as `latentlab.load` does it by itself.

    Args:
        folder: generator or pipeline, hub id, or a file of weights (default: the shipped model).
        num_frames: of a clip (default: the pipeline's).
        size: height and width of a clip (default: the pipeline's).
        dtype: of the denoiser (default: float32).
        vae_dtype: of the autoencoder (default: float32).
        variant: of the weights' files, such as fp16.
        config: settings of a --model that is one file of weights.
        revision: branch, tag or commit on the hub.
        tiling: the autoencoder takes clips in tiles.
        offload: only the network at work is on the GPU.
        compiled: networks are compiled on their first call.
        image: picture that the clip is made of, or its first frame.
        negative: what guidance leads away from.
    """

    folder: str | None = field(default=None, metadata={"metavar": "FOLDER"})
    num_frames: int | None = None
    size: tuple[int, int] | None = field(default=None, metadata={"type": _size, "metavar": "HxW"})
    dtype: Dtype | None = None
    vae_dtype: Dtype | None = None
    variant: str | None = field(default=None, metadata={"metavar": "NAME"})
    config: str | None = field(default=None, metadata={"metavar": "FOLDER"})
    revision: str | None = field(default=None, metadata={"metavar": "NAME"})
    tiling: bool = False
    offload: bool = False
    compiled: bool = field(default=False, metadata={"dest": "compiled"})
    image: str | None = field(default=None, metadata={"metavar": "FILE"})
    negative: str | None = field(default=None, metadata={"metavar": "CAPTION"})


def add_model(
    p: argparse.ArgumentParser,
    count: Callable[[str], int],
    *,
    told: bool = False,
    negative: bool = False,
    length: bool = True,
) -> None:
    """Options of a command that loads a model.

    Args:
        p: its parser.
        count: reads a whole number above 0.
        told: whether it tells the model something, beside which there may be an image and a negative caption.
        negative: whether there may be a negative caption alone.
        length: whether the number of frames is among them; a command may have its own.
    """
    add_fields(p, Asked, ["folder"], flags={"folder": "--model"})
    g = p.add_argument_group("for pipelines of diffusers")
    if length:
        g.add_argument("--num-frames", dest=LENGTH, metavar="N", type=count, help="of a clip (default: the pipeline's)")
    names = ["size", "dtype", "vae_dtype", "variant", "config", "revision"]
    add_fields(g, Asked, [*names, "tiling", "offload", "compiled", *["image"] * told], flags=SPELLED, unset=True)
    if told or negative:
        add_fields(p, Asked, ["negative"])


def gathered(arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments of a command, those of `add_model` as one, `model`; a number of frames that a command has stays too."""
    if "compiled" not in arguments:
        return arguments
    names = {field.name for field in fields(Asked)} - {"folder", "num_frames"}
    own = {name: arguments.pop(name) for name in names if name in arguments}
    frames = arguments.pop(LENGTH) if LENGTH in arguments else arguments.get("num_frames")
    return {**arguments, "model": Asked(folder=arguments["model"], num_frames=frames, **own)}
