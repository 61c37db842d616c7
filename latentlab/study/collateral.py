"""What an edit did to clips beside its target: background, steadiness, flicker, and the way back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from einops import rearrange

from latentlab.directions.edit import Moves, edit
from latentlab.directions.usable import mean_known
from latentlab.factors import FactorTable
from latentlab.metrics.flow import FlowEstimator, dis
from latentlab.metrics.perceptual import background_preservation, psnr
from latentlab.metrics.temporal import flicker
from latentlab.shapes import Video
from latentlab.study.account import SEEN
from latentlab.study.contract import judge_rest
from latentlab.study.scoreboard import APPEARANCE
from latentlab.study.sweep import Ground, Move


@dataclass(frozen=True)
class Collateral:
    """Means over clips, all against the decoded clips without an edit.

    Attributes:
        background: PSNR outside the object, decibels; means nothing for a direction that is to change the background.
        flicker_added: 8-bit levels.
        drift_added: how much more the appearance varies along a clip, standard deviations of each factor over frames.
        by_frame: how far the appearance of a frame moves, mean over frames and factors, standard deviations; a
            direction of motion should leave it at 0.
        kept: share of clips whose target moved and in which all else is within its tolerance, by
            `latentlab.study.contract`.
        cycle: PSNR of the clip after the edit, encoded again and edited back, decibels; NaN without a way back.
    """

    background: float
    flicker_added: float
    drift_added: float
    by_frame: float
    kept: float
    cycle: float


def collateral(
    ground: Ground,
    direction: Moves,
    strength: float,
    *,
    move: Move | None = None,
    flow: FlowEstimator = dis,
) -> Collateral:
    """Edits all codes by one strength and looks at the clips.

    Args:
        ground: see `Ground`; it decodes to clips, reads those of a single frame as well, and knows where the object is.
        direction, strength: the edit.
        move: where it is not `edit`, see `score_directions`.
        flow: of `flicker`.

    Raises:
        ValueError: the ground has no mask.
    """
    if ground.mask is None:
        raise ValueError("what happens outside the object needs to know where it is: Ground(..., mask=)")
    move = move or edit
    before = ground.unmoved.cpu()
    edited = ground.decode(move(ground.codes, direction, strength))
    after = edited.cpu()
    object_ = (torch.maximum(ground.mask(before), ground.mask(after)) > 0.01)[:, 0]
    cycle = float("nan")
    if ground.around is not None:
        there = ground.around(edited)
        back = there.decode(move(there.codes, direction, -strength)).cpu()
        cycle = float(psnr(back, before).median())
    frames = [_by_frame(ground, video) for video in (before, after)]
    drift = [_drift(ground, table, len(before)) for table in frames]
    looks = [ground.ruler.names.index(name) for name in APPEARANCE if name in ground.ruler.names]
    return Collateral(
        background=float(background_preservation(after, before, object_).median()),
        flicker_added=float((flicker(after, flow=flow).overall - flicker(before, flow=flow).overall).mean()),
        drift_added=float(np.nanmean(drift[1][looks]) - np.nanmean(drift[0][looks])),
        by_frame=float(np.nanmean(mean_known(ground.ruler.distances(*frames))[looks])),
        kept=_kept(ground, direction.name, before, after),
        cycle=cycle,
    )


def _kept(ground: Ground, target: str, before: Video, after: Video) -> float:
    """Share of clips; see `Collateral`."""
    moved = ground.ruler.along(target, ground.read(before), ground.read(after)) >= SEEN
    factor = ground.ruler.names[ground.ruler.target(target)[0]]
    return float((moved & judge_rest(before, after, [factor]).kept).mean())


def _by_frame(ground: Ground, video: Video) -> FactorTable:
    """The factors of every frame, as of a clip of its own; clip after clip."""
    return ground.read(rearrange(video, "b c f h w -> (b f) c 1 h w").contiguous())


def _drift(ground: Ground, table: FactorTable, clips: int) -> np.ndarray:
    """How far frames are from the first of their clip, root mean square over clips and frames, for each factor."""
    frames = len(table) // clips
    first = table[np.repeat(np.arange(clips) * frames, frames)]
    return np.sqrt(mean_known(ground.ruler.distances(first, table) ** 2))
