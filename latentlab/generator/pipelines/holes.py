"""Pipelines that take a mask themselves: what is known of a clip, and where it is drawn anew, as their call tells it.

Networks of nine channels (Rombach et al. 2022), Flux-Fill and Wan VACE hear both as further input. What their encoders
answer to them is part of the condition.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from latentlab.generator.condition import Condition
from latentlab.generator.grid import check_mask, to_grid
from latentlab.generator.pipelines.call import Call, Size
from latentlab.generator.pipelines.driver import HOLES, moved_back
from latentlab.generator.pipelines.reading import Reading, apart, pictures
from latentlab.generator.pipelines.remembered import Answers
from latentlab.generator.pipelines.sizes import Sized
from latentlab.shapes import Mask, Video, check_video

Grid = tuple[int, int, int]  # frames, height and width of latents
HeardMask = Literal["latents", "pixels"]


class TakesMasks(Sized):
    """A driven pipeline, as far as masks go.

    Attributes:
        call, reading: see `Driven`.
        heard_mask: what its network hears of masks, a value for each of its "latents" or "pixels"; None is nothing.
    """

    call: Call
    reading: Reading
    heard_mask: HeardMask | None

    def condition_of_hole(
        self, captions: str | Sequence[str], video: Video | None, mask: Mask, *, negative: Any = None, **told: Any
    ) -> Condition:
        """What is told of captions, of clips, and where these are drawn anew.

        Raises:
            ValueError: a pipeline whose network hears no mask; a mask without clips.
        """
        if self.heard_mask is None or video is None:
            why = "takes no mask" if self.heard_mask is None else "takes a mask with clips: condition(..., image=clips)"
            raise ValueError(f"this {self.call.name} {why}")
        check_video(image=video)
        self.check_fits(video)
        said = [captions] * len(video) if isinstance(captions, str) else list(captions)
        away = [negative] * len(said) if isinstance(negative, str) else negative
        size = (video.shape[2], video.shape[3], video.shape[4])
        grid = self.layout(size).shape[1:]
        return hole_condition(self.reading, self.heard_mask, size, grid, said, video, mask, negative=away, **told)

    @moved_back
    @torch.no_grad()
    def hearing(self, condition: Condition, video: Video, hole: Mask) -> Condition | None:
        if self.heard_mask is None:
            return None
        controls = any(guide.settings().get("guide") == "control" for guide in self.guides)
        if controls and self.call.control and self.call.control[0] == "video":
            raise ValueError(f"{self.call.name} hears one clip: one to follow, or one to fill; give either")
        if condition.negative is None and self.reading.guidance == "classifier-free":
            condition = replace(condition, negative=self.unconditional(condition).expand(len(condition)))
        return replaced(condition, self.condition_of_hole("", video, hole))


def read_heard_mask(reading: Reading, size: Size, velocity: Callable[[Answers], Tensor]) -> HeardMask | None:
    """What a network hears of masks: one value a latent, one a pixel, or nothing, as where known latents are held.

    Args:
        reading: how the pipeline's encoders answer.
        size: of its clips.
        velocity: by answers, at one state and level.
    """
    if reading.call.hole is None:
        return None
    grey = torch.zeros(1, 3, *(n or 1 for n in size))
    drawn, kept = (_told(reading, size, [""], grey, grey[:, :1] + value) for value in (1.0, 0.0))
    if apart(*(velocity(reading.form.answer(told)) for told in (drawn, kept))) <= 1e-6:
        return None
    masks = (t for name, t in drawn.parts.items() if _of(name, HOLES))
    return "latents" if any(t.ndim == 4 and t.shape[1] == 1 for t in masks) else "pixels"


def hole_condition(
    reading: Reading, heard: HeardMask | None, size: Size, grid: Grid, captions: Sequence[str], video: Video,
    hole: Mask, **options: Any,
) -> Condition:  # fmt: skip
    """The condition of captions, clips, and what is drawn anew in them.

    A network that hears one value a latent is told of every latent in which a painted pixel lies: calls shrink masks by
    their nearest pixel, which loses thin strokes. Of the frames that one latent holds they take the mask of one, in Wan
    VACE often of a frame of another latent: what the network hears there is made anew, of each latent's own frames.

    Args:
        reading: how the pipeline's encoders answer.
        heard: see `read_heard_mask`.
        size: of the clips.
        grid: of their latents.
        captions: one for each clip.
        video: the clips, in [-1, 1].
        hole: 1 where they are drawn anew, at their size.
        options: of `Reading.condition`.
    """
    check_mask(hole)
    hole = (hole > 0).float().expand(len(video), -1, video.shape[2], -1, -1)
    if heard == "latents":
        hole = F.interpolate(to_grid(hole, grid), video.shape[2:])
    found, latents = _told(reading, size, captions, video, hole, **options), grid[0]
    if not any(_of(name, ["prepare_masks"]) for name in found.parts):
        return found
    taken = ((torch.arange(latents) + 0.5) * hole.shape[2] / latents).long()  # frames whose masks that call takes
    own = torch.zeros_like(hole)
    own[:, :, taken] = to_grid(hole, (latents, hole.shape[3], hole.shape[4]))
    return replaced(found, _told(reading, size, captions, video, own, **options), ["prepare_masks"])


def replaced(condition: Condition, told: Condition, encoders: Sequence[str] = HOLES) -> Condition:
    """A condition that says of clips and holes what another says."""
    parts = hole_parts(told, encoders)
    away = condition.negative
    if away is not None and told.negative is not None:
        away = replaced(away, told.negative, encoders)
    return replace(condition, parts={**condition.parts, **parts}, negative=away)


def hole_parts(told: Condition, encoders: Sequence[str] = HOLES) -> dict[str, Tensor]:
    """What a condition says of clips and holes."""
    return {name: t for name, t in told.parts.items() if _of(name, encoders)}


def _told(reading: Reading, size: Size, captions: Sequence[str], video: Video, hole: Mask, **options: Any) -> Condition:
    frames = [pictures(clip.movedim(1, 0)) for clip in video]
    stencils = [_stencils(mask) for mask in hole[:, 0]]
    return reading.condition(captions, size, images=frames, masks=stencils, **options)


def _stencils(mask: Tensor) -> list[Image.Image]:
    return [Image.fromarray(frame) for frame in (mask.cpu() * 255).byte().numpy()]


def _of(name: str, encoders: Sequence[str]) -> bool:
    """Whether a part of a condition is an answer of some encoders."""
    return any(f".{encoder}" in name for encoder in encoders)
