"""What a denoiser is told of known latents: further inputs at its entrance, and small changes of its layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from latentlab.generator.adapted import Addition
from latentlab.generator.denoiser import Denoiser
from latentlab.generator.networks.beside import Beside
from latentlab.shapes import Latents, Mask
from latentlab.weights import fingerprint


@dataclass(frozen=True)
class Entrance:
    """What is added behind the denoiser's first layer: a convolution of what is known."""

    weight: Tensor
    told: Tensor  # known latents and mask, `(patch, channel, height, width)`

    def of(self, layer: nn.Module, x: Tensor) -> Tensor:
        del layer
        added = F.conv2d(self.told.to(x), self.weight.to(x), padding=self.weight.shape[-1] // 2)
        return added.repeat(len(x) // len(added), 1, 1, 1)  # the empty caption of guidance is told the same


class KnownRegionNetwork(Beside):
    """The denoiser with zero-initialised extra inputs, as in inpainting models of nine channels (Rombach et al. 2022),
    and low-rank updates of its layers (Hu et al. 2022), which act only where something is told.

    The denoiser itself is neither changed nor held by a file of this network: off it is the same to the bit, and before
    the first step of training on, too.

    Args:
        denoiser: that it belongs to, a U-Net; frozen.
        rank: of the updates; 0 is none.

    >>> network = KnownRegionNetwork(Denoiser(), rank=4)
    >>> sum(p.numel() for p in network.parameters()) < 250_000
    True
    """

    def __init__(self, denoiser: Denoiser, rank: int = 8) -> None:
        super().__init__(denoiser)
        c = denoiser.config
        self.enter = nn.Parameter(torch.zeros(c.widths[0], c.frame_patch * (c.latent_channels + 1), 3, 3))
        self.begin_low_rank(rank)

    def updates(self, known: Latents, free: Mask) -> list[tuple[nn.Module, Addition, float]]:
        """What to add to which layer, for `generator.adapted.on`.

        Args:
            known: clean latents; those that are free do not count.
            free: 1 where the network draws.
        """
        told = torch.cat([known * (1 - free), free.expand(len(known), -1, -1, -1, -1)], 1)
        told = rearrange(told, "b c (f p) h w -> (b f) (p c) h w", p=self.denoiser.config.frame_patch)
        inner: list[tuple[nn.Module, Addition, float]] = [(layer, update, 1.0) for layer, update in self.low_rank()]
        return [(self.denoiser.enter, Entrance(self.enter, told), 1.0), *inner]

    def header(self) -> dict[str, Any]:
        """What a file of its weights says of it."""
        return {"kind": "known-region", "rank": self.rank, "base": fingerprint(self.denoiser)}
