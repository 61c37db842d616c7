"""Tiny autoencoders in their author's own format (github.com/madebyollin/taesd): `*_encoder.pth` and `*_decoder.pth`.

diffusers' AutoencoderTiny holds the older of them; the newer ones, such as TAEF2, have a second branch in some blocks.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import torch
from torch import Tensor, nn

from latentlab.weights import read_pickled


class TinyBlock(nn.Module):
    """relu(x + conv(x)), where x has passed a branch of 1 x 1 convolutions, `pool`, if the block has one."""

    def __init__(self, width: int, inner: int | None) -> None:
        super().__init__()
        convs = [nn.Conv2d(width, width, 3, padding=1) for _ in range(3)]
        self.conv = nn.Sequential(convs[0], nn.ReLU(), convs[1], nn.ReLU(), convs[2])
        self.pool = None
        if inner is not None:
            there, back = nn.Conv2d(width, inner, 1, bias=False), nn.Conv2d(inner, width, 1, bias=False)
            self.pool = nn.Sequential(there, nn.GroupNorm(4, inner), nn.ReLU(), back)

    def forward(self, x: Tensor) -> Tensor:
        x = x if self.pool is None else x + self.pool(x)
        return (x + self.conv(x)).relu()


class Clamp(nn.Module):
    """3 tanh(x / 3)."""

    def forward(self, x: Tensor) -> Tensor:
        return 3 * torch.tanh(x / 3)


class TinyAutoencoder(nn.Module):
    """An autoencoder of images whose shape is read from its weights.

    Args:
        encoder, decoder: state dicts; layers are numbered, and those without weights are left out.
    """

    def __init__(self, encoder: dict[str, Tensor], decoder: dict[str, Tensor]) -> None:
        super().__init__()
        self.encoder, self.decoder = _network(encoder, down=True), _network(decoder, down=False)
        self.encoder.load_state_dict(encoder)
        self.decoder.load_state_dict(decoder)
        halvings = sum(isinstance(layer, nn.Conv2d) and layer.stride == (2, 2) for layer in self.encoder)
        channels = next(layer.in_channels for layer in self.decoder if isinstance(layer, nn.Conv2d))
        self.config = {"latent_channels": channels, "scale_factor_spatial": 2**halvings, "scale_factor_temporal": 1}

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype

    def encode(self, x: Tensor) -> SimpleNamespace:
        """Latents of images in [-1, 1]."""
        return SimpleNamespace(latents=self.encoder((x + 1) / 2))

    def decode(self, z: Tensor) -> SimpleNamespace:
        """Images of latents."""
        return SimpleNamespace(sample=2 * self.decoder(z) - 1)


def find_taesd(folder: Path) -> tuple[Path, Path] | None:
    """The files of encoder and decoder in a folder, if it has one of each."""
    if not folder.is_dir():
        return None
    found = [sorted(folder.glob(f"*_{part}.pth")) for part in ("encoder", "decoder")]
    return (found[0][0], found[1][0]) if all(len(files) == 1 for files in found) else None


def load_taesd(encoder: Path, decoder: Path) -> TinyAutoencoder:
    """The autoencoder of two files; only tensors are read from them, nothing in them is run."""
    read = (read_pickled(path, "tiny autoencoder") for path in (encoder, decoder))
    return TinyAutoencoder(*({name: value.float() for name, value in tensors.items()} for tensors in read))


def _network(tensors: dict[str, Tensor], *, down: bool) -> nn.Sequential:
    count = 1 + max(int(name.split(".")[0]) for name in tensors)
    return nn.Sequential(*(_layer(tensors, i, down=down) for i in range(count)))


def _layer(tensors: dict[str, Tensor], i: int, *, down: bool) -> nn.Module:
    if f"{i}.conv.0.weight" in tensors:
        inner = tensors.get(f"{i}.pool.0.weight")
        return TinyBlock(tensors[f"{i}.conv.0.weight"].shape[1], None if inner is None else len(inner))
    if f"{i}.weight" in tensors:
        out, into = tensors[f"{i}.weight"].shape[:2]
        bias = f"{i}.bias" in tensors
        return nn.Conv2d(into, out, 3, padding=1, stride=2 if down and not bias else 1, bias=bias)
    return Clamp() if i == 0 else nn.ReLU() if i == 2 else nn.Upsample(scale_factor=2)
