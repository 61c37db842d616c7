"""Weights on disk: one safetensors file holds a network's tensors and, in its header, the shape of the network."""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from latentlab.tensors import read_tensors, write_tensors


def save_weights(path: Path, model: nn.Module, config: dict[str, Any], *, dtype: torch.dtype = torch.float32) -> None:
    """Writes a network atomically, floating tensors as `dtype`, `config` as JSON in the header."""
    state = model.state_dict()
    tensors = {name: value.to(dtype) if value.is_floating_point() else value for name, value in state.items()}
    write_tensors(path, "config", config, tensors)


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors (as float32) and config of a file written by `save_weights`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a safetensors file of this project.
    """
    tensors, config = read_tensors(path, "config", "weights")
    return {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}, config


def fingerprint(*modules: nn.Module) -> str:
    """SHA-256 over names, shapes and bytes of all tensors: equal weights, equal fingerprint.

    Half precision is hashed as it is, all else as float32, whatever the device.
    """
    digest = hashlib.sha256()
    for module in modules:
        for name, value in sorted(module.state_dict().items()):
            digest.update(f"{name} {tuple(value.shape)}".encode())
            half = value.is_floating_point() and value.element_size() < 4
            flat = (value if half else value.float()).detach().cpu().contiguous().view(-1)
            digest.update(flat.view(torch.uint8).numpy())
    return digest.hexdigest()


def state_of(*modules: nn.Module) -> tuple[tuple[int, ...], ...]:
    """Where the tensors of networks are, and how often each was written to: equal until a weight changes.

    A network that waits elsewhere, by a hook of accelerate, moves its tensors without a change; there they are known by
    the parameter alone.
    """
    found = []
    for module in modules:
        waits = hasattr(module, "_hf_hook")
        for t in module.parameters() if waits else (*module.parameters(), *module.buffers()):
            written = 0 if t.is_inference() else t._version
            found.append((id(t), 0 if waits else t.data_ptr(), t.element_size(), written))
    return tuple(found)


def shipped() -> AbstractContextManager[Path]:
    """Folder of the weights that come with latentlab, for a `with` block."""
    return as_file(files("latentlab") / "shipped")
