"""Networks by the kind that the header of their weights says: another one is a module of its own, and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from latentlab.generator.autoencoder import Autoencoder, AutoencoderConfig
from latentlab.generator.clip_model import ClipConfig, ClipModel
from latentlab.generator.denoiser import Denoiser, DenoiserConfig
from latentlab.generator.generator import Generator
from latentlab.generator.image import ImageGenerator
from latentlab.generator.native import NativeGenerator
from latentlab.generator.networks.image import ImageDenoiser, ImageDenoiserConfig, PixelConfig, Pixels
from latentlab.generator.networks.student import StudentConfig, StudentDenoiser
from latentlab.generator.networks.transformer import TransformerConfig, TransformerDenoiser
from latentlab.generator.student import StudentGenerator
from latentlab.tensors import read_header
from latentlab.weights import read_network


@dataclass(frozen=True)
class NetworkKind:
    """How a network is made of the header of its weights.

    Attributes:
        config: dataclass of the header's other settings.
        network: of such a config.
        generator: what draws with such a denoiser; None of other networks.
    """

    config: type
    network: Callable[[Any], nn.Module]
    generator: type[Generator] | None = None


Kinds = Mapping[str | None, NetworkKind]  # None is the kind of headers that say none, those of the video model
AUTOENCODERS: Kinds = {
    None: NetworkKind(AutoencoderConfig, Autoencoder),
    "pixels": NetworkKind(PixelConfig, Pixels),
}
CAPTIONS: Kinds = {None: NetworkKind(ClipConfig, ClipModel)}
DENOISERS: Kinds = {
    None: NetworkKind(DenoiserConfig, Denoiser, NativeGenerator),
    "transformer": NetworkKind(TransformerConfig, TransformerDenoiser, NativeGenerator),
    "student": NetworkKind(StudentConfig, StudentDenoiser, StudentGenerator),
    "image": NetworkKind(ImageDenoiserConfig, ImageDenoiser, ImageGenerator),
}


def kind_of(path: Path) -> str | None:
    """Which network a file of weights is of, as its header says: "image", "pixels", ...; None for the video model's."""
    return read_header(path, "config", "weights").get("kind")


def read_kind(path: Path, kinds: Kinds) -> Any:
    """The network of a file of weights, one of some kinds.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not such a file, or of another kind.
    """
    if (found := kind_of(path)) not in kinds:
        known = " or ".join(repr(kind or "video") for kind in kinds)
        raise ValueError(f"{path} holds a network of kind {found or 'video'!r}, expected {known}")
    kind = kinds[found]

    def make(header: Mapping[str, Any]) -> nn.Module:
        given = {k: tuple(value) if isinstance(value, list) else value for k, value in header.items() if k != "kind"}
        return kind.network(kind.config(**given))

    return read_network(path, make)


def network_of_config(config: Any) -> Any:
    """An untrained denoiser of a config.

    >>> type(network_of_config(TransformerConfig())).__name__
    'TransformerDenoiser'
    """
    return next(kind.network(config) for kind in DENOISERS.values() if type(config) is kind.config)
