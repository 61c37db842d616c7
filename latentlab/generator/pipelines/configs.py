"""A pipeline of a folder as shapes alone: its networks are made of their settings, and no file of weights is opened."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import nn

from latentlab.generator.pipelines.coded import Coded
from latentlab.generator.pipelines.families import (
    FAMILIES,
    diffusers_for,
    family_of,
    of_pipeline,
    pipeline_kind,
    read_json,
)
from latentlab.generator.pipelines.foreign import networks_of
from latentlab.generator.weightless import bare, known_by_shapes, unweighed


def known_by_settings(folder: Path) -> bool:
    """Whether a folder holds a pipeline of a family, whose settings say all that its shapes depend on."""
    index = folder / "model_index.json"
    return index.is_file() and read_json(index).get("_class_name") in FAMILIES


def shapes_of_folder(
    folder: Path,
    *,
    dtype: torch.dtype = torch.float32,
    vae_dtype: torch.dtype = torch.float32,
    tiling: bool = False,
    device: torch.device | None = None,
    num_frames: int | None = None,
    height: int | None = None,
    width: int | None = None,
) -> Coded:
    """The weightless generator of a folder of a pipeline, see `weightless`.

    Args:
        folder: with `model_index.json`, of a class in `FAMILIES`; files of weights may be absent.
        dtype, vae_dtype, tiling, device, num_frames, height, width: as in `latentlab.load`.

    Raises:
        ValueError: a pipeline of no family here: it is driven, which reads its layout off calls of its networks.
    """
    diffusers = diffusers_for(folder)
    index = read_json(folder / "model_index.json")
    kind = pipeline_kind(diffusers, folder, index)
    parts: dict[str, Any] = {}
    for name, value in index.items():
        if value == [None, None]:
            parts[name] = None
        elif isinstance(value, list) and value[0] in ("diffusers", "transformers"):
            own = getattr(import_module(value[0]), value[1])
            if issubclass(own, nn.Module):
                there = (folder / name / "config.json").is_file()
                parts[name] = _network(own, folder / name, vae_dtype if name == "vae" else dtype) if there else None
    pipe = kind.from_pretrained(folder, **parts)
    if family_of(pipe) is None:
        raise ValueError(
            f"{folder} holds a {kind.__name__}, which is driven: how its latents lie is read off calls of its "
            "networks, so its memory is told of the loaded generator alone"
        )
    if tiling:
        pipe.vae.enable_tiling()
    with unweighed():
        own = of_pipeline(
            bare(pipe, networks_of(pipe).values(), device), num_frames=num_frames, height=height, width=width
        )
        return known_by_shapes(own)


def _network(kind: Any, folder: Path, dtype: torch.dtype) -> nn.Module:
    """A network of its settings on the device "meta", in the precision that `from_pretrained` would load it in."""
    from accelerate import init_empty_weights
    from diffusers import ConfigMixin

    of_diffusers = ConfigMixin in kind.__mro__
    with init_empty_weights():
        settings = kind.load_config(folder) if of_diffusers else kind.config_class.from_pretrained(folder)
        network = kind.from_config(settings) if of_diffusers else kind(settings)
    if not of_diffusers:
        network.tie_weights()
    kept = tuple(kind._keep_in_fp32_modules or ())
    for name, parameter in network.named_parameters():
        if not any(part in name.split(".") for part in kept):
            parameter.data = parameter.data.to(dtype)
    return network
