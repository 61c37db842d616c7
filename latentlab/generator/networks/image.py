"""The image denoiser: a U-Net under a class, asked for what its objective says; and the pixels that it works on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from latentlab.generator.blocks import Attention, TemporalConvolution, sinusoid, zero
from latentlab.generator.objective import Objective, deviation, objective
from latentlab.networks import ImageDenoiserConfig, PixelConfig
from latentlab.shapes import Latents, Video


class Pixels(nn.Module):
    """No autoencoder: pixels of mean 0 and variance 1 are the latents. A video of grey has three equal channels."""

    mean: Tensor
    spread: Tensor
    spatial_compression_ratio = 1

    def __init__(self, config: PixelConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or PixelConfig()
        self.register_buffer("mean", torch.tensor([c.mean]))
        self.register_buffer("spread", torch.tensor([c.spread]))

    def encode(self, video: Video) -> Latents:
        """Latents of clips; of colours that grey pictures have not, the mean of red, green and blue."""
        channels = video.mean(1, keepdim=True) if self.config.latent_channels == 1 else video
        return (channels - self.mean) / self.spread

    def decode(self, latents: Latents) -> Video:
        """Clips of latents, which may leave [-1, 1]."""
        return (latents * self.spread + self.mean).expand(-1, 3, -1, -1, -1)


class ImageDenoiser(nn.Module):
    """The U-Net of DDPM (Ho et al. 2020, appendix B) under a class, which is added to the embedded time.

    Its layers see states of unit variance, and answer what the best linear guess at the objective's F leaves of it.
    The class beyond the last is "any" (Ho & Salimans 2022): training drops a tenth of the labels to it.

    Attributes:
        beside: what adds to its features for a while: called with what enters, what the embedding says and the number
            of frames, one sum for each feature that `descend` makes.
    """

    beside: tuple[Callable[[Tensor, Tensor, int], Sequence[Tensor]], ...] = ()

    def __init__(self, config: ImageDenoiserConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or ImageDenoiserConfig()
        self.objective: Objective = objective(c.objective)
        embedding, moving = 4 * c.widths[0], c.num_frames > 1
        self.time = nn.Sequential(nn.Linear(c.widths[0], embedding), nn.SiLU(), nn.Linear(embedding, embedding))
        self.label = nn.Embedding(len(c.classes) + 1, embedding)
        channels = c.latent_channels * c.patch**2
        self.enter = nn.Conv2d(channels, c.widths[0], 3, padding=1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        self.shrink, self.grow = nn.ModuleList(), nn.ModuleList()
        for i, width in enumerate(c.widths):
            heads = c.attention[i] * width // c.head_width
            self.down.append(nn.ModuleList(ImageBlock(width, width, embedding, heads, moving) for _ in range(c.blocks)))
            self.up.append(
                nn.ModuleList(ImageBlock(2 * width, width, embedding, heads, moving) for _ in range(c.blocks))
            )
            if i + 1 < len(c.widths):
                self.shrink.append(nn.Conv2d(width, c.widths[i + 1], 3, stride=2, padding=1))
                self.grow.append(nn.ConvTranspose2d(c.widths[i + 1], width, 2, stride=2))
        heads = c.attention[-1] * c.widths[-1] // c.head_width
        self.middle = ImageBlock(c.widths[-1], c.widths[-1], embedding, heads, moving)
        self.leave = nn.Sequential(
            nn.GroupNorm(8, c.widths[0]), nn.SiLU(), zero(nn.Conv2d(c.widths[0], channels, 3, padding=1))
        )

    def forward(self, y: Latents, s: Float[Tensor, " batch"], label: Int[Tensor, " batch"]) -> Latents:
        """The answer F of the objective, in float32, at states `y` and flow time `s` in [0, 1].

        Frames are apart, but for the layers over time, if there are any and the clip has several frames.
        """
        batch, _, frames, height, width = y.shape
        if height % self.config.multiple or width % self.config.multiple:
            raise ValueError(f"sides must be multiples of {self.config.multiple}, got {height} x {width}")
        dtype = self.enter.weight.dtype
        y, at = y.float(), s.float()[:, None, None, None, None]
        pictures = rearrange(y / torch.as_tensor(deviation(at)), "b c f h w -> (b f) c h w")
        x = self.enter(F.pixel_unshuffle(pictures, self.config.patch).to(dtype))
        embedding = self.time(sinusoid(1000 * s, self.config.widths[0]).to(dtype)) + self.label(label)
        embedding = F.silu(embedding).repeat_interleave(frames, 0)
        features = self.descend(x, embedding, frames)
        for branch in self.beside:
            features = [f + g for f, g in zip(features, branch(x, embedding, frames), strict=True)]
        x = self.ascend(features, embedding, frames)
        left = rearrange(F.pixel_shuffle(self.leave(x).float(), self.config.patch), "(b f) c h w -> b c f h w", b=batch)
        skip, out = self.objective.guess(at)
        return skip * y + out * left

    def descend(self, x: Tensor, embedding: Float[Tensor, "image embedding"], frames: int) -> list[Tensor]:
        """The way down: what each block makes, which the way up will see again, and last the innermost."""
        features = []
        for i, stage in enumerate(self.down):
            for block in cast(nn.ModuleList, stage):
                x = block(x, embedding, frames)
                features.append(x)
            if i < len(self.shrink):
                x = self.shrink[i](x)
        return [*features, self.middle(x, embedding, frames)]

    def ascend(self, features: Sequence[Tensor], embedding: Float[Tensor, "image embedding"], frames: int) -> Tensor:
        """The way up from what `descend` made."""
        *skips, x = features
        for i in reversed(range(len(self.up))):
            for block in cast(nn.ModuleList, self.up[i]):
                x = block(torch.cat([x, skips.pop()], dim=1), embedding, frames)
            if i:
                x = self.grow[i - 1](x)
        return x


class ImageBlock(nn.Module):
    """Two 3 x 3 convolutions, scaled and shifted by the embedding (Nichol & Dhariwal 2021), attention, then time."""

    def __init__(self, inputs: int, width: int, embedding: int, heads: int, moving: bool) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.GroupNorm(8, inputs), nn.SiLU(), nn.Conv2d(inputs, width, 3, padding=1))
        self.modulate = nn.Linear(embedding, 2 * width)
        self.norm = nn.GroupNorm(8, width)
        self.second = nn.Sequential(nn.SiLU(), zero(nn.Conv2d(width, width, 3, padding=1)))
        self.skip = nn.Conv2d(inputs, width, 1) if inputs != width else nn.Identity()
        self.attention = Attention(width, heads) if heads else None
        self.time = TimeLayers(width, heads) if moving else None

    def forward(self, x: Tensor, embedding: Float[Tensor, "image embedding"], frames: int) -> Tensor:
        scale, shift = self.modulate(embedding)[:, :, None, None].chunk(2, dim=1)
        x = self.skip(x) + self.second(self.norm(self.first(x)) * (1 + scale) + shift)
        if self.attention is not None:
            height = x.shape[2]
            tokens = self.attention(rearrange(x, "b c h w -> b (h w) c"))
            x = rearrange(tokens, "b (h w) c -> b c h w", h=height).contiguous()
        return x if self.time is None or frames == 1 else self.time(x, frames)


class TimeLayers(nn.Module):
    """A convolution over neighbouring frames, then attention along the clip, if there are heads; both begin as zero."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.convolution = TemporalConvolution(width)
        self.attention = Attention(width, heads) if heads else None

    def forward(self, x: Tensor, frames: int) -> Tensor:
        x = self.convolution(x, frames)
        if self.attention is None:
            return x
        height = x.shape[2]
        tokens = rearrange(x, "(b f) c h w -> (b h w) f c", f=frames)
        place = sinusoid(torch.arange(frames, device=x.device, dtype=torch.float32), x.shape[1])
        tokens = self.attention(tokens, position=place.to(tokens.dtype))
        return rearrange(tokens, "(b h w) f c -> (b f) c h w", b=len(x) // frames, h=height).contiguous()


def inflated(image: ImageDenoiser, num_frames: int) -> ImageDenoiser:
    """The same network for clips, with layers over time that are yet to be trained: until then it draws every frame as
    the image model does, bit for bit.

    Raises:
        ValueError: it is of clips already, or they would have one frame.
    """
    if image.config.num_frames != 1:
        raise ValueError(f"this network draws clips of {image.config.num_frames} frames already")
    if num_frames < 2:
        raise ValueError(f"a clip has at least 2 frames, got {num_frames}")
    network = ImageDenoiser(replace(image.config, num_frames=num_frames)).to(image.enter.weight.device)
    network.load_state_dict(image.state_dict(), strict=False)
    return network
