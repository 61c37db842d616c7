"""What the command line asks of a model: which, at what size, in what precision. Nothing here loads torch."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

FLOATS = ("float32", "bfloat16", "float16")
LENGTH = "frames_of_model"  # where --num-frames is the model's alone, and the command has none of its own
NAMES = (
    "size",
    "dtype",
    "vae_dtype",
    "variant",
    "config",
    "revision",
    "tiling",
    "offload",
    "compiled",
    "image",
    "negative",
)


@dataclass(frozen=True)
class Asked:
    """A model, and how it is loaded; None and False are as `latentlab.load` does it by itself.

    Attributes:
        folder: of a generator or pipeline, a hub id, or a file of weights; None is the shipped model.
        num_frames: of a clip of a pipeline.
        size: height and width of it.
        dtype, vae_dtype: names of dtypes, of the denoiser and of the autoencoder.
        variant, revision: of the weights.
        config: folder with the settings of a model that is one file.
        tiling: whether the autoencoder takes clips in tiles.
        offload: whether networks wait in the memory of the CPU.
        compiled: whether networks are compiled.
        image: file of the picture that a clip begins with.
        negative: caption that guidance leads away from.
    """

    folder: str | None = None
    num_frames: int | None = None
    size: tuple[int, int] | None = None
    dtype: str | None = None
    vae_dtype: str | None = None
    variant: str | None = None
    revision: str | None = None
    config: str | None = None
    tiling: bool = False
    offload: bool = False
    compiled: bool = False
    image: str | None = None
    negative: str | None = None


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
    p.add_argument("--model", metavar="FOLDER", help="generator or pipeline, or hub id (default: the shipped model)")
    g = p.add_argument_group("for pipelines of diffusers")
    if length:
        g.add_argument("--num-frames", dest=LENGTH, type=count, help="of a clip (default: the pipeline's)")
    g.add_argument("--size", type=_size, metavar="HxW", help="height and width of a clip (default: the pipeline's)")
    g.add_argument("--dtype", choices=FLOATS, help="of the denoiser (default: float32)")
    g.add_argument("--vae-dtype", choices=FLOATS, help="of the autoencoder (default: float32)")
    g.add_argument("--variant", metavar="NAME", help="of the weights' files, such as fp16")
    g.add_argument("--config", metavar="FOLDER", help="settings of a --model that is one file of weights")
    g.add_argument("--revision", metavar="NAME", help="branch, tag or commit on the hub")
    g.add_argument("--tiling", action="store_true", help="the autoencoder takes clips in tiles")
    g.add_argument("--offload", action="store_true", help="only the network at work is on the GPU")
    g.add_argument("--compile", dest="compiled", action="store_true", help="networks are compiled on their first call")
    if told:
        g.add_argument("--image", metavar="FILE", help="picture that the clip is made of, or its first frame")
    if told or negative:
        p.add_argument("--negative", metavar="CAPTION", help="what guidance leads away from")


def gathered(arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments of a command, those of `add_model` as one, `model`; a number of frames that a command has stays too."""
    if "compiled" not in arguments:
        return arguments
    own = {name: arguments.pop(name) for name in NAMES if name in arguments}
    frames = arguments.pop(LENGTH) if LENGTH in arguments else arguments.get("num_frames")
    return {**arguments, "model": Asked(folder=arguments["model"], num_frames=frames, **own)}


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)x(\d+)", text)
    if found is None or "0" in found.groups():
        raise argparse.ArgumentTypeError(f"expected height and width, such as 480x832, got {text!r}")
    return int(found[1]), int(found[2])
