"""Networks beside a denoiser: they change what it computes while they are on, and leave its weights alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import nn

from latentlab.generator.denoiser import Denoiser
from latentlab.generator.generator import Generator
from latentlab.generator.image import ImageGenerator
from latentlab.generator.native import NativeGenerator
from latentlab.generator.update import LowRank, takes_low_rank
from latentlab.tensors import read_header
from latentlab.weights import fingerprint, read_network, shipped

Branched = TypeVar("Branched", bound=nn.Module)
Whose = TypeVar("Whose", bound=nn.Module)


class Beside(nn.Module):
    """A network beside a denoiser, with low-rank updates of that one's layers (Hu et al. 2022) if it has a rank.

    The denoiser is neither copied, trained nor saved with it.

    Args:
        denoiser: that it belongs to, a U-Net.
    """

    rank: int = 0

    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__()
        if not isinstance(denoiser, Denoiser):
            raise ValueError(f"{type(self).__name__} stands beside a Denoiser, a U-Net, got {type(denoiser).__name__}")
        self._held = Held(denoiser)

    def begin_low_rank(self, rank: int) -> None:
        """Adds updates of this rank, which begin as nothing; 0 is none."""
        self.rank, self.down, self.up = rank, nn.ParameterList(), nn.ParameterList()
        for layer in self._layers:
            outputs, *inputs = layer.get_parameter("weight").shape
            bound = 1 / math.sqrt(math.prod(inputs))  # as peft draws A; B is zero
            self.down.append(torch.empty(rank, *inputs).uniform_(-bound, bound))
            self.up.append(torch.zeros(outputs, rank, *[1] * (len(inputs) - 1)))

    @property
    def denoiser(self) -> Denoiser:
        """That it belongs to."""
        return self._held.denoiser

    @property
    def _layers(self) -> list[nn.Module]:
        if not self.rank:
            return []
        found = [(m, m.get_parameter("weight")) for m in self.denoiser.modules() if takes_low_rank(m)]
        return [layer for layer, weight in found if min(len(weight), weight[0].numel()) > self.rank]

    def low_rank(self) -> list[tuple[nn.Module, LowRank]]:
        """The updates, each with its layer."""
        found = [LowRank(down, up, float(self.rank)) for down, up in zip(self.down, self.up, strict=True)]
        return list(zip(self._layers, found, strict=True))


class Held(Generic[Whose]):
    """A denoiser beside which a network stands: with that it is neither copied, trained nor saved."""

    def __init__(self, denoiser: Whose) -> None:
        self.denoiser = denoiser

    def __deepcopy__(self, memo: dict[int, Any]) -> Held[Whose]:
        return self


def ships(kind: str, generator: Generator) -> bool:
    """Whether a network of this kind comes with latentlab for a generator's denoiser."""
    if not isinstance(generator, NativeGenerator):
        return False
    with shipped() as folder:
        file = _file(folder, kind)
        return file.is_file() and _base(file) == fingerprint(generator.denoiser)


def read_beside(
    path: str | Path | None, generator: Generator, kind: str, make: Callable[[Any, dict[str, Any]], Branched]
) -> Branched:
    """A network beside the denoiser of a generator, from a file or the folder of the run that wrote it.

    Args:
        path: of the file, or of a folder with `KIND.safetensors`, hyphens as underscores; None is the one that ships
            with latentlab for this denoiser.
        generator: that it was trained for.
        kind: that the header must say.
        make: `(denoiser, header)` to the network.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a file of another network, or for another denoiser; None, and none ships for this one.
    """
    if path is None:
        if not ships(kind, generator):
            raise ValueError(
                f"no {kind} network ships for this model; train one, "
                f"latentlab train {kind} --out RUN, and give that folder"
            )
        with shipped() as folder:
            return read_beside(folder, generator, kind, make)
    if not isinstance(generator, NativeGenerator | ImageGenerator):
        raise ValueError(f"{kind} networks belong to models of latentlab's own, got {type(generator).__name__}")
    path, denoiser = Path(path), generator.denoiser
    path = _file(path, kind) if path.is_dir() else path
    header = read_header(path, "config", "weights")
    if header.get("kind") != kind:
        raise ValueError(f"{path} holds a network of kind {header.get('kind')!r}, expected {kind!r}")
    if (base := _base(path)) != (own := fingerprint(denoiser)):
        raise ValueError(f"{path} belongs to another denoiser ({base[:12]}) than this ({own[:12]})")
    network = read_network(path, lambda config: make(denoiser, config))
    return network.to(generator.device).eval().requires_grad_(False)


def _file(folder: Path, kind: str) -> Path:
    return folder / f"{kind.replace('-', '_')}.safetensors"


def _base(file: Path) -> str:
    """Fingerprint of the denoiser that a file's network belongs to."""
    return str(read_header(file, "config", "weights").get("base"))
