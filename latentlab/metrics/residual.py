"""The motion-compensated three-frame residual of one clip, and what it is made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from latentlab.metrics.cuts import shot_cuts, shots
from latentlab.metrics.flow import Field, Frames, follow
from latentlab.metrics.spectral import fast_power

MAD_TO_SD = 1 / 0.6745  # of a normal distribution
KEPT = 2**14  # values of a frame, at least, if it has them, that medians are taken of
BLOCKS = 12  # along the longer side of the frame
LEAST = 0.1  # share of the pixels of a clip that must be seen; chance follows some between unrelated frames
FLASH = 8.0  # levels by which a pixel that no flow follows must change to be a flash, above errors of the motion
ROUNDING = 12**-0.5  # 8-bit levels: what rounding to 8 bits alone reads where something moves
COMPONENTS = ("overall", "whole", "regional", "texture", "motion_jitter")

FrameTensor = Float[Tensor, "channel height width"]


def measured(
    level: Frames, forth: Field, back: Field, cuts: tuple[int, ...] | None, step: Callable[[], object] = lambda: None
) -> dict[str, Any]:
    """Everything about one clip; `step` is called after each pair of frames and each inner frame.

    Frame by frame, so that what is worked on stays in the processor's cache.
    """
    pairs = range(len(level) - 1)
    after = []
    for t in pairs:
        after.append(follow(level[t + 1, None], forth[t, None], back[t, None]))
        step()
    if cuts is None:
        cuts = shot_cuts(level, frame_changes(level, [x[0] for x, _ in after]))

    series = {name: level.new_full((len(level) - 2,), torch.nan) for name in COMPONENTS}
    squares = {name: torch.zeros_like(level[0, 0]) for name in ("overall", "regional", "texture")}
    times_seen = torch.zeros_like(level[0, 0])
    shares = level.new_zeros(len(level) - 2)
    inner = [t for t in pairs[1:] if t not in cuts and t + 1 not in cuts]
    for t in pairs[1:]:
        step()
        if t not in inner:
            continue
        last, seen_last = follow(level[t - 1, None], back[t - 1, None], forth[t - 1, None])
        following, seen_following = after[t]
        seen = (seen_last & seen_following)[0]
        middle = 0.5 * (last[0] + following[0])
        _flashed(level[t - 1 : t + 2], back[t - 1], forth[t], middle, seen)
        shares[t - 1] = seen.float().mean()
        if not seen.any():
            continue
        times_seen += seen
        residual = (level[t] - middle) / math.sqrt(1.5)
        numbers, powers = _split(residual, seen)
        numbers["motion_jitter"] = _stutter(level[t], forth[t], back[t - 1], seen)
        for name, number in numbers.items():
            series[name][t - 1] = number
        for name, power in powers.items():
            squares[name] += power
    change = frame_changes(level, level[1:])
    coverage = shares.sum() / max(1, len(inner))
    reason = _unmeasured(float(coverage), inner, cuts)
    return {
        **{name: math.nan * coverage if reason else x.square().nanmean().sqrt() for name, x in series.items()},
        "spectral": _spectral(level, cuts),
        "difference": change[[t for t in pairs if t + 1 not in cuts]].mean(),
        "coverage": coverage,
        "series": series,
        "maps": {name: (sums / times_seen).sqrt() for name, sums in squares.items()},  # 0 / 0 is the NaN promised
        "cuts": cuts,
        "reason": reason,
    }


def _flashed(three: Frames, back: Field, forth: Field, middle: FrameTensor, seen: Bool[Tensor, "height width"]) -> None:
    """Adds to what is seen the pixels that no flow follows but that come back, and to the middle their neighbours'.

    What blinks is lost to any flow, as what is covered is. Read along the median motion of the frame, though, the frame
    before a flash is like the one after: they differ by less than a quarter of what the frame between them does.
    """
    height, width = seen.shape
    rows, columns = (~seen).nonzero().unbind(1)
    if not len(rows) or not seen.any():
        return
    some = seen.flatten().nonzero()[:, 0]
    some = some[:: max(1, len(some) // KEPT)]
    read, inside = [], torch.ones_like(rows, dtype=torch.bool)
    for frame, way in ((three[0], back), (three[2], forth)):
        right, down = _median(way.flatten(1).index_select(1, some)).round().long()
        x, y = columns + right, rows + down
        inside &= (x >= 0) & (x < width) & (y >= 0) & (y < height)
        read.append(frame[:, y.clamp(0, height - 1), x.clamp(0, width - 1)])
    before, after = read
    between = 0.5 * (before + after)
    change = (three[1][:, rows, columns] - between).abs().mean(0)
    comes_back = inside & (change > FLASH) & ((before - after).abs().mean(0) < 0.25 * change)
    rows, columns = rows[comes_back], columns[comes_back]
    seen[rows, columns] = True
    middle[:, rows, columns] = between[:, comes_back]


def _unmeasured(coverage: float, inner: list[int], cuts: tuple[int, ...]) -> str:
    """Why a clip has no number, if so."""
    if not inner:
        return f"no three frames belong to one shot: it has {len(cuts)} cuts"
    if coverage < LEAST:
        return (
            f"{100 * coverage:.1f} % of the picture can be followed from frame to frame, {100 * LEAST:.0f} % are needed"
        )
    return ""


def _split(residual: FrameTensor, seen: Bool[Tensor, "height width"]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The components of one frame's residual, as numbers and as squares over the picture."""
    values = residual.flatten(1).index_select(1, seen.flatten().nonzero()[:, 0])
    whole = _median(values)
    rest = residual - whole[:, None, None]
    low = _low_pass(rest, seen, sigma=max(seen.shape) / 24)
    parts = {"overall": residual, "regional": low, "texture": rest - low, "coarse": whole[:, None, None] + low}
    powers = {name: part.square().mean(0) * seen for name, part in parts.items()}
    numbers = {name: (power.sum() / values.shape[1]).sqrt() for name, power in powers.items()}
    numbers["whole"] = whole.square().mean().sqrt()
    coarse = torch.stack([numbers.pop("coarse"), numbers["whole"], numbers["regional"]]).max()
    numbers["overall"] = torch.hypot(
        coarse, MAD_TO_SD * _root_mean_square(*_block_medians(parts["texture"].abs(), seen))
    )
    del powers["coarse"]
    return numbers, powers


def _stutter(
    picture: FrameTensor,
    forth: Float[Tensor, "2 height width"],
    back: Float[Tensor, "2 height width"],
    seen: Bool[Tensor, "height width"],
) -> Tensor:
    """Acceleration over speed in one frame; at even speed the ways to both neighbours cancel.

    A block counts by its contrast: where the picture is flat no motion is seen, and the flow is noise.
    """
    acceleration, count = _block_medians(torch.hypot(*(forth + back))[None], seen)
    speed, _ = _block_medians(0.5 * (torch.hypot(*forth) + torch.hypot(*back))[None], seen)
    weight = count * _block_contrast(picture, seen)
    ratio = _root_mean_square(acceleration, weight) / (_root_mean_square(speed, weight) + 0.5)
    return ratio  # below half a pixel a frame, flow is noise


def _block_medians(
    x: FrameTensor, seen: Bool[Tensor, "height width"]
) -> tuple[Float[Tensor, " block"], Float[Tensor, " block"]]:
    """Median of what is seen in each block of a grid over the frame, and its number of pixels.

    Blocks are a twelfth of the longer side, at least 8 pixels; of large frames every few pixels are taken.
    """
    blocks = _blocks(x, seen, torch.inf)
    count = blocks.isfinite().sum(1)
    medians = blocks.sort(1).values.gather(1, ((count - 1) // 2).clamp(min=0)[:, None])[:, 0]
    return medians.where(count > 0, 0), count.to(x)


def _block_contrast(picture: FrameTensor, seen: Bool[Tensor, "height width"]) -> Float[Tensor, " block"]:
    """Mean square of the gradient in each block, and one squared level."""
    grey = picture.mean(0)
    slope = F.pad(grey.diff(dim=0), (0, 0, 0, 1)).square() + F.pad(grey.diff(dim=1), (0, 1)).square()
    return 1 + _blocks(slope[None], torch.ones_like(seen), 0).mean(1)


def _blocks(x: FrameTensor, seen: Bool[Tensor, "height width"], unseen: float) -> Float[Tensor, "block value"]:
    stride = max(1, int((x.numel() / KEPT) ** 0.5))
    x, seen = x[:, ::stride, ::stride], seen[::stride, ::stride]
    side = max(8, -(-max(seen.shape) // BLOCKS))
    x = F.pad(x.where(seen, unseen), (0, -seen.shape[1] % side, 0, -seen.shape[0] % side), value=unseen)
    return rearrange(x, "c (r h) (k w) -> (r k) (c h w)", h=side, w=side)


def _root_mean_square(x: Float[Tensor, " block"], weight: Float[Tensor, " block"]) -> Float[Tensor, ""]:
    return ((weight * x.square()).sum() / weight.sum()).sqrt()


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


def frame_changes(level: Frames, following: Sequence[FrameTensor] | Frames) -> Float[Tensor, " pair"]:
    """Mean absolute difference of each frame from what follows it."""
    return torch.stack([F.l1_loss(b, a) for a, b in zip(level[:-1], following, strict=True)])


def _spectral(level: Frames, cuts: tuple[int, ...]) -> Float[Tensor, ""]:
    long = [level[shot] for shot in shots(cuts, len(level)) if shot.stop - shot.start > 2]
    power = sum((len(shot) * fast_power(shot) for shot in long), level.new_zeros(()))
    return (power / sum(map(len, long)) if long else power * torch.nan).sqrt()
