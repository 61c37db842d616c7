"""The blocks of the video denoiser: convolutions and attention over space, time and the caption."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn


@dataclass(frozen=True)
class Conditioning:
    """What every block is told: flow time, caption and place in the clip as one embedding for each patch, the caption's
    tokens, how many patches."""

    embedding: Float[Tensor, "patch embedding"]
    tokens: Float[Tensor, "batch token width"]
    mask: Bool[Tensor, "batch token"]
    frames: int


class Block(nn.Module):
    """Space, then time, then attention within the frame, along the clip, and to the caption.

    Args:
        inputs, width: channels that come in and go out.
        embedding: width of what the scene says.
        heads: of each attention, 0 for none.
        context_width: channels of the caption's tokens.
        temporal_convolution, temporal_attention: whether it mixes frames in these ways.
    """

    def __init__(
        self,
        inputs: int,
        width: int,
        embedding: int,
        *,
        heads: int,
        context_width: int,
        temporal_convolution: bool = True,
        temporal_attention: bool = True,
    ) -> None:
        super().__init__()
        self.space = SpatialConvolution(inputs, width, embedding)
        self.time = TemporalConvolution(width) if temporal_convolution else None
        self.space_attention = Attention(width, heads) if heads else None
        self.time_attention = Attention(width, heads) if heads and temporal_attention else None
        self.caption_attention = Attention(width, heads, context_width) if heads else None

    def forward(self, x: Tensor, scene: Conditioning) -> Tensor:
        x = self.space(x, scene)
        if self.time is not None:
            x = self.time(x, scene.frames)
        if self.space_attention is None or self.caption_attention is None:
            return x
        frames, (height, width) = scene.frames, x.shape[-2:]
        tokens = rearrange(x, "(b f) c h w -> (b f) (h w) c", f=frames)
        tokens = self.space_attention(tokens)
        if self.time_attention is not None:
            tokens = rearrange(tokens, "(b f) p c -> (b p) f c", f=frames)
            place = sinusoid(torch.arange(frames, device=x.device, dtype=torch.float32), x.shape[1])
            tokens = self.time_attention(tokens, position=place.to(tokens.dtype))
            tokens = rearrange(tokens, "(b p) f c -> b (f p) c", p=height * width)
        else:
            tokens = rearrange(tokens, "(b f) p c -> b (f p) c", f=frames)
        tokens = self.caption_attention(tokens, context=scene.tokens, mask=scene.mask)
        return rearrange(tokens, "b (f h w) c -> (b f) c h w", f=frames, h=height, w=width).contiguous()


class SpatialConvolution(nn.Module):
    """Residual block of two 3 x 3 convolutions, scaled and shifted by the embedding (Perez et al. 2018)."""

    def __init__(self, inputs: int, width: int, embedding: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.GroupNorm(8, inputs), nn.SiLU(), nn.Conv2d(inputs, width, 3, padding=1))
        self.modulate = nn.Linear(embedding, 2 * width)
        self.norm = nn.GroupNorm(8, width)
        self.second = nn.Sequential(nn.SiLU(), zero(nn.Conv2d(width, width, 3, padding=1)))
        self.skip = nn.Conv2d(inputs, width, 1) if inputs != width else nn.Identity()

    def forward(self, x: Tensor, scene: Conditioning) -> Tensor:
        scale, shift = self.modulate(scene.embedding)[:, :, None, None].chunk(2, dim=1)
        return self.skip(x) + self.second(self.norm(self.first(x)) * (1 + scale) + shift)


class TemporalConvolution(nn.Module):
    """Residual convolution over the previous, this and the next frame, as a 1 x 1 convolution of the three stacked."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, width)
        self.mix = zero(nn.Conv2d(3 * width, width, 1))

    def forward(self, x: Tensor, frames: int) -> Tensor:
        now = rearrange(F.silu(self.norm(x)), "(b f) c h w -> b f c h w", f=frames)
        before, after = now.roll(1, dims=1), now.roll(-1, dims=1)
        before[:, 0], after[:, -1] = now[:, 0], now[:, -1]  # the clip's ends repeat
        return x + self.mix(torch.cat([before, now, after], dim=2).flatten(0, 1))


class Attention(nn.Module):
    """Residual multi-head attention (Vaswani et al. 2017), to itself or to a context."""

    def __init__(self, width: int, heads: int, context_width: int | None = None) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(context_width or width, 2 * width, bias=False)
        self.out = zero(nn.Linear(width, width))

    def forward(
        self, x: Tensor, *, context: Tensor | None = None, mask: Tensor | None = None, position: Tensor | None = None
    ) -> Tensor:
        inside = self.norm(x)
        if position is not None:
            inside = inside + position
        query, key, value = (
            rearrange(z, "b n (k d) -> b k n d", k=self.heads)
            for z in (self.query(inside), *self.key_value(inside if context is None else context).chunk(2, dim=-1))
        )
        where = None if mask is None else mask[:, None, None]
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=where)
        return x + self.out(rearrange(mixed, "b k n d -> b n (k d)"))

    def log_weights(
        self,
        x: Float[Tensor, "batch query width"],
        *,
        context: Float[Tensor, "batch token context"],
        mask: Bool[Tensor, "batch token"],
    ) -> Float[Tensor, "batch head query token"]:
        """Logarithm of how much each place attends to each token."""
        query, key = self.query(self.norm(x)), self.key_value(context).chunk(2, dim=-1)[0]
        query, key = (rearrange(z, "b n (k d) -> b k n d", k=self.heads) for z in (query, key))
        scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
        return scores.masked_fill(~mask[:, None, None], -torch.inf).log_softmax(-1)


def sinusoid(position: Float[Tensor, " n"], width: int) -> Float[Tensor, "n width"]:
    """Sines and cosines of geometrically spaced frequencies (Vaswani et al. 2017, section 3.5)."""
    half = width // 2
    frequency = torch.exp(-math.log(10_000) * torch.arange(half, device=position.device) / half)
    angle = position.float()[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def zero(layer: nn.Module) -> nn.Module:
    """A layer that starts as zero, so that its residual branch starts as the identity."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer
