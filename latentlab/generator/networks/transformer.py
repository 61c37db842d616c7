"""A space-time transformer in the U-Net's place: few tokens, one attention over space and time, captions beside it.

The blocks are those that video models settled on: self-attention with rotary positions of three axes (Su et al. 2021)
and normalised queries and keys (Henry et al. 2020), cross-attention to the caption, a gated layer (Shazeer 2020); all
scaled, shifted and gated by flow time and caption, through one projection for all blocks and a table of each block's
own (adaLN-zero; Peebles & Xie 2023, shared as in Chen et al. 2023). One depthwise convolution a block gives back the
neighbourhood that few large tokens lose.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from latentlab.generator.blocks import sinusoid, zero
from latentlab.generator.denoiser import Preconditioned, pooled
from latentlab.networks import TransformerConfig

Tokens = Float[Tensor, "batch token width"]
PARTS = 6  # of the modulation: shift, scale and gate, before attention and before the gated layer


class TransformerDenoiser(Preconditioned):
    """Diffusion transformer (Peebles & Xie 2023) over the whole clip, with the U-Net's whitening, loss and velocity."""

    config: TransformerConfig

    def __init__(self, config: TransformerConfig | None = None) -> None:
        c = config or TransformerConfig()
        super().__init__(c)
        inputs = self.channels * c.patch**2
        self.enter = nn.Linear(inputs, c.width)
        self.registers = nn.Parameter(0.02 * torch.randn(c.registers, c.width))
        self.time = nn.Sequential(nn.Linear(c.width, c.width), nn.SiLU(), nn.Linear(c.width, c.width))
        self.caption = nn.Sequential(nn.Linear(c.context_width, c.width), nn.SiLU(), nn.Linear(c.width, c.width))
        self.modulate = nn.Sequential(nn.SiLU(), zero(nn.Linear(c.width, PARTS * c.width)))
        self.blocks = nn.ModuleList(TransformerBlock(c, captioned=i % 2 == 0) for i in range(c.depth))
        self.merge = nn.ModuleList(nn.Linear(2 * c.width, c.width) for _ in range(c.depth // 2))
        self.leave = nn.ModuleDict({"table": _Table(2, c.width), "out": zero(nn.Linear(c.width, inputs))})

    def header(self) -> dict[str, Any]:
        return {"kind": "transformer", **asdict(self.config)}

    @property
    def multiple(self) -> int:
        return self.config.patch

    def layers(self, x: Tensor, s: Tensor, tokens: Tensor, mask: Tensor, patches: int, *told: Tensor) -> Tensor:
        del told
        c = self.config
        grid = (patches, x.shape[2] // c.patch, x.shape[3] // c.patch)
        x = self.enter(rearrange(x, "(b f) c (h p) (w q) -> b (f h w) (c p q)", f=patches, p=c.patch, q=c.patch))
        x = torch.cat([self.registers.expand(len(x), -1, -1), x], 1)
        scene = self.time(sinusoid(1000 * s, c.width).to(x.dtype)) + self.caption(pooled(tokens, mask))
        shared = rearrange(self.modulate(scene), "b (k c) -> b k c", k=PARTS)
        angles = rotary(grid, c.head_width, c.registers, x.device)
        skips = []
        for i, block in enumerate(self.blocks):
            if i >= c.depth - len(self.merge):  # skips from the first block to the last, and so on (Bao et al. 2023)
                x = self.merge[i - c.depth + len(self.merge)](torch.cat([x, skips.pop()], 2))
            x = block(x, shared, angles, grid, tokens, mask)
            if i < len(self.merge):
                skips.append(x)
        shift, scale = self.leave["table"](scene[:, None])
        x = self.leave["out"](_norm(x[:, c.registers :]) * (1 + scale) + shift)
        f, h, w = grid
        return rearrange(x, "b (f h w) (c p q) -> (b f) c (h p) (w q)", f=f, h=h, w=w, p=c.patch, q=c.patch)


class TransformerBlock(nn.Module):
    """Attention over all places and times, to the caption, and a gated layer, each a residual."""

    def __init__(self, config: TransformerConfig, *, captioned: bool) -> None:
        super().__init__()
        width, hidden = config.width, 8 * (config.width // 3)  # 8 / 3, gated: as much as 4 ungated
        self.heads, self.registers = width // config.head_width, config.registers
        self.table = _Table(PARTS, width)
        self.query_key_value = nn.Linear(width, 3 * width, bias=False)
        self.near = zero(nn.Conv3d(width, width, 3, padding=1, groups=width))
        self.out = nn.Linear(width, width)
        self.ask = nn.Linear(width, width, bias=False) if captioned else None
        self.caption = nn.Linear(config.context_width, 2 * width, bias=False) if captioned else None
        self.told = zero(nn.Linear(width, width)) if captioned else None
        self.gated, self.down = nn.Linear(width, 2 * hidden), nn.Linear(hidden, width)

    def forward(
        self,
        x: Tokens,
        shared: Float[Tensor, "batch 6 width"],
        angles: Float[Tensor, "token pair"],
        grid: tuple[int, int, int],
        tokens: Tensor,
        mask: Bool[Tensor, "batch word"],
    ) -> Tokens:
        shift, scale, gate, shift2, scale2, gate2 = self.table(shared)
        x = x + gate * self.attend(_norm(x) * (1 + scale) + shift, angles, grid)
        if self.ask is not None and self.caption is not None and self.told is not None:
            key, value = (self._split(part) for part in self.caption(tokens).chunk(2, dim=-1))
            mixed = F.scaled_dot_product_attention(
                _norm(self._split(self.ask(_norm(x)))), _norm(key), value, attn_mask=mask[:, None, None]
            )
            x = x + self.told(rearrange(mixed, "b k n d -> b n (k d)"))
        up, open_ = self.gated(_norm(x) * (1 + scale2) + shift2).chunk(2, dim=-1)
        return x + gate2 * self.down(up * F.silu(open_))

    def attend(self, x: Tokens, angles: Float[Tensor, "token pair"], grid: tuple[int, int, int]) -> Tokens:
        """Self-attention; values are mixed with those of their neighbours in space and time first."""
        query, key, value = self.query_key_value(x).chunk(3, dim=-1)
        f, h, w = grid
        places = rearrange(value[:, self.registers :], "b (f h w) c -> b c f h w", f=f, h=h, w=w)
        near = rearrange(self.near(places), "b c f h w -> b (f h w) c")
        value = torch.cat([value[:, : self.registers], value[:, self.registers :] + near], 1)
        mixed = F.scaled_dot_product_attention(
            rotate(_norm(self._split(query)), angles), rotate(_norm(self._split(key)), angles), self._split(value)
        )
        return self.out(rearrange(mixed, "b k n d -> b n (k d)"))

    def _split(self, x: Tokens) -> Float[Tensor, "batch head token channel"]:
        return rearrange(x, "b n (k d) -> b k n d", k=self.heads)


class _Table(nn.Module):
    """What a block adds to the modulation that all share."""

    def __init__(self, parts: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(parts, width))

    def forward(self, shared: Float[Tensor, "batch part width"]) -> tuple[Tensor, ...]:
        return (shared + self.weight)[:, :, None].unbind(1)


def rotary(
    grid: tuple[int, int, int], width: int, registers: int, device: torch.device | str = "cpu"
) -> Float[Tensor, "token pair"]:
    """Angles of rotary positions in time, height and width (Su et al. 2021), a quarter of the pairs for time.

    Registers have no place and are not turned.

    >>> rotary((2, 2, 2), 32, registers=1).shape
    torch.Size([9, 16])
    """
    pairs = width // 2
    across = (pairs - pairs // 4) // 2
    share = (pairs - 2 * across, across, across)
    places = torch.cartesian_prod(*(torch.arange(n, dtype=torch.float32, device=device) for n in grid))
    turns = [
        place[:, None] * torch.exp(-math.log(100.0) * torch.arange(count, device=device) / max(count, 1))
        for place, count in zip(places.unbind(1), share, strict=True)
    ]
    return torch.cat([torch.zeros(registers, pairs, device=device), torch.cat(turns, 1)])


def rotate(x: Float[Tensor, "batch head token channel"], angles: Float[Tensor, "token pair"]) -> Tensor:
    """Turns each pair of channels by its angle, so that products depend on differences of places alone."""
    a, b = x.chunk(2, dim=-1)
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)


def _norm(x: Tensor) -> Tensor:
    """To a root mean square of 1 (Zhang & Sennrich 2019), without a learned scale."""
    return F.rms_norm(x, x.shape[-1:])
