"""What every pipeline has: an autoencoder of diffusers, with its rules for the length and size of clips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latentlab.generator.condition import Condition
from latentlab.generator.generator import Generator, GeneratorConfig
from latentlab.generator.pipelines.coder import Coder
from latentlab.generator.run import batched
from latentlab.shapes import Latents, Video, check_video


class Coded(Generator):
    """A generator whose autoencoder is one of diffusers.

    Args:
        vae: the autoencoder; it computes in the dtype it was loaded with.
        config: of the clips; `latent_shape`, and so `noise`, follow it.
    """

    def __init__(self, vae, config: GeneratorConfig) -> None:
        self.coder = Coder(vae)
        frames, height, width = self._fitting(config.num_frames, config.height, config.width)
        self.config = replace(config, num_frames=frames, height=height, width=width)

    @property
    def networks(self) -> Sequence[nn.Module]:
        return (self.coder.vae,)

    @property
    def device(self) -> torch.device:
        return self.coder.device

    @property
    def patch(self) -> int:
        """Latents a side that the denoiser takes together."""
        return 1

    @property
    def latent_shape(self) -> tuple[int, int, int, int]:
        """Of the latents of clips as `config` has them; errors as in `check_config`."""
        self.check_config()
        c = self.config
        return self.coder.channels, *self._latent_grid(c.num_frames, c.height, c.width)

    @property
    def decode_chunk(self) -> int | None:
        return self.coder.frames_at_once if self.coder.temporal_decoder else None

    @property
    def tiles(self) -> dict[str, Any] | None:
        return self.coder.tiles

    def to(self, device: str | torch.device, dtype: torch.dtype | None = None) -> Self:
        """The same generator elsewhere; `dtype` is for the denoiser alone."""
        del dtype
        self.coder.vae.to(device)
        return self

    @torch.no_grad()
    def encode(self, video: Video, *, batch_size: int = 1) -> Latents:
        """Latents of clips, about unit variance: the mode of the posterior.

        Raises:
            ValueError: a length or size that the model cannot hold; `padded` makes it fit.
        """
        check_video(video=video)
        self.check_fits(video)
        latents = batched(self.coder.encode, video, batch_size)
        self._check_kept(latents.shape[2:], self._latent_grid(*video.shape[2:]), "latents")
        return latents

    @torch.no_grad()
    def decode(self, latents: Latents, *, batch_size: int = 1) -> Video:
        """Clips of latents, within [-1, 1]."""
        self.check_latents(latents)
        video = batched(self.coder.decode, latents, batch_size)
        self._check_kept(video.shape[2:], self._clip_of(*latents.shape[2:]), "a clip")
        return video

    def held_to(self, num_frames: int, side: int) -> GeneratorConfig:
        """Its config, for clips of so many frames and pixels a side at most, or little more: the next that it makes."""
        c = self.config
        scale = min(1.0, side / max(c.height, c.width))
        sides = round(c.height * scale), round(c.width * scale)
        frames, height, width = self._fitting(min(num_frames, c.num_frames), *sides)
        return replace(c, num_frames=frames, height=height, width=width)

    def check_config(self) -> None:
        """Raises unless the model makes clips of the length and size in `config`; the message names the nearest."""
        c = self.config
        check_makes(self._name, self._rule(), (c.num_frames, c.height, c.width), self._fitting)

    def check_fits(self, video: Video) -> None:
        """Raises unless the model can hold a clip of this length and size; the message says what would fit."""
        frames, height, width = video.shape[2:]
        fitting = self._fitting(frames, height, width)
        if fitting != (frames, height, width):
            raise ValueError(
                f"{self._name} holds clips of {self._rule()}, got {frames} frames of {height} x {width}; "
                f"generator.padded(video) makes {fitting[0]} of {fitting[1]} x {fitting[2]} of them, "
                f"and [:, :, :{frames}, :{height}, :{width}] takes them out again"
            )

    def padded(self, video: Video) -> Video:
        """The clip made long and large enough for the model: its last frame, row and column repeated."""
        check_video(video=video)
        frames, height, width = video.shape[2:]
        f, h, w = self._fitting(frames, height, width)
        return F.pad(video, (0, w - width, 0, h - height, 0, f - frames), mode="replicate")

    def check_latents(self, latents: Tensor) -> None:
        super().check_latents(latents)
        frames, height, width = latents.shape[2:]
        clip = self._clip_of(frames, height, width)
        if clip != self._fitting(*clip):
            raise ValueError(
                f"{self._name} holds clips of {self._rule()}, "
                f"and {frames} x {height} x {width} latents are none of them"
            )

    @property
    def _name(self) -> str:
        return type(self).__name__

    def _fitting(self, frames: int, height: int, width: int) -> tuple[int, int, int]:
        """The smallest length and size from these upwards that the model can hold."""
        side, step = self.coder.space_ratio * self.patch, self.coder.frame_step
        extra = self.coder.alone if self.coder.time_ratio > 1 else 0
        return -(-(frames - extra) // step) * step + extra, -(-height // side) * side, -(-width // side) * side

    def _latent_grid(self, frames: int, height: int, width: int) -> tuple[int, int, int]:
        ratio = self.coder.space_ratio
        alone = self.coder.alone
        return (frames - alone) // self.coder.time_ratio + alone, height // ratio, width // ratio

    def _clip_of(self, frames: int, height: int, width: int) -> tuple[int, int, int]:
        ratio = self.coder.space_ratio
        alone = self.coder.alone
        return (frames - alone) * self.coder.time_ratio + alone, height * ratio, width * ratio

    def _check_kept(self, found: Sequence[int], expected: Sequence[int], what: str) -> None:
        if tuple(found) != tuple(expected):
            raise ValueError(
                f"{type(self.coder.vae).__name__} made {what} of {tuple(found)} where {tuple(expected)} were expected; "
                "its rule for the length of clips is not known here"
            )

    def _rule(self) -> str:
        side = self.coder.space_ratio * self.patch
        frames = f"{self.coder.frame_step}k{' + 1' * self.coder.alone} frames and " if self.coder.time_ratio > 1 else ""
        return f"{frames}sides that are multiples of {side}"


def check_makes(
    name: str, rule: str, asked: tuple[int, int, int], fitting: Callable[..., tuple[int, int, int]]
) -> None:
    """Raises unless clips of the frames, height and width that are asked for can be made; the nearest are named.

    Args:
        name: of the model.
        rule: which clips it makes, in words.
        asked: frames, height and width.
        fitting: the smallest of the three from those upwards that it makes.
    """
    above = fitting(*asked)
    for axis, (what, value) in enumerate(zip(("num_frames", "height", "width"), asked, strict=True)):
        if above[axis] != value:
            lower = ([*asked[:axis], v, *asked[axis + 1 :]] for v in range(value - 1, 0, -1))
            below = next((v[axis] for v in lower if fitting(*v)[axis] == v[axis]), None)
            nearest = f"{above[axis]}" if below is None else f"{below} and {above[axis]}"
            raise ValueError(f"{name} makes clips of {rule}, got {what}={value}; nearest: {nearest}")


class AutoencoderOnly(Coded):
    """An autoencoder without a denoiser: encodes, decodes, interpolates and measures, but cannot sample."""

    def condition(self, captions: str | Sequence[str]) -> Condition:
        raise ValueError(self._reason())

    def predict(self, y: Tensor, s: float, condition: Condition) -> Tensor:
        raise ValueError(self._reason())

    def _reason(self) -> str:
        return (
            f"{type(self.coder.vae).__name__} is an autoencoder alone, there is no denoiser to sample or invert with; "
            "encode and decode work, and a folder of a whole pipeline does the rest"
        )
