"""The KL autoencoder: each frame becomes a grid of latents eight times smaller on each side.

Frames are coded one by one, so clips of any length fit, and what moves between frames is left to the denoiser.
"""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from latentlab.networks import AutoencoderConfig
from latentlab.shapes import Latents, Video
from latentlab.store import digest
from latentlab.weights import fingerprint


class PixelNorm(nn.Module):
    """Root mean square over the channels at each pixel brought to one, then scaled and shifted by channel
    (Zhang & Sennrich 2019, eq. 4)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        scale = x.square().mean(1, keepdim=True).add(1e-6).rsqrt()
        return x * scale * self.weight[:, None, None] + self.bias[:, None, None]


def _norm(kind: str, channels: int) -> nn.Module:
    return PixelNorm(channels) if kind == "pixel" else nn.GroupNorm(8, channels)


class ResidualBlock(nn.Module):
    """x + conv(silu(norm(conv(silu(norm(x))))))."""

    def __init__(self, channels: int, norm: str) -> None:
        super().__init__()
        self.net = nn.Sequential(
            _norm(norm, channels),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            _norm(norm, channels),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.net(x)


def _encoder(c: AutoencoderConfig) -> nn.Sequential:
    norm = c.encoder_norm or c.norm
    layers: list[nn.Module] = [nn.PixelUnshuffle(2), nn.Conv2d(12, c.widths[0], 3, padding=1)]
    for i, width in enumerate(c.widths):
        if i:
            layers.append(nn.Conv2d(c.widths[i - 1], width, 2, stride=2))
        layers += [ResidualBlock(width, norm) for _ in range(c.encoder_blocks[i])]
    layers += [_norm(norm, c.widths[-1]), nn.SiLU(), nn.Conv2d(c.widths[-1], 2 * c.latent_channels, 1)]
    return nn.Sequential(*layers)


def _decoder(c: AutoencoderConfig) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(c.latent_channels, c.widths[-1], 3, padding=1)]
    for i in reversed(range(len(c.widths))):
        layers += [ResidualBlock(c.widths[i], c.norm) for _ in range(c.decoder_blocks[i])]
        if i:
            layers += [nn.Conv2d(c.widths[i], 4 * c.widths[i - 1], 1), nn.PixelShuffle(2)]
    layers += [_norm(c.norm, c.widths[0]), nn.SiLU(), nn.Conv2d(c.widths[0], 12, 3, padding=1), nn.PixelShuffle(2)]
    return nn.Sequential(*layers)


class Autoencoder(nn.Module):
    """KL autoencoder of frames (Kingma & Welling 2014; Rombach et al. 2022, section 3.1).

    `encode` and `decode` speak the project's latents: `mean` and `std`, measured once after training, bring each
    channel to zero mean and unit variance.
    """

    spatial_compression_ratio = 8
    temporal_compression_ratio = 1

    mean: Tensor
    std: Tensor

    def __init__(self, config: AutoencoderConfig | None = None) -> None:
        super().__init__()
        self.config = config or AutoencoderConfig()
        self.encoder, self.decoder = _encoder(self.config), _decoder(self.config)
        self.register_buffer("mean", torch.zeros(self.config.latent_channels))
        self.register_buffer("std", torch.ones(self.config.latent_channels))

    def encode(self, video: Video) -> Latents:
        """The mode of the posterior, normalised; height and width must be multiples of 8."""
        mode = self.posterior(video)[0]
        return (mode - _per_channel(self.mean)) / _per_channel(self.std)

    def decode(self, latents: Latents) -> Video:
        """The clip of these latents."""
        return self.reconstruct(latents * _per_channel(self.std) + _per_channel(self.mean))

    def encoding(self) -> str:
        """Fingerprint of what makes the latents, the encoder and their scales: decoders may differ over equal latents.

        >>> one, other = Autoencoder(), Autoencoder()
        >>> other.encoder = one.encoder
        >>> one.encoding() == other.encoding(), fingerprint(one) == fingerprint(other)
        (True, False)
        """
        scales = torch.stack([self.mean, self.std]).float().cpu().numpy()
        return digest(fingerprint(self.encoder), scales.tobytes())

    def posterior(self, video: Video) -> tuple[Latents, Latents]:
        """Mean and log-variance of q(latents | video), not normalised."""
        height, width = video.shape[-2:]
        if height % 8 or width % 8:
            raise ValueError(f"height and width must be multiples of 8 for this autoencoder, got {height} x {width}")
        out = self.encoder(rearrange(video, "b c f h w -> (b f) c h w"))
        mean, logvar = rearrange(out, "(b f) c h w -> b c f h w", b=len(video)).chunk(2, dim=1)
        return mean, logvar.clamp(-20, 10)

    def reconstruct(self, z: Latents) -> Video:
        """The clip of latents that are not normalised."""
        frames = self.decoder(rearrange(z, "b c f h w -> (b f) c h w"))
        return rearrange(frames, "(b f) c h w -> b c f h w", b=len(z))

    def forward(
        self,
        video: Video,
        noise: Latents,
        blur: Float[Tensor, " batch"],
        pasted: Bool[Tensor, "batch height width"] | None = None,
    ) -> tuple[Video, Tensor]:
        """Training pass: a clip from a sample of the posterior (made with `noise`), and the KL divergence
        from N(0, 1) in nats, averaged over latent entries.

        The posterior is widened by `blur`, in standard deviations of the batch's latents. The cells `pasted` of a
        clip are those of the clip before it in the batch.
        """
        mean, logvar = self.posterior(video)
        kl = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).mean()
        widened = blur[:, None, None, None, None] ** 2 * mean.var((0, 2, 3, 4), keepdim=True)
        z = mean + (logvar.exp() + widened).sqrt() * noise
        return self.reconstruct(z if pasted is None else put_together(z, pasted)), kl


def put_together(
    clips: Float[Tensor, "batch channel frame height width"], pasted: Bool[Tensor, "batch height width"]
) -> Float[Tensor, "batch channel frame height width"]:
    """Each clip, with the clip before it in the batch where `pasted` (CutMix, Yun et al. 2019, eq. 1)."""
    return torch.where(pasted[:, None, None], clips.roll(1, 0), clips)


def _per_channel(values: Tensor) -> Tensor:
    return values[:, None, None, None]
