"""Edits of codes, one after another, drawn as a clip; masked ones change the clip inside their masks alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from latentlab.checks import clear_errors
from latentlab.directions import Direction, Normal, edit
from latentlab.directions.mask import Mask, blend, fit_mask, leak
from latentlab.shapes import Codes, Video, in_a_line
from latentlab.spaces.around import Around


@clear_errors
@dataclass(frozen=True, eq=False)
class Step:
    """One edit.

    Args:
        direction: along which.
        strength: in standard deviations of the codes.
        profile: over time, see `profile_weights`.
        mask: where and when, see `edit`; None is everywhere.
        preserve: what reads the factors that are kept, see `edit`.
    """

    direction: Direction
    strength: float
    profile: str | tuple[float, ...] = "constant"
    mask: Mask | None = None
    preserve: tuple[Normal, ...] = ()

    __repr__ = in_a_line

    def __str__(self) -> str:
        profile = (
            {"constant": ""}.get(self.profile, f", {self.profile}") if isinstance(self.profile, str) else ", by frame"
        )
        masked = "" if self.mask is None else ", masked"
        keeping = f", keeping {', '.join(kept.name for kept in self.preserve)}" if self.preserve else ""
        return f"{self.direction.name} {self.strength:+g} sd{profile}{masked}{keeping}"


@dataclass(frozen=True, eq=False)
class Drawn:
    """Codes after some edits, as a clip.

    Attributes:
        video: the clip.
        unedited: the clip without the masked edits, which is what `video` is outside of all masks; None without masks.
        leak: how far the model by itself changed the clip outside the masks, as a share of the change inside, before
            it was blended; NaN without masks.
    """

    video: Video
    unedited: Video | None = None
    leak: float = float("nan")

    __repr__ = in_a_line


@clear_errors
def draw(steps: Sequence[Step], here: Around) -> Drawn:
    """Moves the codes of clips by each step and decodes them.

    A decoder that looks at whole frames, as all with group norms do, carries a change of some codes everywhere. So the
    clip is blended in pixels: outside of all masks it is the one without the masked steps.

    Args:
        steps: the edits, which add up.
        here: the clips, in a space.

    >>> push = Direction("push", torch.ones(12) / 12**0.5, 1.0)
    >>> step = Step(push, 1.0, mask=torch.tensor([1.0, 0.0]).view(1, 1, 1, 1, 2))
    >>> here = Around(torch.zeros(1, 12), lambda codes: (codes + codes.mean()).view(1, 3, 1, 1, 4), (3, 1, 1, 4))
    >>> drawn = draw([step], here)
    >>> (drawn.video - here.unedited)[0, 0, 0, 0].tolist()[3], round(drawn.leak, 2)
    (0.0, 0.33)
    """
    masks = [step.mask for step in steps if step.mask is not None]
    video = here.decode(_moved(here, steps))
    if not masks:
        return Drawn(video)
    free = [step for step in steps if step.mask is None]
    before = (here.decode(_moved(here, free)) if free else here.unedited).to(video)
    size = (video.shape[2], video.shape[3], video.shape[4])
    mask = fit_mask(torch.as_tensor(masks[0]).cpu(), size)
    for other in masks[1:]:
        mask = torch.maximum(mask, fit_mask(torch.as_tensor(other).cpu(), size))
    return Drawn(blend(before, video, mask), before, leak(before, video, mask))


def _moved(here: Around, steps: Sequence[Step]) -> Codes:
    codes = here.codes
    for step in steps:
        where = {"profile": step.profile, "mask": step.mask, "preserve": step.preserve, "shape": here.shape}
        codes = edit(codes, step.direction, step.strength, **where)
    return codes
