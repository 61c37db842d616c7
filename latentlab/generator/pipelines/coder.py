"""A diffusers autoencoder with the project's conventions: clips in, latents of about unit variance out, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from latentlab.generator.pipelines.foreign import ManyLatents, Posterior, device_of_hook, part
from latentlab.generator.run import batched
from latentlab.shapes import Latents, Video


class Coder:
    """Encodes and decodes with any image or video autoencoder of diffusers.

    Attributes:
        vae: the autoencoder.
        images: whether it codes frames one by one.
        time_ratio, space_ratio: frames and pixels a side for each latent; of an autoencoder of video they are read from
            a clip that it encodes.
        alone: frames at the beginning of a clip that have a latent of their own, 1 or 0.
        frame_step: clips have a whole number of these, and those frames.
        frames_at_once: frames that an autoencoder of images takes together; the result does not depend on it, except
            when decoding with a temporal decoder (`AutoencoderKLTemporalDecoder`); a pipeline's is that of its U-Net.
    """

    def __init__(self, vae) -> None:
        if vae is None:
            raise ValueError("this pipeline was loaded without its autoencoder, so there is nothing to make latents of")
        if part(vae, "encoder") is None:
            raise ValueError(f"{type(vae).__name__} has no encoder, so no clip has latents of it")
        self.vae = vae.eval().requires_grad_(False)
        self.images = not any(p.ndim == 5 for p in vae.encoder.parameters())
        self.time_ratio, self.space_ratio = _ratios(vae)
        self.alone = 1
        if not self.images:
            self._try()
        # CogVideoX decodes latent frames in pairs, and four clip frames too many where their number is even.
        self.frame_step = self.time_ratio * (2 if type(vae).__name__ == "AutoencoderKLCogVideoX" else 1)
        self.temporal_decoder = type(vae).__name__ == "AutoencoderKLTemporalDecoder"
        self.frames_at_once = 8

    @property
    def device(self) -> torch.device:
        """Where it computes; an autoencoder that waits elsewhere is brought there by its own hook."""
        return device_of_hook(self.vae) or self.vae.device

    @property
    def channels(self) -> int:
        """Of the latents."""
        return self.vae.config.get("latent_channels") or self.vae.config["z_dim"]

    @property
    def tiles(self) -> dict[str, Any] | None:
        """What diffusers' tiling of the autoencoder is set to, on which the clip depends; None where it is off."""
        own = vars(self.vae)
        on = [name for name in own if name in ("use_tiling", "use_framewise_encoding", "use_framewise_decoding")]
        sizes = [name for name in own if name.startswith("tile_") or name.endswith("_frames_batch_size")]
        found = {name: list(own[name]) if isinstance(own[name], tuple) else own[name] for name in (*on, *sizes)}
        return found if any(own[name] for name in on) else None

    def encode(self, video: Video) -> Latents:
        """Latents of clips, by the mode of the posterior."""
        z = self.coded(video)
        shift, scale = self._statistics(z.shape[2])
        return (z - shift) * scale

    def coded(self, video: Video) -> Latents:
        """Clips as the autoencoder itself has them."""
        video = video.to(self.device, self.vae.dtype)
        return (self._per_image(self._mode, video) if self.images else self._mode(video)).float()

    def decode(self, latents: Latents) -> Video:
        """Clips of latents."""
        shift, scale = self._statistics(latents.shape[2])
        return self.decoded(latents.to(self.device).float() / scale + shift)

    def decoded(self, z: Latents, args: Sequence[Any] = (), options: Mapping[str, Any] = MappingProxyType({})) -> Video:
        """Clips of what the autoencoder itself has, with further arguments of its own."""
        z = z.to(self.vae.dtype)
        if self.temporal_decoder:
            video = torch.cat([self._with_neighbours(z[i : i + 1]) for i in range(len(z))])
        else:
            own = partial(self._sample, args=args, options={k: v for k, v in options.items() if k != "return_dict"})
            video = self._per_image(own, z) if self.images else own(z)
        if type(self.vae).__name__ == "AutoencoderKLAllegro":  # which has frames before channels
            video = video.movedim(1, 2)
        return video.float().clamp_(-1, 1)

    @torch.no_grad()
    def _try(self) -> None:
        """Reads ratios from clips that are encoded: two latents long, and a frame longer.

        Raises:
            ValueError: an autoencoder that encodes in tiles alone.
        """
        hint, side = self.time_ratio if self.time_ratio > 1 else 4, max(64, 2 * self.space_ratio)
        found: dict[int, tuple[int, ...]] = {}
        for frames in (2 * hint + 1, 2 * hint):
            clip = torch.zeros(1, 3, frames, side, side, device=self.device, dtype=self.vae.dtype)
            try:
                found[frames] = tuple(self._mode(clip).shape)
            except NotImplementedError as error:
                raise ValueError(
                    f"{type(self.vae).__name__} encodes nothing as it stands ({error}); load it with tiling=True, or "
                    "call its enable_tiling() first"
                ) from error
            except (RuntimeError, ValueError):  # a length that it does not take
                continue
            if len(found) == 1 and found[frames][2] == 3:
                break
        if not found:
            return  # what its settings say
        longer, even = found.get(2 * hint + 1), found.get(2 * hint)
        if even is not None and even[2] == 2 and (longer is None or longer[2] != 3):
            self.time_ratio, self.alone = hint, 0
        elif longer is not None:
            self.time_ratio = 2 * hint // max(longer[2] - 1, 1)
        self.space_ratio = side // next(iter(found.values()))[-1]

    def _mode(self, x: Tensor) -> Tensor:
        coded = self.vae.encode(x)
        if isinstance(coded, Posterior):
            return coded.latent_dist.mode()
        return coded.latents if isinstance(coded, ManyLatents) else coded.latent

    def _sample(self, z: Tensor, args: Sequence[Any] = (), options: Mapping[str, Any] = MappingProxyType({})) -> Tensor:
        if args or options:
            return self.vae.decode(z, *args, **options).sample
        if self.vae.config.get("timestep_conditioning"):  # a decoder that can take noise away; these latents have none
            return self.vae.decode(z, torch.zeros(len(z), device=z.device, dtype=z.dtype)).sample
        return self.vae.decode(z).sample

    def _per_image(self, f, x: Tensor) -> Tensor:
        frames = batched(f, rearrange(x, "b c f h w -> (b f) c h w"), self.frames_at_once)
        return rearrange(frames, "(b f) c h w -> b c f h w", b=len(x))

    def _with_neighbours(self, z: Tensor) -> Tensor:
        """One clip through a decoder whose frames see those beside them in the same chunk."""
        frames = rearrange(z, "1 c f h w -> f c h w")
        parts = [self.vae.decode(part, num_frames=len(part)).sample for part in frames.split(self.frames_at_once)]
        return rearrange(torch.cat(parts), "f c h w -> 1 c f h w")

    def _statistics(self, frames: int) -> tuple[Tensor, Tensor]:
        """Shift and scale that bring the autoencoder's own z to unit variance: `(z - shift) * scale`."""
        config, buffers = self.vae.config, dict(self.vae.named_buffers(recurse=False))
        mean, std = (config.get(name, buffers.get(name)) for name in ("latents_mean", "latents_std"))
        shift = config.get("shift_factor") or 0.0 if mean is None else mean
        scale = (config.get("scaling_factor") or 1.0) / (
            1.0 if std is None else torch.as_tensor(std, device=self.device).float()
        )
        shift, scale = (
            self._by_channel(torch.as_tensor(t, device=self.device).float(), frames) for t in (shift, scale)
        )
        return shift, scale

    def _by_channel(self, t: Tensor, frames: int) -> Tensor:
        """Statistics of channels, or of their frames, as Cosmos tells them; after the last of those, that one."""
        if t.numel() in (1, self.channels):
            return t.view(-1, 1, 1, 1)
        by_frame = t.view(self.channels, -1)
        at = torch.arange(frames, device=t.device).clamp(max=by_frame.shape[1] - 1)
        return by_frame[:, at, None, None]


def _ratios(vae) -> tuple[int, int]:
    """Clip frames and pixels a side for each latent."""
    config = vae.config
    if config.get("scale_factor_spatial"):
        return config["scale_factor_temporal"] or 1, config["scale_factor_spatial"]
    told = {**config, **vars(vae)}  # as an attribute, or among the settings
    if told.get("spatial_compression_ratio"):
        return round(told.get("temporal_compression_ratio") or 1), told["spatial_compression_ratio"]
    scales = config.get("block_out_channels") or config["encoder_block_out_channels"]
    return round(config.get("temporal_compression_ratio") or 1), 2 ** (len(scales) - 1)
