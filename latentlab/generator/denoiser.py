"""The video denoiser: a space-time U-Net that predicts the velocity of the flow from clean latents to noise.

At flow time s it sees `y = (1 - s) * clean + s * noise` and predicts `v = noise - clean`.
Space is mixed by 3 x 3 convolutions and attention within a frame, time by convolutions over neighbouring frames and
attention along the whole clip; captions enter by cross-attention and, averaged, beside the flow time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Protocol, cast

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Bool, Float
from torch import Tensor, nn

from latentlab.generator.blocks import Block, Conditioning, sinusoid, zero
from latentlab.networks import DenoiserConfig
from latentlab.shapes import Latents

LOUDNESS = 4.0  # standard deviations, see `Denoiser.measure_captions`


class Windowed(Protocol):
    """What the settings of every such denoiser say, see `DenoiserConfig`."""

    @property
    def latent_channels(self) -> int: ...
    @property
    def context_width(self) -> int: ...
    @property
    def window(self) -> int: ...
    @property
    def frame_patch(self) -> int: ...


class Preconditioned(nn.Module):
    """What a denoiser of whitened windows is, whatever its layers F: velocity prediction (Lipman et al. 2023).

    The clean latents are estimated as `c_skip y + c_out F(c_in y)` with the weights of Karras et al. (2022, eq. 7), for
    each cosine coefficient of a window and each channel by its own `spread`, its standard deviation in the training
    data. Coefficients that hardly vary are thus told from noise before the network F has learned anything.

    F works on patches of frames, so that what it learns of one holds for all; each patch sees the coefficients of its
    whole window too, where the mean and the motion of the scene stand out of far more noise.
    """

    basis: Tensor
    spread: Tensor
    caption: nn.Sequential
    config: Windowed

    def __init__(self, config: Windowed) -> None:
        super().__init__()
        if config.window % config.frame_patch:
            raise ValueError(f"a window of {config.window} frames cannot be cut into patches of {config.frame_patch}")
        self.config = config
        self.register_buffer("basis", cosine_basis(config.window), persistent=False)
        self.register_buffer("spread", torch.ones(config.window * config.latent_channels))

    @property
    def multiple(self) -> int:
        """Of which the sides of the latents must be a multiple."""
        raise NotImplementedError

    def layers(self, x: Tensor, s: Tensor, tokens: Tensor, mask: Tensor, patches: int, *told: Tensor) -> Tensor:
        """F, of patches `(batch * patch, channel, height, width)` of about unit variance, in their shape.

        Channels are the frames of a patch, then the coefficients of its window; `patches` to a clip.
        """
        raise NotImplementedError

    def forward(
        self,
        y: Latents,
        s: Float[Tensor, " batch"],
        tokens: Float[Tensor, "batch token width"],
        mask: Bool[Tensor, "batch token"],
        *told: Tensor,
    ) -> Latents:
        """Velocity in float32 at `y`, flow time `s` in [0, 1], under captions given as tokens (those with `mask`).

        Only what lies between entrance and exit computes in the dtype of the weights. `told` is for layers that
        are told more.
        """
        c = self.config
        batch, _, frames, height, width = y.shape
        if frames % c.window:
            raise ValueError(f"a clip's length must be a multiple of {c.window} frames for this denoiser, got {frames}")
        if height % self.multiple or width % self.multiple:
            raise ValueError(f"sides of the latents must be multiples of {self.multiple}, got {height} x {width}")
        z = self.to_coefficients(y)
        at, spread, scale = self._scales(s, frames // c.window)
        x = self.layers(self._split(z * scale).to(self.dtype), s, tokens, mask, frames // c.frame_patch, *told)
        # v = (y - clean) / s with the estimate of clean above; written so that nothing is divided by s.
        v = (at - (1 - at) * spread**2) * scale**2 * z - spread * scale * self._join(x.float())
        return self.from_coefficients(v, batch)

    def header(self) -> dict[str, Any]:
        """What a file of its weights says of it."""
        return asdict(cast("DenoiserConfig", self.config))

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return next(self.parameters()).dtype

    @property
    def channels(self) -> int:
        """Of what the layers are given: a patch's frames and its window's coefficients."""
        return (self.config.window + self.config.frame_patch) * self.config.latent_channels

    def _split(self, z: Tensor) -> Tensor:
        """Each patch's frames, and beside them the coefficients of the window they are in."""
        per = self.config.window // self.config.frame_patch
        frames = rearrange(self.from_coefficients(z, len(z)), "w c (f p) h v -> (w f) (p c) h v", f=per)
        return torch.cat([frames, repeat(z, "w k h v -> (w f) k h v", f=per)], dim=1)

    def _join(self, x: Tensor) -> Tensor:
        """The way back: coefficients of the patches' frames plus the mean of what the patches say of the window's."""
        per = self.config.window // self.config.frame_patch
        local = self.config.frame_patch * self.config.latent_channels
        frames = rearrange(x[:, :local], "(w f) (p c) h v -> w c (f p) h v", f=per, p=self.config.frame_patch)
        return self.to_coefficients(frames) + rearrange(x[:, local:], "(w f) k h v -> w f k h v", f=per).mean(1)

    def error(self, v: Latents, target: Latents, s: Float[Tensor, " batch"]) -> Float[Tensor, ""]:
        """Mean squared error of a velocity, each coefficient divided by the standard deviation that F is given there.

        Between the plain error, in which motion hardly counts beside appearance, and that of F (Karras et al. 2022,
        eq. 8), in which what no network could predict counts as much as the rest.
        """
        _, spread, scale = self._scales(s, v.shape[2] // self.config.window)
        return (self.to_coefficients(v - target).pow(2) / (spread * scale)).mean()

    def _scales(self, s: Tensor, windows: int) -> tuple[Tensor, Tensor, Tensor]:
        """Flow time, `spread`, and one over the standard deviation of what comes in, by window and coefficient."""
        at = s.float().repeat_interleave(windows)[:, None, None, None]
        spread = self.spread.float()[:, None, None]
        return at, spread, (((1 - at) * spread) ** 2 + at**2).rsqrt()

    def to_coefficients(self, y: Latents) -> Float[Tensor, "window coefficient height width"]:
        """Cosine coefficients of each window of frames, as channels."""
        parts = rearrange(y.float(), "b c (f p) h w -> b f p c h w", p=self.config.window)
        return rearrange(torch.einsum("qp,bfpchw->bfqchw", self.basis.float(), parts), "b f q c h w -> (b f) (q c) h w")

    def from_coefficients(self, z: Tensor, batch: int) -> Latents:
        """The way back from `to_coefficients`, whose basis is orthonormal."""
        parts = rearrange(z, "(b f) (q c) h w -> b f q c h w", b=batch, q=self.config.window)
        return rearrange(torch.einsum("qp,bfqchw->bfpchw", self.basis.float(), parts), "b f p c h w -> b c (f p) h w")

    @torch.no_grad()
    def measure_spread(self, latents: Latents) -> None:
        """Sets `spread` from clean latents.

        Motion is nil on most of a frame and large where something moves, so the spread is that of the normal
        distribution with the same 99th percentile.
        """
        coefficients = self.to_coefficients(latents).transpose(0, 1).flatten(1).abs()
        at = round(0.99 * coefficients.shape[1])
        self.spread.copy_((coefficients.kthvalue(at, dim=1).values / 2.576).clamp(min=1e-2))

    @torch.no_grad()
    def measure_captions(self, tokens: Float[Tensor, "batch token width"], mask: Bool[Tensor, "batch token"]) -> None:
        """Starts `caption` as the whitening of averaged tokens: every word is then as loud as the loudest.

        A text tower says hues a hundred times louder than shapes, if that is what tells its clips apart; without this
        the denoiser hears of shapes only late in training. `LOUDNESS` lets one word alone move the blocks' scales by
        a tenth. Too few captions to measure leave everything as it is.
        """
        means = pooled(tokens, mask)
        centre = means.mean(0)
        spread, axes = torch.linalg.svd(means - centre, full_matrices=False)[1:]
        if len(means) < 2 * means.shape[1] or spread[0] < 1e-6:
            return
        whiten = axes / spread.clamp(min=0.01 * spread[0])[:, None] * math.sqrt(len(means)) * LOUDNESS
        first = cast(nn.Linear, self.caption[0])
        turn = nn.init.orthogonal_(torch.empty(first.out_features, len(whiten), device=whiten.device))
        first.weight.copy_(turn @ whiten)
        first.bias.copy_(-turn @ whiten @ centre)


class Denoiser(Preconditioned):
    """Space-time U-Net (Ronneberger et al. 2015; Ho et al. 2022).

    Attributes:
        beside: what adds to its features for a while: called as `layers` is, one sum for each that `descend` makes.
    """

    config: DenoiserConfig
    beside: tuple[Callable[..., Sequence[Tensor]], ...] = ()

    def __init__(self, config: DenoiserConfig | None = None) -> None:
        c = config or DenoiserConfig()
        super().__init__(c)
        embedding = 2 * c.widths[0]
        self.time = nn.Sequential(nn.Linear(c.widths[0], embedding), nn.SiLU(), nn.Linear(embedding, embedding))
        self.caption = nn.Sequential(nn.Linear(c.context_width, embedding), nn.SiLU(), nn.Linear(embedding, embedding))
        self.place = nn.Linear(c.widths[0], embedding)
        channels = self.channels
        self.enter = nn.Conv2d(channels, c.widths[0], 3, padding=1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        self.shrink, self.grow = nn.ModuleList(), nn.ModuleList()
        for i, width in enumerate(c.widths):
            self.down.append(nn.ModuleList(self._block(width, i) for _ in range(c.blocks)))
            self.up.append(nn.ModuleList(self._block(2 * width, i) for _ in range(c.blocks)))
            if i + 1 < len(c.widths):
                self.shrink.append(nn.Conv2d(width, c.widths[i + 1], 2, stride=2))
                self.grow.append(nn.ConvTranspose2d(c.widths[i + 1], width, 2, stride=2))
        self.middle = self._block(c.widths[-1], -1)
        self.leave = nn.Sequential(
            nn.GroupNorm(8, c.widths[0]), nn.SiLU(), zero(nn.Conv2d(c.widths[0], channels, 3, padding=1))
        )

    def _block(self, inputs: int, scale: int) -> Block:
        c = self.config
        return Block(
            inputs,
            c.widths[scale],
            2 * c.widths[0],
            heads=c.attention[scale] * c.widths[scale] // c.head_width,
            context_width=c.context_width,
            temporal_convolution=c.temporal_convolution,
            temporal_attention=c.temporal_attention,
        )

    @property
    def multiple(self) -> int:
        return 2 ** (len(self.config.widths) - 1)

    def layers(self, x: Tensor, s: Tensor, tokens: Tensor, mask: Tensor, patches: int, *told: Tensor) -> Tensor:
        scene = self.scene(s, tokens, mask, patches, *told)
        features = self.descend(self.enter(x), scene)
        for branch in self.beside:  # a clone keeps the strides, by which convolutions choose how they round
            added = branch(x, s, tokens, mask, patches, *told)
            features = [f.clone().add_(a) for f, a in zip(features, added, strict=True)]
        return self.ascend(features, scene)

    def scene(self, s: Tensor, tokens: Tensor, mask: Tensor, patches: int, *told: Tensor) -> Conditioning:
        """What every block is told."""
        return Conditioning(F.silu(self.embedding(s, tokens, mask, patches, *told)), tokens, mask, patches)

    def embedding(self, s: Tensor, tokens: Tensor, mask: Tensor, patches: int, *told: Tensor) -> Tensor:
        """Flow time, caption and place in the clip, one row for each patch."""
        del told
        c = self.config
        places = torch.arange(patches, device=tokens.device) % (c.window // c.frame_patch)
        place = self.place(sinusoid(places, c.widths[0]).to(self.dtype))
        embedding = self.time(sinusoid(1000 * s, c.widths[0]).to(self.dtype)) + self.caption(pooled(tokens, mask))
        return (embedding[:, None] + place).flatten(0, 1)

    def descend(self, x: Tensor, scene: Conditioning) -> list[Tensor]:
        """The way down: what each block makes, which the way up will see again, and last the innermost."""
        features = []
        for i, stage in enumerate(self.down):
            for block in cast(nn.ModuleList, stage):
                x = block(x, scene)
                features.append(x)
            if i < len(self.shrink):
                x = self.shrink[i](x)
        return [*features, self.middle(x, scene)]

    def ascend(self, features: Sequence[Tensor], scene: Conditioning) -> Tensor:
        """The way up from what `descend` made."""
        *skips, x = features
        for i in reversed(range(len(self.up))):
            for block in cast(nn.ModuleList, self.up[i]):
                x = block(torch.cat([x, skips.pop()], dim=1), scene)
            if i:
                x = self.grow[i - 1](x)
        return self.leave(x)


def pooled(
    tokens: Float[Tensor, "batch token width"], mask: Bool[Tensor, "batch token"]
) -> Float[Tensor, "batch width"]:
    """Mean of the tokens that count."""
    weight = mask.to(tokens.dtype)[..., None]
    return (tokens * weight).sum(1) / weight.sum(1).clamp(min=1)


def cosine_basis(length: int) -> Float[Tensor, "length length"]:
    """Orthonormal DCT-II: row k is the cosine of k half-waves. White noise stays white under it."""
    k, n = torch.arange(length)[:, None], torch.arange(length)
    if n.is_meta:  # torch computes nothing through its compiler, whose import takes two seconds
        return torch.empty(length, length)
    basis = torch.cos(math.pi / length * (n + 0.5) * k) * math.sqrt(2 / length)
    basis[0] /= math.sqrt(2)
    return basis
