"""Clips that go on: more frames for a clip, and clips of any length while they are made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from latentlab.checks import Count, Seed, clear_errors
from latentlab.control.known_region import KnownRegion
from latentlab.generator.condition import Caption, Condition
from latentlab.generator.generator import Generator
from latentlab.generator.networks.known_region import KnownRegionNetwork
from latentlab.generator.windows import Pinned, decoded, latent_frames, long_latents, long_noise
from latentlab.names import Joined
from latentlab.shapes import Latents, Video, check_video


@clear_errors
def extend(
    generator: Generator,
    video: Video,
    by: Count,
    caption: Caption = "",
    *,
    windows: Joined = "keyframes",
    network: KnownRegionNetwork | None = None,
    seed: Seed = 0,
    num_steps: Count = 25,
    method: str = "ddim",
    guidance: float | None = None,
    batch_size: Count = 16,
) -> Video:
    """A clip with more frames after its last; those that it has stay as they are.

    The latents of the clip are held while the new ones are drawn by windows that reach into it, see
    `generator.windows`. What was not in the clip comes from the caption and the seed.

    Args:
        generator: the model.
        video: `(batch, 3, frame, height, width)`, of the model's size, of any length.
        by: how many frames more.
        caption: what the clips show, one for all or one for each.
        windows: "keyframes", "average", "shuffled" or "pinned".
        network: that was trained to go on from known latents, see `read_known_region`; windows then follow one another,
            each told the frames that it shares with what is there. None is without.
        seed: of the noise.
        num_steps, method, guidance, batch_size: as in `Generator.generate`.

    Returns:
        Clips `by` frames longer.

    Raises:
        ValueError: clips of another size than the model's, or a length that its autoencoder cannot hold.

    >>> import latentlab as ll
    >>> generator = ll.load(device="cpu")
    >>> clips, _ = ll.data.moving_shapes(1, seed=0)
    >>> extend(generator, clips, 8, "a red star", num_steps=1).shape
    torch.Size([1, 3, 24, 64, 64])
    """
    check_video(video=video)
    sides, own = tuple(video.shape[-2:]), (generator.config.height, generator.config.width)
    if sides != own:
        raise ValueError(f"this model's clips are {own[0]} x {own[1]}, got {sides[0]} x {sides[1]}")
    if generator.config.num_frames == 1:
        raise ValueError("a model of images has one frame, and nothing to say of the next")
    video = video.to(generator.device)
    known = generator.encode(video, batch_size=batch_size)
    whole = max(video.shape[2] + by, generator.config.num_frames)
    condition = generator.as_condition(caption).expand(len(video))
    frames = latent_frames(generator, whole)
    options: dict[str, Any] = {"num_steps": num_steps, "method": method, "batch_size": batch_size, "seed": seed}
    options["guidance"] = generator.config.guidance if guidance is None else guidance
    if network is None:
        latents = long_latents(generator, condition, frames, windows=windows, known=known, **options)
    else:
        latents = _told_latents(generator, network, condition, known, frames, **options)
    drawn = torch.cat(list(decoded(generator, latents)), 2)
    return torch.cat([video.float(), drawn[:, :, video.shape[2] : video.shape[2] + by]], 2)


def _told_latents(
    generator: Generator,
    network: KnownRegionNetwork,
    condition: Condition,
    known: Latents,
    frames: int,
    *,
    seed: int,
    **options: Any,
) -> Latents:
    """Window after window, the network told the frames that each shares with the last; they are held, too."""
    window = generator.latent_shape[1]
    noise, done = long_noise(generator, len(condition), frames + window, seed=seed), known
    while done.shape[2] < frames:
        shared = min(window - max(1, window // 2), done.shape[2])
        begin = done.shape[2] - shared
        own, held = noise[:, :, begin : begin + window], done[:, :, begin:]
        clean = torch.cat([held, torch.zeros_like(own[:, :, shared:])], 2)
        free = torch.ones_like(clean[:1, :1])
        free[:, :, :shared] = 0
        told = generator.guided(KnownRegion(network, clean, free), Pinned(held))
        done = torch.cat([done, told.sample(own, condition, **options)[:, :, shared:]], 2)
    return done[:, :, :frames]


@clear_errors
def stream(
    generator: Generator,
    caption: Caption,
    num_frames: Count,
    *,
    windows: Joined = "keyframes",
    seed: Seed = 0,
    num_steps: Count = 25,
    method: str = "ddim",
    guidance: float | None = None,
) -> Iterator[Video]:
    """One clip of any length in parts of the model's own length, each decoded when it is asked for.

    The latents of the whole are held, which are small beside pixels; the network and the decoder see one window at a
    time. `video.write_parts(path, stream(...))` writes the clip as it comes.

    Args:
        generator: the model.
        caption: what the clip shows.
        num_frames: of the clip.
        windows, seed, num_steps, method, guidance: as in `Generator.generate`.

    >>> import latentlab as ll
    >>> parts = stream(ll.load(device="cpu"), "a red star", 40, num_steps=1)
    >>> [part.shape[2] for part in parts]
    [16, 16, 8]
    """
    condition = generator.as_condition(caption)
    if len(condition) != 1:
        raise ValueError(f"one clip is streamed at a time, got {len(condition)} captions")
    options: dict[str, Any] = {"num_steps": num_steps, "method": method}
    options["guidance"] = generator.config.guidance if guidance is None else guidance
    frames = latent_frames(generator, num_frames)
    return decoded(generator, long_latents(generator, condition, frames, windows=windows, seed=seed, **options))
