"""Tensors on disk with what they are: one safetensors file, whose header holds JSON under a key; written atomically."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from latentlab.store import digest, replacing


def tensor_digest(tensor: Tensor) -> str:
    """SHA-256 of a tensor's shape, type and values, wherever it is.

    >>> tensor_digest(torch.zeros(2)) == tensor_digest(torch.zeros(2, 1))
    False
    """
    values = tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
    return digest(f"{tuple(tensor.shape)} {tensor.dtype}", values)


def write_tensors(
    path: str | Path,
    key: str,
    header: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    *,
    more: Mapping[str, str] | None = None,
) -> None:
    """Writes tensors and their header; a killed run leaves an older file whole.

    Args:
        path: of the file.
        key: under which the header lies.
        header: plain values.
        tensors: by name.
        more: of the file's header, for other readers of it.

    Raises:
        TypeError: a header that JSON cannot hold.
        OSError: a full disk, or a folder that cannot be written to.
    """
    own, storages = {}, set()
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        storage = tensor.untyped_storage().data_ptr()
        own[name] = tensor.clone() if storage in storages else tensor  # the format holds no tensor twice
        storages.add(storage)
    with replacing(path) as partial:
        try:
            save_file(own, partial, {**(more or {}), key: json.dumps(header)})
        except SafetensorError as error:
            raise OSError(f"{path} could not be written: {error}") from error


def read_header(path: str | Path, key: str, what: str) -> dict[str, Any]:
    """The header of a file alone; errors are those of `read_tensors`."""
    return _read(path, key, what, tensors=False)[1]


def read_tensors(path: str | Path, key: str, what: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and header of a file.

    Args:
        path: of the file.
        key: under which the header lies.
        what: should be there, for the message if nothing is.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a safetensors file, or none with a header under this key.
    """
    return _read(path, key, what, tensors=True)


def _read(path: str | Path, key: str, what: str, *, tensors: bool) -> tuple[dict[str, Tensor], dict[str, Any]]:
    if not Path(path).is_file():
        raise FileNotFoundError(f"no {what} at {path}")
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get(key, "null"))
            names = file.keys() if tensors else ()
            found = {name: file.get_tensor(name) for name in names}
    except Exception as error:  # safetensors raises its own type for every defect
        raise ValueError(f"{path} is not a readable safetensors file: {error}") from error
    if header is None:
        raise ValueError(f"{path} holds tensors but no latentlab {key} in its header: it was not written as {what}")
    return found, header
