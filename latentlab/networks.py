"""Shapes of networks: what the header of their weights says, and what `latentlab train` has options for.

Nothing here loads torch, so that the help of a command is instant.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from latentlab.names import ImageObjective


@dataclass(frozen=True)
class AutoencoderConfig:
    """Shape of an autoencoder.

    Args:
        latent_channels: channels of the latents.
        widths: channels at 1/2, 1/4 and 1/8 of the frame's side.
        encoder_blocks, decoder_blocks: residual blocks at each of the three scales, in the order of `widths`.
        norm: "group" (Wu & He 2018) takes its statistics over the whole frame, so that a change in one place changes
            all others a little; "pixel" takes them over the channels at each pixel, so that what is far stays as it is.
        encoder_norm: that of the encoder, where it differs: the decoder was trained anew for latents that stay.
    """

    latent_channels: int = 6
    widths: tuple[int, int, int] = (48, 96, 192)
    encoder_blocks: tuple[int, int, int] = (1, 1, 2)
    decoder_blocks: tuple[int, int, int] = (1, 2, 3)
    norm: Literal["group", "pixel"] = "group"
    encoder_norm: Literal["group", "pixel"] | None = None

    def __post_init__(self) -> None:
        if self.norm not in ("group", "pixel"):
            raise ValueError(f"norm must be 'group' or 'pixel', got {self.norm!r}")
        if self.encoder_norm not in ("group", "pixel", None):
            raise ValueError(f"encoder_norm must be 'group', 'pixel' or None, got {self.encoder_norm!r}")


@dataclass(frozen=True)
class DenoiserConfig:
    """Shape of a U-Net.

    Args:
        latent_channels: channels of the latents.
        context_width: channels of the caption tokens.
        widths: channels at each scale; the frame's sides halve from one to the next.
        blocks: blocks at each scale on the way down, and as many on the way up.
        attention: whether the blocks of a scale have attention.
        head_width: channels of one attention head.
        window: frames whose cosine coefficients are scaled each by its own spread; a clip is one window or several.
        frame_patch: neighbouring frames that the network takes as one; they hardly differ, and it costs that much less.
        temporal_convolution, temporal_attention: ablations; with both off, patches do not see each other.
    """

    latent_channels: int = 6
    context_width: int = 128
    widths: tuple[int, ...] = (64, 128)
    blocks: int = 2
    attention: tuple[bool, ...] = (False, True)
    head_width: int = 32
    window: int = 16
    frame_patch: int = 4
    temporal_convolution: bool = True
    temporal_attention: bool = True


@dataclass(frozen=True)
class TransformerConfig:
    """Shape of a transformer in the U-Net's place; at the shipped model's latents 64 tokens a window.

    Args:
        latent_channels, context_width, window, frame_patch: see `DenoiserConfig`.
        width: of a token.
        depth: blocks; every other one looks at the caption.
        head_width: channels of one attention head, a multiple of 2.
        patch: side of the squares of latents that are one token.
        registers: tokens without a place, for what belongs to none (Darcet et al. 2024).
    """

    latent_channels: int = 6
    context_width: int = 128
    width: int = 192
    depth: int = 6
    head_width: int = 32
    window: int = 16
    frame_patch: int = 4
    patch: int = 2
    registers: int = 4

    def __post_init__(self) -> None:
        if self.width % self.head_width or self.head_width % 2:
            raise ValueError(f"a width of {self.width} is no number of heads of {self.head_width}, an even number")


@dataclass(frozen=True)
class StudentConfig(DenoiserConfig):
    """Shape of a student, and what it was taught.

    Args:
        levels: flow times of its steps, from noise (1) down to data (0).
        guidances: least and largest guidance of its teacher.
        teacher: fingerprint of that one's denoiser.
    """

    levels: tuple[float, ...] = (1.0, 0.9, 0.75, 0.5, 0.0)
    guidances: tuple[float, float] = (1.0, 6.0)
    teacher: str = ""

    def __post_init__(self) -> None:
        falls = all(a > b for a, b in pairwise(self.levels))
        if len(self.levels) < 2 or not falls or (self.levels[0], self.levels[-1]) != (1.0, 0.0):
            raise ValueError(f"a student's levels fall from 1 to 0, got {self.levels}")
        if not self.guidances[0] <= self.guidances[1]:
            raise ValueError(f"guidances are the least and the largest, got {self.guidances}")


@dataclass(frozen=True)
class ClipConfig:
    """Shape of a CLIP model's towers, in open_clip's terms, and the words it knows.

    Args:
        vocabulary: the words, lower case.
        context_length: longest caption in tokens, start and end included.
        embed_dim: channels of the joint space.
        width, text_layers, vision_layers: of the transformers; heads have 32 channels.
        frame_size: side of a frame on the contact sheet, pixels.
        patch_size: side of a patch, pixels.
    """

    vocabulary: tuple[str, ...]
    context_length: int = 24
    embed_dim: int = 128
    width: int = 128
    text_layers: int = 2
    vision_layers: int = 4
    frame_size: int = 64
    patch_size: int = 16


@dataclass(frozen=True)
class EditConfig:
    """Shape of the networks that edit and read latents.

    Args:
        latent_channels: of the autoencoder whose latents it edits.
        side: cells along one side of a frame's latents.
        condition: numbers that say what is to change in a frame.
        reading: numbers that its reader says of a frame.
        width, blocks: of the network that edits.
        hidden: of its condition.
        reader_width: of the networks that read and find.
        objects: most in a frame. Of one the network is told what changes; of up to two, where the object is that is
            edited, and all that it is (`latentlab.data.moving.object_edits`).
        autoencoder: `encoding` of the one whose latents these are.
    """

    latent_channels: int = 6
    side: int = 8
    condition: int = 38
    reading: int = 19
    width: int = 96
    blocks: int = 6
    hidden: int = 64
    reader_width: int = 64
    objects: int = 1
    autoencoder: str = ""


@dataclass(frozen=True)
class VectorVAEConfig:
    """Shape of a vector VAE.

    Args:
        dims: of the code; of its static part where there is a motion code.
        rings: how many of these, the first ones, are angles: what comes back to where it began, a hue or a turn, has
            no place on a line without a cut, and on lines would take two dims that mean nothing alone.
        moves: whether the last two dims of what draws a frame move the whole picture, right and down, and do no more.
        motion_dims: of the motion code of each frame; 0 is one code for everything.
        num_frames: of a clip; 1 codes single frames.
        size: height and width, multiples of 16.
        width: channels of the convolutions.
        hidden: width of the layers between convolutions and code.
        smoothness: correlation of the motion code of one frame with the next, under the prior.
    """

    dims: int = 10
    rings: int = 0
    moves: bool = False
    motion_dims: int = 0
    num_frames: int = 1
    size: tuple[int, int] = (64, 64)
    width: int = 32
    hidden: int = 128
    smoothness: float = 0.9

    def __post_init__(self) -> None:
        if min(self.dims, self.num_frames, self.width, self.hidden) < 1 or self.motion_dims < 0:
            raise ValueError(f"dims, num_frames, width and hidden must be at least 1, motion_dims 0; got {self}")
        if not 0 <= self.rings <= self.dims:
            raise ValueError(f"rings must be 0 to dims, which is {self.dims}; got {self.rings}")
        if self.moves and self.dims + self.motion_dims - self.rings < 2:
            raise ValueError(
                "the last two dims move the picture and must not be rings; there are "
                f"{self.dims} dims, {self.rings} of them rings, and {self.motion_dims} of motion"
            )
        if any(side < 16 or side % 16 for side in self.size):
            raise ValueError(f"height and width must be multiples of 16, got {self.size}")
        if not 0 <= self.smoothness < 1:
            raise ValueError(f"smoothness must be in [0, 1), got {self.smoothness}")

    @property
    def code_dims(self) -> int:
        """Length of a code: the static part, then the motion code frame by frame."""
        return self.dims + self.num_frames * self.motion_dims


@dataclass(frozen=True)
class PixelConfig:
    """What `Pixels` takes a video to.

    Args:
        latent_channels: 1 for grey pictures, 3 for colours.
        mean, spread: of the values in [-1, 1], over the training data.
    """

    latent_channels: int = 1
    mean: float = 0.0
    spread: float = 0.5

    def __post_init__(self) -> None:
        if self.latent_channels not in (1, 3):
            raise ValueError(f"pixels have 1 channel or 3, got {self.latent_channels}")
        if not (math.isfinite(self.mean) and 0 < self.spread < math.inf):
            raise ValueError(f"pixels need a finite mean and a spread above 0, got {self.mean} and {self.spread}")


@dataclass(frozen=True)
class ImageDenoiserConfig:
    """Shape of a U-Net of pictures.

    Args:
        latent_channels: channels of a picture.
        classes: their names; none for pictures without a class.
        objective: what it answers, see `generator.objective`.
        widths: channels at each scale; the sides halve from one to the next.
        blocks: blocks at each scale on the way down, and as many on the way up.
        attention: whether the blocks of a scale have attention.
        head_width: channels of one attention head.
        patch: side of the squares of pixels that are stacked as channels first, at a `patch`^2 of the cost.
        num_frames: of a clip; above 1, each block ends with layers over time (Blattmann et al. 2023, section 3.1),
            which begin as the identity: see `inflated`.
    """

    latent_channels: int = 1
    classes: tuple[str, ...] = ()
    objective: ImageObjective = "ddpm"
    widths: tuple[int, ...] = (48, 96)
    blocks: int = 1
    attention: tuple[bool, ...] = (False, True)
    head_width: int = 32
    patch: int = 2
    num_frames: int = 1

    @property
    def multiple(self) -> int:
        """Of which the sides of a picture must be a multiple."""
        return self.patch * 2 ** (len(self.widths) - 1)


@dataclass(frozen=True)
class ReaderConfig:
    """Shape of a reader of moving shapes.

    Args:
        width: of the features of one frame.
        objects: most in a clip; 1 is one, always, whose every factor is read.
    """

    width: int = 64
    objects: int = 1
