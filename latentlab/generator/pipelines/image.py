"""Two ways in which networks are told of the image that a clip begins with: in the place of its first latents, or in
further channels."""

from __future__ import annotations

from abc import ABC

import torch
from torch import Tensor

from latentlab.generator.condition import Condition
from latentlab.generator.pipelines.pipeline import Flow, per_clip
from latentlab.shapes import Latents, Video


class Opening(Flow, ABC):
    """A pipeline of flow matching with a level for each token: where an image is given, its tokens are at level 0.

    The network sees the image in the place of the first latents whatever those are, and no step moves them: noise made
    by inversion has the clip's own there.
    """

    def look(self, image: Video) -> dict[str, Tensor]:
        return {"image": self.coder.encode(image)}

    def completed(self, latents: Latents, condition: Condition) -> Latents:
        """The latents, the image's the first of them if there is one."""
        image = condition.more.get("image")
        if image is None:
            return latents
        if image.shape[1] != latents.shape[1] or image.shape[2] != 1 or image.shape[3:] != latents.shape[3:]:
            wanted = latents.shape[1], 1, *latents.shape[3:]
            raise ValueError(
                f"the image has latents of {tuple(image.shape[1:])}, the clip's first ones are {wanted}; give both "
                "one size"
            )
        return torch.cat([image.to(latents), latents[:, :, 1:]], dim=2)

    def predict(self, y: Tensor, s: float, condition: Condition) -> Tensor:
        v = super().predict(self.completed(y, condition), s, condition)
        if "image" not in condition.more:
            return v
        return torch.cat([torch.zeros_like(v[:, :, :1]), v[:, :, 1:]], dim=2)

    def token_times(self, time: float, x: Tensor, condition: Condition) -> Tensor:
        """A timestep for each token, 0 for those of the image."""
        times = per_clip(time, x)[:, None].repeat(1, x.shape[2])
        if "image" in condition.more:
            times[:, 0] = 0
        return times.repeat_interleave((x.shape[3] // self.patch) * (x.shape[4] // self.patch), dim=1)


def further_channels(x: Tensor, condition: Condition) -> Tensor:
    """States with the channels that tell of the image after their own, for clips as long as that image was read for, or
    shorter: what is told of a frame does not depend on those after it.

    Raises:
        ValueError: no image, or one for clips of another size.
    """
    channels = condition.more.get("channels")
    if channels is None:
        raise ValueError("this network makes clips of an image: condition(caption, image=video[:, :, 0])")
    if channels.shape[3:] != x.shape[3:] or channels.shape[2] < x.shape[2]:
        raise ValueError(
            f"the image was read for clips of {tuple(channels.shape[2:])} latents, this one has {tuple(x.shape[2:])}; "
            "give both one size, and make the condition once config.num_frames is that of the clip"
        )
    return torch.cat([x, channels[:, :, : x.shape[2]]], dim=1)
