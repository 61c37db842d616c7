"""The model of a command, loaded as it was asked for, and what it is told."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from latentlab.asked import Asked
from latentlab.control.masks import read_mask
from latentlab.generator.condition import Condition
from latentlab.generator.generator import Generator
from latentlab.generator.image import ImageGenerator
from latentlab.generator.load import find_device, load
from latentlab.generator.pipelines.coded import Coded
from latentlab.generator.pipelines.configs import known_by_settings, shapes_of_folder
from latentlab.generator.pipelines.driven import Driven
from latentlab.generator.pipelines.families import is_foreign
from latentlab.generator.pipelines.hub import download_settings, is_hub_id
from latentlab.generator.pipelines.pipeline import Pipeline
from latentlab.shapes import Mask
from latentlab.video import probe, read_fitted


def loaded(
    model: Asked | str | Path | None, *, device: str, lengthens: bool = False, at_most: tuple[int, int] | None = None
) -> Generator:
    """The generator of a command, which may draw longer clips than the model's; `at_most` as in `load`.

    Raises:
        ValueError: an option of pipelines for a model that is none.
    """
    asked = model if isinstance(model, Asked) else Asked(None if model is None else str(model))
    options: dict[str, Any] = {"tiling": asked.tiling, "variant": asked.variant, "revision": asked.revision}
    options |= {"config": asked.config, "at_most": at_most}
    for name in ("dtype", "vae_dtype"):
        if (given := getattr(asked, name)) is not None:
            options[name] = getattr(torch, given)
    if asked.size is not None:
        options |= {"height": asked.size[0], "width": asked.size[1]}
    folder = asked.folder
    foreign = folder is not None and (not Path(folder).is_dir() or is_foreign(Path(folder)))
    if foreign and asked.num_frames is not None:  # a model of ours may draw longer clips, by windows
        options["num_frames"] = asked.num_frames
    generator = load(folder, device="cpu" if asked.offload else device, **options)
    if not foreign and not lengthens and asked.num_frames not in (None, generator.config.num_frames):
        own = generator.config.num_frames
        raise ValueError(
            f"--num-frames {asked.num_frames}: {folder or 'the shipped model'} takes clips of {own} frames"
        )
    if asked.offload:
        if not isinstance(generator, Pipeline | Driven):
            raise ValueError(f"--offload is for pipelines of diffusers, got {folder or 'the shipped model'}")
        generator = generator.offload(None if device == "auto" else device)
    return generator.compile() if asked.compiled else generator


def shapes(model: Asked, *, device: str) -> Generator:
    """The generator of a command that asks for shapes alone: of a known family no weights are read, nor fetched."""
    if model.folder is None:
        return loaded(model, device=device)
    folder = Path(model.folder)
    if is_hub_id(folder):
        folder = download_settings(model.folder, revision=model.revision)
    if not known_by_settings(folder):
        return loaded(model, device=device)
    size = model.size or (None, None)
    return shapes_of_folder(
        folder,
        dtype=getattr(torch, model.dtype or "float32"),
        vae_dtype=getattr(torch, model.vae_dtype or "float32"),
        tiling=model.tiling,
        device=find_device(device),
        num_frames=model.num_frames,
        height=size[0],
        width=size[1],
    )


def own_size(video: str) -> tuple[int, int]:
    """Frames of a clip, and its longer side: a pipeline need not make more of it, unless it is asked to."""
    info = probe(video)
    return info.num_frames, max(info.height, info.width)


def led_away(generator: Generator, model: Asked | str | Path | None) -> Generator:
    """The generator, whose guidance leads away from the negative caption that was asked for.

    Raises:
        ValueError: a model of classes, or a word that it does not know.
    """
    if not isinstance(model, Asked) or model.negative is None:
        return generator
    if isinstance(generator, ImageGenerator):
        raise ValueError("--negative is for captions, and classes have none")
    return generator.against(model.negative)


def condition_of(generator: Generator, captions: str | Sequence[str], model: Asked | str | Path | None) -> Condition:
    """What captions tell the model, with the image and the negative caption that were asked for beside them.

    Raises:
        ValueError: a model that takes neither.
    """
    asked = model if isinstance(model, Asked) else Asked()
    beside: dict[str, Any] = {}
    if asked.negative is not None:
        beside["negative"] = asked.negative
    if asked.image is not None:
        c = generator.config
        beside["image"] = read_fitted(asked.image, 1, (c.height, c.width)).video
    if beside and isinstance(generator, ImageGenerator):
        raise ValueError(f"--{next(iter(beside))} is for captions, and classes have none")
    if "image" in beside and not isinstance(generator, Coded):
        raise ValueError(f"--image is for pipelines of diffusers that read one, got a {type(generator).__name__}")
    return generator.condition(captions, **beside)  # a word that the model does not know is told here


def mask_of(given: str, size: Sequence[int]) -> Mask:
    """The mask of a file, or of a box as LEFT,TOP,WIDTH,HEIGHT in pixels of the clip."""
    frames, height, width = size
    if not re.fullmatch(r"[-0-9 ]+(,[-0-9 ]+)+", given):
        return read_mask(given, num_frames=frames, size=(height, width))
    box = re.fullmatch(r" *([0-9]+) *, *([0-9]+) *, *([0-9]+) *, *([0-9]+) *", given)
    left, top, wide, high = map(int, box.groups()) if box else (0, 0, 0, 0)
    if not (wide and high and left + wide <= width and top + high <= height):
        raise ValueError(
            f"--mask {given} is a box LEFT,TOP,WIDTH,HEIGHT, which the clip of {width} x {height} must hold"
        )
    mask = torch.zeros(1, 1, 1, height, width)
    mask[..., top : top + high, left : left + wide] = 1
    return mask
