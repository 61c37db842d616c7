"""Weights on disk: one safetensors file holds a network's tensors and, in its header, the shape of the network."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import AbstractContextManager
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn


def save_weights(path: Path, model: nn.Module, config: dict[str, Any], *, dtype: torch.dtype = torch.float32) -> None:
    """Writes a network atomically, floating tensors as `dtype`, `config` as JSON in the header."""
    tensors = {
        name: (value.to(dtype) if value.is_floating_point() else value).contiguous().cpu()
        for name, value in model.state_dict().items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    save_file(tensors, partial, metadata={"config": json.dumps(config)})
    os.replace(partial, path)


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors (as float32) and config of a file written by `save_weights`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a safetensors file of this project.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no weights at {path}")
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except Exception as error:  # safetensors raises its own type for every defect
        raise ValueError(f"{path} is not a readable safetensors file: {error}") from error
    if "config" not in header:
        raise ValueError(f"{path} holds tensors but no latentlab config in its header")
    tensors = {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}
    return tensors, json.loads(header["config"])


def fingerprint(*modules: nn.Module) -> str:
    """SHA-256 over names, shapes and float32 bytes of all tensors: equal weights, equal fingerprint."""
    digest = hashlib.sha256()
    for module in modules:
        for name, value in sorted(module.state_dict().items()):
            digest.update(f"{name} {tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()


def shipped() -> AbstractContextManager[Path]:
    """Folder of the weights that come with latentlab, for a `with` block."""
    return as_file(files("latentlab") / "shipped")
