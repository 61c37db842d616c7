"""Clips some of whose frames are given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch

from latentlab.checks import clear_errors
from latentlab.control.inpaint import inpaint
from latentlab.control.inpainted import Inpainted
from latentlab.generator.condition import Caption
from latentlab.generator.generator import Generator
from latentlab.generator.networks.known_region import KnownRegionNetwork
from latentlab.shapes import Video


@clear_errors
def keyframes(
    generator: Generator,
    caption: Caption,
    frames: Mapping[int, Video],
    *,
    network: KnownRegionNetwork | Literal["auto"] | None = "auto",
    **options: Any,
) -> Inpainted:
    """A clip of a caption some of whose frames are given: the others are drawn between, before and after them.

    Args:
        generator: any that samples.
        caption: what the clip shows.
        frames: images `(1, 3, 1, height, width)` by their place in the clip.
        network: that was trained to go on from known latents; "auto" is the one that ships with the model, if one does.
            Without one (None) the given frames stay, and the clip jumps there (`benchmarks/control.py` measures by how
            much).
        options: of `inpaint`.

    Raises:
        ValueError: no frame, one beyond the clip, or all of them; images of several sizes, or of more than one frame.

    >>> import latentlab as ll
    >>> generator, (clip, _) = ll.load(device="cpu"), ll.data.moving_shapes(1, seed=0)
    >>> made = keyframes(generator, "a red star", {0: clip[:, :, :1], 15: clip[:, :, -1:]}, num_steps=2, refine=0)
    >>> bool((made.video[:, :, 0] == clip[:, :, 0]).all())
    True
    """
    count = generator.config.num_frames
    if not isinstance(frames, Mapping):
        raise ValueError(f"frames are images by their place, such as {{0: image}}, got a {type(frames).__name__}")
    if not frames or not all(isinstance(k, int) and 0 <= k < count for k in frames) or len(frames) == count:
        raise ValueError(f"keyframes are some of frames 0 to {count - 1}, got {sorted(frames)}")
    for place, image in frames.items():
        if image.ndim != 5 or image.shape[1:3] != (3, 1):
            raise ValueError(f"the image at frame {place} is (batch, 3, 1, height, width), got {tuple(image.shape)}")
    if len(sizes := {tuple(image.shape[-2:]) for image in frames.values()}) > 1:
        raise ValueError(f"the images are of one size, got {', '.join(f'{h} x {w}' for h, w in sorted(sizes))}")
    if own := {"video", "mask"} & options.keys():
        raise ValueError(f"the clip and its mask come from the frames that are given, got {', '.join(sorted(own))}=")
    near = [min(frames, key=lambda k: (abs(k - frame), k)) for frame in range(count)]
    video = torch.cat([frames[k] for k in near], 2)  # what lies between is drawn anew, whatever stands there
    mask = torch.ones(1, 1, count, *video.shape[3:])
    mask[:, :, list(frames)] = 0
    return inpaint(generator, video, mask, caption, network=network, **{"grow": 0, "feather": 0, **options})
