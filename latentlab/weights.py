"""Weights on disk: one safetensors file holds a network's tensors and, in its header, the shape of the network."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from importlib.resources import as_file, files
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from latentlab.tensors import read_tensors, write_tensors

BLOCK = 1024  # words that `state_of` sums


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

    Half precision is hashed as it is, all else as float32, whatever the device; a quantised weight by the tensors that
    it is made of.
    """
    digest = hashlib.sha256()
    for module in modules:
        for name, value in _tensors(module):
            digest.update(f"{name} {tuple(value.shape)}".encode())
            half = value.is_floating_point() and value.element_size() < 4
            flat = (value if half else value.float()).detach().cpu().contiguous().view(-1)
            digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def state_of(*modules: nn.Module) -> str:
    """What the weights of networks are now, quicker than their fingerprint: equal until a value changes, by any way.

    SHA-256 over the sums of every `BLOCK` words of eight bytes, as whole numbers, which no device and no order rounds.
    All of memory is read once, as one call of the networks does. What it does not notice: words that change places
    within a block, or change so that their sum stays.
    """
    digest, sums = hashlib.sha256(), []
    for module in modules:
        for name, value in _tensors(module):
            digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
            sums += _sums(value.detach())
    if sums:
        digest.update(torch.cat([part.cpu() for part in sums]).numpy().data)
    return digest.hexdigest()


def _sums(value: Tensor) -> list[Tensor]:
    flat = (value if value.is_cuda else value.cpu()).contiguous().view(-1).view(torch.uint8)
    whole = len(flat) // 8
    words, rest = flat[: 8 * whole].view(torch.int64), flat[8 * whole :].long()
    blocks = whole // BLOCK * BLOCK
    parts = [words[:blocks].view(-1, BLOCK).sum(1), words[blocks:], rest]
    return [part for part in parts if len(part)]


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a network by name, in the order of their names."""
    for name, value in sorted(module.state_dict().items()):
        yield from _inner(name, value)


def _inner(name: str, value: Any) -> Iterator[tuple[str, Tensor]]:
    if not hasattr(value, "__tensor_flatten__"):
        return iter([(name, value)])
    inner = value.__tensor_flatten__()[0]  # a quantised weight, which has no bytes of its own
    return chain.from_iterable(_inner(f"{name}.{part}", getattr(value, part)) for part in sorted(inner))


def shipped() -> AbstractContextManager[Path]:
    """Folder of the weights that come with latentlab, for a `with` block."""
    return as_file(files("latentlab") / "shipped")
