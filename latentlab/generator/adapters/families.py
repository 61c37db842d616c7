"""Reads folders of diffusers: whole pipelines of the families known here, or an autoencoder alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

import torch

from latentlab.generator.adapters.coded import AutoencoderOnly, Coded
from latentlab.generator.adapters.cogvideox import CogVideoX
from latentlab.generator.adapters.hunyuan import Hunyuan
from latentlab.generator.adapters.ltx import LTX
from latentlab.generator.adapters.mochi import Mochi
from latentlab.generator.adapters.pipeline import Pipeline
from latentlab.generator.adapters.svd import StableVideo
from latentlab.generator.adapters.taesd import find_taesd, load_taesd
from latentlab.generator.adapters.unet import AnimateDiff, ModelScope
from latentlab.generator.adapters.wan import Wan
from latentlab.generator.generator import GeneratorConfig

FAMILIES: dict[str, type[Pipeline]] = {  # by the pipeline's class in model_index.json
    "AnimateDiffPipeline": AnimateDiff,
    "StableVideoDiffusionPipeline": StableVideo,
    "TextToVideoSDPipeline": ModelScope,
    "CogVideoXPipeline": CogVideoX,
    "WanPipeline": Wan,
    "LTXPipeline": LTX,
    "HunyuanVideoPipeline": Hunyuan,
    "MochiPipeline": Mochi,
}


def is_foreign(folder: Path) -> bool:
    """Whether a folder holds a pipeline or a network of diffusers, or a tiny autoencoder."""
    named = any((folder / name).is_file() for name in ("model_index.json", "config.json"))
    return named or find_taesd(folder) is not None


def download(hub_id: str) -> Path:
    """Fetches a pipeline of a known family from the hub and returns its folder; offline, what was fetched before.

    Raises:
        ValueError: a pipeline of another family; nothing but its index was fetched.
        FileNotFoundError: the hub has no such pipeline, or cannot be reached and it was not fetched before.
    """
    diffusers, unreachable = _diffusers(hub_id), _why_unreachable(hub_id)
    options = {} if unreachable is None else {"local_files_only": True}
    try:
        if unreachable and not _fetched(hub_id):
            raise OSError(unreachable)
        pipeline = diffusers.DiffusionPipeline
        _family(hub_id, pipeline.load_config(hub_id, **options))
        return Path(pipeline.download(hub_id, use_safetensors=True, **options))
    except OSError as error:
        raise FileNotFoundError(f"{hub_id} is no folder here, and could not be read from the hub: {error}") from error


def _why_unreachable(hub_id: str) -> str | None:
    """Why the hub does not answer for a repository, None if it does; at once, where a download tries for a minute."""
    from huggingface_hub import HfApi

    try:
        HfApi().model_info(hub_id, timeout=10)
    except Exception as error:  # of the hub, or of the library for HTTP below it, which changes with its version
        return f"{type(error).__name__}: {error}"
    return None


def _fetched(hub_id: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(hub_id, "model_index.json"), str)


def load_foreign(folder: Path, dtype: torch.dtype) -> Coded:
    """The generator of a folder in the format of diffusers, or of a tiny autoencoder.

    Args:
        folder: with `model_index.json` (a pipeline), `config.json` (an autoencoder), or `*_encoder.pth` and
            `*_decoder.pth` (a tiny autoencoder, which needs no diffusers).
        dtype: of the denoiser and text encoder; the autoencoder computes in float32.

    Raises:
        ImportError: diffusers is not installed.
        ValueError: a pipeline or network of another kind; the message lists those that are known.
    """
    tiny = find_taesd(folder)
    if tiny is not None:
        return AutoencoderOnly(load_taesd(*tiny), GeneratorConfig())
    diffusers = _diffusers(folder)
    if not (folder / "model_index.json").is_file():
        return _autoencoder(diffusers, folder)
    index = json.loads((folder / "model_index.json").read_text())
    family, kind = _family(folder, index), getattr(diffusers, index["_class_name"])
    # Embeddings may stand in for a text encoder, which is often most of a folder.
    needed = [name for name, p in signature(kind).parameters.items() if p.default is Parameter.empty]
    absent = {name: None for name in needed if index.get(name) in (None, [None, None])}
    dtypes = {"vae": torch.float32, "default": dtype}
    pipe = kind.from_pretrained(folder, dtype=dtypes, use_safetensors=True, **absent)
    pipe.set_progress_bar_config(disable=True)
    return family(pipe)


def _autoencoder(diffusers, folder: Path) -> AutoencoderOnly:
    name = json.loads((folder / "config.json").read_text()).get("_class_name", "network of an unknown class")
    if not name.startswith("Autoencoder") or not hasattr(diffusers, name):
        raise ValueError(f"{folder} holds a {name}; give the folder of an autoencoder or of a whole pipeline")
    vae = getattr(diffusers, name).from_pretrained(folder, dtype=torch.float32, use_safetensors=True)
    return AutoencoderOnly(vae, GeneratorConfig())


def _family(path: str | Path, index: Mapping[str, Any]) -> type[Pipeline]:
    name = str(index.get("_class_name"))
    if name not in FAMILIES:
        raise ValueError(f"{path} holds a {name}; the pipelines known are {', '.join(FAMILIES)}")
    return FAMILIES[name]


def _diffusers(path: str | Path) -> Any:
    try:
        import diffusers
    except ImportError as error:
        raise ImportError(f"{path} is read by diffusers: pip install 'latentlab[diffusers]'") from error
    return diffusers
