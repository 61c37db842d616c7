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
from latentlab.scoreboard.direction_score import APPEARANCE
from latentlab.scoreboard.sweep import Move, Testbed
from latentlab.shapes import Video
from latentlab.study.account import SEEN
from latentlab.study.contract import judge_rest


@dataclass(frozen=True)
class SideEffects:
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


def measure_side_effects(
    testbed: Testbed,
    direction: Moves,
    strength: float,
    *,
    move: Move | None = None,
    flow: FlowEstimator = dis,
) -> SideEffects:
    """Edits all codes by one strength and looks at the clips.

    Args:
        testbed: decodes to clips, reads those of a single frame as well, and knows where the object is.
        direction, strength: the edit.
        move: where it is not `edit`, see `score_directions`.
        flow: of `flicker`.

    Raises:
        ValueError: the testbed has no mask.
    """
    if testbed.mask is None:
        raise ValueError("what happens outside the object needs to know where it is: Testbed(..., mask=)")
    move = move or edit
    before = testbed.unmoved.cpu()
    edited = testbed.decode(move(testbed.codes, direction, strength))
    after = edited.cpu()
    object_ = (torch.maximum(testbed.mask(before), testbed.mask(after)) > 0.01)[:, 0]
    cycle = float("nan")
    if testbed.around is not None:
        there = testbed.around(edited)
        back = there.decode(move(there.codes, direction, -strength)).cpu()
        cycle = float(psnr(back, before).median())
    frames = [_by_frame(testbed, video) for video in (before, after)]
    drift = [_drift(testbed, table, len(before)) for table in frames]
    looks = [testbed.factor_units.names.index(name) for name in APPEARANCE if name in testbed.factor_units.names]
    return SideEffects(
        background=float(background_preservation(after, before, object_).median()),
        flicker_added=float((flicker(after, flow=flow).overall - flicker(before, flow=flow).overall).mean()),
        drift_added=float(np.nanmean(drift[1][looks]) - np.nanmean(drift[0][looks])),
        by_frame=float(np.nanmean(mean_known(testbed.factor_units.distances(*frames))[looks])),
        kept=_kept(testbed, direction.name, before, after),
        cycle=cycle,
    )


def _kept(testbed: Testbed, target: str, before: Video, after: Video) -> float:
    """Share of clips; see `SideEffects`."""
    moved = testbed.factor_units.along(target, testbed.read(before), testbed.read(after)) >= SEEN
    factor = testbed.factor_units.names[testbed.factor_units.target(target)[0]]
    return float((moved & judge_rest(before, after, [factor]).kept).mean())


def _by_frame(testbed: Testbed, video: Video) -> FactorTable:
    """The factors of every frame, as of a clip of its own; clip after clip."""
    return testbed.read(rearrange(video, "b c f h w -> (b f) c 1 h w").contiguous())


def _drift(testbed: Testbed, table: FactorTable, clips: int) -> np.ndarray:
    """How far frames are from the first of their clip, root mean square over clips and frames, for each factor."""
    frames = len(table) // clips
    first = table[np.repeat(np.arange(clips) * frames, frames)]
    return np.sqrt(mean_known(testbed.factor_units.distances(first, table) ** 2))
