"""Flicker of clips, told apart from motion."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from latentlab.metrics.flow import Flow, dis, visible, warp
from latentlab.shapes import Video

LEVELS = 127.5  # 8-bit levels in one unit of video
MAD_TO_SD = 1 / 0.6745  # of a normal distribution
CUT_LEVELS = 20.0  # a pair of frames that differs by more after compensation, and more than others, is a shot cut
CUT_RATIO = 4.0


@dataclass(frozen=True)
class Flicker:
    """Equivalent jitter of clips, in 8-bit levels: independent jitter of standard deviation a reads a.

    Attributes:
        overall: robust, over all visible pixels; `(batch,)`.
        whole: of the frame at once (exposure, colour); `(batch,)`.
        regional: of regions, about a twelfth of the frame's side and larger; `(batch,)`.
        texture: of what is finer; it has a floor, one to two levels on moving photographs, as no flow is exact;
            `(batch,)`.
        motion_jitter: acceleration along the flow over the flow itself: stutter, doubled and swapped frames;
            `(batch,)`.
        difference: mean absolute difference of adjacent frames, which also counts motion; `(batch,)`.
        coverage: share of pixels seen in a frame and both its neighbours, the only ones that count; `(batch,)`.
        series: `overall` of each inner frame, NaN beside a shot cut; `(batch, frame - 2)`.
        cuts: frames at which a new shot begins, for each clip.
    """

    overall: Float[Tensor, " batch"]
    whole: Float[Tensor, " batch"]
    regional: Float[Tensor, " batch"]
    texture: Float[Tensor, " batch"]
    motion_jitter: Float[Tensor, " batch"]
    difference: Float[Tensor, " batch"]
    coverage: Float[Tensor, " batch"]
    series: Float[Tensor, "batch frame-2"]
    cuts: tuple[tuple[int, ...], ...]


def flicker(video: Video, *, flow: Flow = dis) -> Flicker:
    """Flicker of clips by the motion-compensated three-frame residual.

    `r_t = f_t - (W f_{t-1} + W f_{t+1}) / 2` with both neighbours warped onto frame t is blind to motion and to
    anything that changes linearly; divided by sqrt(1.5) its standard deviation is that of the jitter. It is split into
    the median of each colour over the frame (`whole`), a Gaussian low-pass of the rest with sigma side / 24
    (`regional`), and the remainder (`texture`). Pixels that are not seen in all three frames are left out.

    Args:
        video: clips of three frames or more.
        flow: `(frames, frames) -> pixels right and down`; `flow.still` for a static camera and scene.

    Returns:
        Jitter in 8-bit levels.

    Raises:
        ValueError: fewer than three frames.

    >>> import torch
    >>> flicker(torch.zeros(1, 3, 8, 16, 16)).overall
    tensor([0.])
    """
    if video.ndim != 5 or video.shape[2] < 3:
        raise ValueError(f"flicker needs (batch, channel, 3 or more frames, height, width), got {tuple(video.shape)}")
    clips = [_one(clip.transpose(0, 1).float(), flow) for clip in video]
    columns = {name: torch.stack([clip[name] for clip in clips]) for name in clips[0] if name != "cuts"}
    return Flicker(**columns, cuts=tuple(clip["cuts"] for clip in clips))


def _one(frames: Float[Tensor, "frame channel height width"], flow: Flow) -> dict:
    # Flow is asked of frames of one mean brightness, so that a change of exposure is not taken for motion.
    steady = (frames - frames.mean((1, 2, 3), keepdim=True) + frames.mean()).clamp(-1, 1)
    forth, back = flow(steady[:-1], steady[1:]), flow(steady[1:], steady[:-1])
    level = frames * LEVELS
    from_next, from_last = warp(level[1:], forth), warp(level[:-1], back)  # frame t + 1 on t, frame t - 1 on t
    seen_next, seen_last = visible(forth, back), visible(back, forth)
    cut = _cuts((from_next - level[:-1]).abs().mean((1, 2, 3)))

    # Inner frames t = 1 ... n - 2: pair t leads to the next frame, pair t - 1 from the last.
    residual = (level[1:-1] - 0.5 * (from_last[:-1] + from_next[1:])) / math.sqrt(1.5)
    seen = seen_next[1:] & seen_last[:-1]
    valid = ~(cut[1:] | cut[:-1])
    seen = seen & valid[:, None, None]
    acceleration = (forth[1:] + back[:-1]).norm(dim=1)  # at even speed the ways to both neighbours cancel
    speed = 0.5 * (forth[1:].norm(dim=1) + back[:-1].norm(dim=1))

    whole = _masked_median(residual, seen)  # frame channel
    rest = residual - whole[..., None, None]
    regional = _low_pass(rest, seen, sigma=max(frames.shape[2:]) / 24)
    inside = seen[:, None].expand_as(residual)
    every_colour = residual.abs().flatten(1, 2)[:, None]
    series = MAD_TO_SD * _masked_median(every_colour, seen.repeat(1, residual.shape[1], 1))[:, 0]
    return {
        "overall": MAD_TO_SD * _median(residual.abs()[inside]),
        "whole": _rms(whole[valid]),
        "regional": _rms(regional[inside]),
        "texture": _rms((rest - regional)[inside]),
        "motion_jitter": _median(acceleration[seen]) / (_median(speed[seen]) + 0.5),
        "difference": level.diff(dim=0).abs().mean(),
        "coverage": seen[valid].float().mean() if valid.any() else level.new_zeros(()),
        "series": series.where(valid, torch.nan),
        "cuts": tuple((cut.nonzero().flatten() + 1).tolist()),
    }


def _cuts(change: Float[Tensor, " pair"]) -> Tensor:
    """Pairs between which the picture changes far more than between the others, motion taken out."""
    return (change > CUT_LEVELS) & (change > CUT_RATIO * change.median())


def _low_pass(x: Tensor, seen: Tensor, sigma: float) -> Tensor:
    """Gaussian mean over the visible neighbourhood."""
    radius = max(1, math.ceil(2.5 * sigma))
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1, device=x.device, dtype=x.dtype) / sigma) ** 2)
    weight = seen[:, None].to(x.dtype)
    stack = torch.cat([x * weight, weight], 1).flatten(0, 1)[:, None]
    stack = F.conv2d(stack, kernel.view(1, 1, 1, -1), padding=(0, radius))
    stack = F.conv2d(stack, kernel.view(1, 1, -1, 1), padding=(radius, 0)).view(len(x), -1, *x.shape[2:])
    return stack[:, :-1] / stack[:, -1:].clamp(min=1e-6)


def _masked_median(x: Float[Tensor, "frame channel height width"], seen: Tensor) -> Float[Tensor, "frame channel"]:
    """Median over the visible pixels of each frame and channel; 0 where none is."""
    values = x.masked_fill(~seen[:, None], torch.nan).flatten(2)
    return values.nanmedian(dim=2).values.nan_to_num(0.0)


def _median(x: Tensor) -> Tensor:
    return x.median() if x.numel() else x.new_zeros(())


def _rms(x: Tensor) -> Tensor:
    return x.square().mean().sqrt() if x.numel() else x.new_zeros(())
