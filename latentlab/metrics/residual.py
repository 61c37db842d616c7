"""The motion-compensated three-frame residual of one clip, and what it is made of."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from latentlab.metrics.cuts import shot_cuts, shots
from latentlab.metrics.flow import Field, follow
from latentlab.metrics.spectral import fast_power

MAD_TO_SD = 1 / 0.6745  # of a normal distribution
KEPT = 2**14  # values of a frame, at least, if it has them, that medians are taken of
COMPONENTS = ("overall", "whole", "regional", "texture", "motion_jitter")

Frames = Float[Tensor, "frame channel height width"]
Picture = Float[Tensor, "channel height width"]


def measured(level: Frames, forth: Field, back: Field, cuts: tuple[int, ...] | None) -> dict:
    """Everything about one clip. Frame by frame, so that what is worked on stays in the processor's cache."""
    pairs = range(len(level) - 1)
    after = [follow(level[t + 1, None], forth[t, None], back[t, None]) for t in pairs]
    if cuts is None:
        cuts = shot_cuts(level, changes(level, [x[0] for x, _ in after]))

    series = {name: level.new_full((len(level) - 2,), torch.nan) for name in COMPONENTS}
    squares = {name: torch.zeros_like(level[0, 0]) for name in ("overall", "regional", "texture")}
    times_seen = torch.zeros_like(level[0, 0])
    inner = [t for t in pairs[1:] if t not in cuts and t + 1 not in cuts]
    for t in inner:
        last, seen_last = follow(level[t - 1, None], back[t - 1, None], forth[t - 1, None])
        following, seen_following = after[t]
        seen = (seen_last & seen_following)[0]
        where = seen.flatten().nonzero()[:, 0]
        if not len(where):
            continue
        times_seen += seen
        residual = (level[t] - 0.5 * (last[0] + following[0])) / math.sqrt(1.5)
        numbers, powers = _split(residual, seen, where)
        numbers["motion_jitter"] = _stutter(forth[t], back[t - 1], where)
        for name, number in numbers.items():
            series[name][t - 1] = number
        for name, power in powers.items():
            squares[name] += power
    change = changes(level, level[1:])
    return {
        **{name: numbers.square().nanmean().sqrt() for name, numbers in series.items()},
        "spectral": _spectral(level, cuts),
        "difference": change[[t for t in pairs if t + 1 not in cuts]].mean(),
        "coverage": times_seen.mean() / max(1, len(inner)),
        "series": series,
        "maps": {name: (sums / times_seen).sqrt() for name, sums in squares.items()},  # 0 / 0 is the NaN promised
        "cuts": cuts,
    }


def _split(
    residual: Picture, seen: Bool[Tensor, "height width"], where: Int[Tensor, " pixel"]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The components of one frame's residual, as numbers and as squares over the picture."""
    values = residual.flatten(1).index_select(1, where)
    whole = _median(values)
    rest = residual - whole[:, None, None]
    low = _low_pass(rest, seen, sigma=max(seen.shape) / 24)
    parts = {"overall": residual, "regional": low, "texture": rest - low}
    powers = {name: part.square().mean(0) * seen for name, part in parts.items()}
    numbers = {name: (power.sum() / values.shape[1]).sqrt() for name, power in powers.items()}
    numbers["whole"] = whole.square().mean().sqrt()
    some = values[:, :: max(1, values.numel() // KEPT)] - whole[:, None]
    numbers["overall"] = torch.hypot(numbers["whole"], MAD_TO_SD * _median(some.abs().flatten()))
    return numbers, powers


def _stutter(
    forth: Float[Tensor, "2 height width"], back: Float[Tensor, "2 height width"], where: Int[Tensor, " pixel"]
) -> Tensor:
    """Acceleration over speed in one frame; at even speed the ways to both neighbours cancel."""
    some = where[:: max(1, len(where) // KEPT)]
    forth, back = (way.flatten(1).index_select(1, some) for way in (forth, back))
    acceleration = _median(torch.hypot(*(forth + back)))
    speed = 0.5 * _median(torch.hypot(*forth) + torch.hypot(*back))
    return acceleration / (speed + 0.5)  # below half a pixel a frame, flow is noise


def _median(x: Float[Tensor, "*row value"]) -> Float[Tensor, "*row"]:
    """As torch's, the lower of two in the middle; numpy's selection takes a tenth of the time of torch's."""
    if not x.is_cpu:
        return x.median(-1).values
    middle = (x.shape[-1] - 1) // 2
    return torch.as_tensor(np.partition(x.numpy(), middle)[..., middle])


def _low_pass(
    x: Float[Tensor, "channel height width"], seen: Tensor, sigma: float
) -> Float[Tensor, "channel height width"]:
    """Gaussian mean over the visible neighbourhood, computed on as coarse a grid as the Gaussian allows."""
    coarse = max(1, int(sigma / 2))
    size, full = [max(1, side // coarse) for side in x.shape[1:]], tuple(x.shape[1:])
    sigma = sigma / coarse
    radius = max(1, math.ceil(2.5 * sigma))
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1, device=x.device, dtype=x.dtype) / sigma) ** 2)
    stack = torch.cat([x * seen, seen[None].to(x.dtype)])[:, None]
    if coarse > 1:
        stack = F.interpolate(stack, size=size, mode="area")
    stack = F.conv2d(stack, kernel.view(1, 1, 1, -1), padding=(0, radius))
    stack = F.conv2d(stack, kernel.view(1, 1, -1, 1), padding=(radius, 0))[:, 0]
    low = stack[:-1] / stack[-1:].clamp(min=1e-6)
    return low if coarse == 1 else F.interpolate(low[None], size=full, mode="bilinear", align_corners=False)[0]


def changes(level: Frames, following: Sequence[Picture] | Frames) -> Float[Tensor, " pair"]:
    """Mean absolute difference of each frame from what follows it."""
    return torch.stack([F.l1_loss(b, a) for a, b in zip(level[:-1], following, strict=True)])


def _spectral(level: Frames, cuts: tuple[int, ...]) -> Float[Tensor, ""]:
    long = [level[shot] for shot in shots(cuts, len(level)) if shot.stop - shot.start > 2]
    power = sum((len(shot) * fast_power(shot) for shot in long), level.new_zeros(()))
    return (power / sum(map(len, long)) if long else power * torch.nan).sqrt()
