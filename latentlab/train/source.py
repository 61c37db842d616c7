"""The data that `--data` names, as each network takes it."""

from __future__ import annotations

from typing import Any

from latentlab.data.drifting import Drifting
from latentlab.data.dsprites import DSprites
from latentlab.data.folder import FolderClips
from latentlab.data.moving.dataset import TRAIN_SEED, MovingShapes
from latentlab.data.pictures import Images, images
from latentlab.generator.denoiser import DenoiserConfig
from latentlab.train.known_region import SomeEmpty
from latentlab.train.loop import is_main_process

Clips = MovingShapes | FolderClips

# What --data moving-scenes draws: of six scenes one is empty, three have one object, two have two.
SCENES: dict[str, Any] = {"objects": (0, 1, 1, 1, 2, 2), "changes": 0.4, "camera": 0.15}

PICTURES = ("fashion-mnist", "digits")  # of `data.images`, which --data names

# Of what the frames and the sides of clips must be multiples, for each network.
MULTIPLES = {
    "autoencoder": (1, 8),
    "clip": (1, 8),
    "control": (DenoiserConfig().window, 16),
    "denoiser": (DenoiserConfig().window, 16),
    "known-region": (DenoiserConfig().window, 16),
    "reference": (DenoiserConfig().window, 16),
    "student": (DenoiserConfig().window, 16),
    "vector-vae": (1, 16),
}


def open_data(
    network: str,
    name: str,
    *,
    num_frames: int | None = None,
    size: tuple[int, int] | None = None,
    classes: bool = False,
    inflate: bool = False,
) -> Clips | DSprites | Images | Drifting:
    """The clips that `--data` names; of a folder all files are opened, and it has as many clips as different windows.

    Args:
        network: that will learn from them.
        name: moving-shapes (one steady object each; for known-region one clip in three is empty), moving-scenes (none
            to two, and changes of motion, cameras), dsprites, or a folder of video files; fashion-mnist or digits, or
            with `classes` a folder of pictures.
        num_frames: of a folder's clips (default: 16). The vector VAE cuts its own clips, of any length up to theirs.
        size: (height, width) of a folder's clips (default: 64 x 64).
        classes: whether the name is of pictures with a class, which the denoiser learns without an autoencoder.
        inflate: whether a model of these pictures is to learn time: they drift over `num_frames`.

    Raises:
        ValueError: the network cannot learn from these, or from clips of this length or size.
    """
    if classes or name in PICTURES:
        if network != "denoiser":
            raise ValueError(f"{name} has pictures with a class, which the denoiser alone learns, got {network}")
        if num_frames == 1 or not (inflate or num_frames):
            return images(name, size=size)
        if not inflate:
            raise ValueError(f"pictures are clips of one frame without --inflate, got --num-frames {num_frames}")
        return Drifting(images(name, size=size), num_frames or 16)
    if inflate:
        raise ValueError(f"--inflate takes a model of pictures and --data of pictures with a class, got {name}")
    if name == "dsprites" and network not in ("autoencoder", "vector-vae"):
        raise ValueError(f"dsprites has pictures alone, and the {network} learns captions or motion")
    if network == "edits" and name == "moving-scenes":
        raise ValueError("edits are learned from steady objects: --data moving-shapes, whose second object is added")
    if name in ("moving-shapes", "moving-scenes", "dsprites"):
        if size or (num_frames and network != "vector-vae"):
            raise ValueError(f"{name} come in one length and size; --num-frames and --size are for a folder of videos")
        if name == "dsprites":
            return DSprites()
        if (network, name) == ("known-region", "moving-shapes"):
            return SomeEmpty(1_000_000, TRAIN_SEED)
        return MovingShapes(1_000_000, TRAIN_SEED, **(SCENES if name == "moving-scenes" else {}))
    if network == "edits":
        raise ValueError("edits are learned from factors, which only --data moving-shapes has")
    if network == "control":
        raise ValueError(
            "a control branch learns from clips of which it is known where things are: --data moving-shapes or "
            "moving-scenes"
        )
    if network == "reader":
        raise ValueError("the reader learns factors, which only --data moving-shapes and moving-scenes have")
    num_frames = max(num_frames or 16, 16) if network == "vector-vae" else num_frames or 16
    size = size or (64, 64)
    of_frames, of_sides = MULTIPLES[network]
    if num_frames % of_frames:
        raise ValueError(
            f"the {network} learns clips of a multiple of {of_frames} frames, got --num-frames {num_frames}"
        )
    if size[0] % of_sides or size[1] % of_sides:
        raise ValueError(f"the {network} needs sides that are multiples of {of_sides}, got --size {size[0]}x{size[1]}")
    data = FolderClips(name, num_frames, size)
    data.look(progress=is_main_process())
    data.count = data.windows
    return data
