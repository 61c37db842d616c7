"""The hub of Hugging Face: what a pipeline or an autoencoder is made of, fetched once, with its weights or without."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from latentlab.generator.pipelines.families import FAMILIES, autoencoder_kind, diffusers_for, pipeline_kind, read_json

SETTINGS = ["*.json", "*.txt", "*.model"]  # of networks and tokenizers


def is_hub_id(path: str | Path) -> bool:
    """Whether it is "owner/name", and no folder here."""
    return not Path(path).exists() and re.fullmatch(r"[\w.-]+/[\w.-]+", str(path)) is not None


def download(hub_id: str, *, revision: str | None = None, variant: str | None = None) -> Path:
    """Fetches a pipeline of a known family, or an autoencoder, from the hub and returns its folder; offline, what was
    fetched before.

    Args:
        hub_id: "owner/name".
        revision: branch, tag or commit; None is the main branch.
        variant: of the weights, such as "fp16".

    Raises:
        ValueError: a pipeline or network of another kind; nothing but its index was fetched.
        FileNotFoundError: the hub holds no such thing, or cannot be reached and it was not fetched before.
    """
    from huggingface_hub import hf_hub_download, snapshot_download

    diffusers, (files, unreachable) = diffusers_for(hub_id), _listed(hub_id, revision)
    options: dict[str, Any] = {"revision": revision, "local_files_only": unreachable is not None}
    try:
        if "model_index.json" in files:
            pipeline = diffusers.DiffusionPipeline
            pipeline_kind(diffusers, hub_id, pipeline.load_config(hub_id, **options))
            return Path(pipeline.download(hub_id, use_safetensors=True, variant=variant, **options))
        if "config.json" not in files:
            raise OSError(unreachable or "it holds neither model_index.json nor config.json")
        config = Path(hf_hub_download(hub_id, "config.json", **options))
        autoencoder_kind(diffusers, hub_id, read_json(config))
        return Path(snapshot_download(hub_id, allow_patterns=["config.json", "*.safetensors*"], **options))
    except OSError as error:
        raise FileNotFoundError(f"{hub_id} is no folder here, and could not be read from the hub: {error}") from error


def download_settings(hub_id: str, *, revision: str | None = None) -> Path:
    """Fetches what a pipeline on the hub is made of, without its weights, and returns the folder; an autoencoder whole.

    Raises:
        ValueError: a pipeline of no family here, of which settings do not tell enough; its index alone was fetched.
        FileNotFoundError: the hub holds no such thing, or cannot be reached and it was not fetched before.
    """
    from huggingface_hub import snapshot_download

    diffusers, (files, unreachable) = diffusers_for(hub_id), _listed(hub_id, revision)
    options: dict[str, Any] = {"revision": revision, "local_files_only": unreachable is not None}
    if "model_index.json" not in files:
        return download(hub_id, revision=revision)
    try:
        index = diffusers.DiffusionPipeline.load_config(hub_id, **options)
        kind = pipeline_kind(diffusers, hub_id, index)
        if kind.__name__ not in FAMILIES:
            raise ValueError(
                f"{hub_id} holds a {kind.__name__}, which is driven: how its latents lie is read off calls of its "
                "networks, so its memory is told of a folder that is here, weights and all; it was not fetched"
            )
        return Path(snapshot_download(hub_id, allow_patterns=SETTINGS, **options))
    except OSError as error:
        raise FileNotFoundError(f"{hub_id} is no folder here, and could not be read from the hub: {error}") from error


def _listed(hub_id: str, revision: str | None) -> tuple[set[str], str | None]:
    """Names of a repository's files; where the hub does not answer, those fetched before, and why it does not.

    It says so at once, where a download tries for a minute.
    """
    from huggingface_hub import HfApi, try_to_load_from_cache

    try:
        info = HfApi().model_info(hub_id, revision=revision, timeout=10)
    except Exception as error:  # of the hub, or of the library for HTTP below it, which changes with its version
        names = ("model_index.json", "config.json")
        cached = {n for n in names if isinstance(try_to_load_from_cache(hub_id, n, revision=revision), str)}
        return cached, f"{type(error).__name__}: {error}"
    return {file.rfilename for file in info.siblings or ()}, None
