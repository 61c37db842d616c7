"""Where and when an edit acts: profiles over time, masks over space and time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from latentlab.checks import clear_errors
from latentlab.shapes import CLAMPED, OVERSHOOT, Mask, Video, check_video

Profile = str | Sequence[float] | Tensor
PROFILES = ("constant", "ramp", "pulse")


def profile_weights(profile: Profile, frames: int) -> Float[Tensor, " frame"]:
    """How much of an edit each frame gets.

    Args:
        profile: "constant" (1), "ramp" (0 to 1 over the clip), "pulse" (0 to 1 and back, a raised cosine), or one
            number a frame.
        frames: of the codes.

    Raises:
        ValueError: no such profile, not one finite number a frame, or a ramp or pulse over too few frames to be one.

    >>> profile_weights("ramp", 5)
    tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])
    """
    if isinstance(profile, str):
        if profile not in PROFILES:
            raise ValueError(f"no profile {profile!r}; there are {', '.join(PROFILES)}, or one number a frame")
        if profile == "constant":
            return torch.ones(frames)
        ramp = torch.linspace(0, 1, frames)
        weights = ramp if profile == "ramp" else (1 - torch.cos(2 * math.pi * ramp)) / 2
        if weights.max() < 1e-3:
            raise ValueError(f"a {profile} over {frames} frames of the codes would move none; give one number a frame")
        return weights
    weights = torch.as_tensor(profile, dtype=torch.float32)
    if weights.shape != (frames,) or not weights.isfinite().all():
        raise ValueError(f"a profile is one finite number for each of {frames} frames, got {weights.tolist()}")
    return weights


def fit_mask(mask: Mask, size: tuple[int, int, int]) -> Mask:
    """A mask at another size, each value the mean of what lies under it.

    Args:
        mask: any number of frames and pixels.
        size: frame, height and width wanted, such as those of latents.

    Raises:
        ValueError: other axes, or values outside [0, 1].

    >>> mask = torch.zeros(1, 1, 2, 4, 4)
    >>> mask[..., :2] = 1
    >>> fit_mask(mask, (1, 2, 2))[0, 0, 0]
    tensor([[1., 0.],
            [1., 0.]])
    """
    if not isinstance(mask, Tensor) or mask.ndim != 5 or mask.shape[1] != 1 or mask.is_complex() or not len(mask):
        if not isinstance(mask, Tensor):
            raise ValueError(f"a mask is a tensor (batch, 1, frame, height, width), got {type(mask).__name__}")
        raise ValueError(f"a mask has axes (batch, 1, frame, height, width), got shape {tuple(mask.shape)}")
    if not (mask.min() >= 0 and mask.max() <= 1):
        raise ValueError(f"a mask is in [0, 1], got values from {float(mask.min()):.3g} to {float(mask.max()):.3g}")
    return F.adaptive_avg_pool3d(mask.float(), size)


@clear_errors
def changed(before: Video, after: Video, *, threshold: float = 0.5, blur: int = 5) -> Mask:
    """Where two clips differ: the mask of an edit, from a first try of it without one (DiffEdit, Couairon et al. 2023).

    The absolute change, averaged over colours and over `blur` x `blur` pixels, is divided by its largest value in the
    clip and compared with the threshold.

    Args:
        before, after: the clip and a first edit of it, in [-1, 1].
        threshold: share of the largest change; 0 keeps everything that changed at all.
        blur: odd number of pixels.

    Returns:
        1 where the change is above the threshold, else 0; all zero where nothing changed.

    >>> before = torch.zeros(1, 3, 2, 8, 8)
    >>> after = before.clone()
    >>> after[..., :4] = 1.0
    >>> changed(before, after, blur=1)[0, 0, 0, 0]
    tensor([1., 1., 1., 1., 0., 0., 0., 0.])
    """
    check_video(OVERSHOOT, before=before, after=after)
    if not isinstance(blur, int) or blur < 1 or blur % 2 == 0:
        raise ValueError(f"blur must be an odd number of pixels, got {blur!r}")
    change = (after.detach().float() - before.detach().float()).abs().mean(1, keepdim=True)
    pad = blur // 2
    return above(F.avg_pool3d(change, (1, blur, blur), stride=1, padding=(0, pad, pad)), threshold=threshold)


@clear_errors
def blend(before: Video, after: Video, mask: Mask, *, feather: int | None = None) -> Video:
    """A clip that is `after` inside a mask and `before` outside: the local edit that a decoder does not make by itself.

    Args:
        before, after: the clip without and with the edit.
        mask: at any size, see `fit_mask`; 1 is `after`.
        feather: pixels on either side of an edge over which one fades into the other; None is a 32nd of the shorter
            side. Further out than that nothing changes.

    >>> mask = torch.tensor([1.0, 1, 1, 1, 0, 0, 0, 0]).view(1, 1, 1, 1, 8)
    >>> blend(torch.zeros(1, 3, 1, 1, 8), torch.ones(1, 3, 1, 1, 8), mask, feather=1)[0, 0, 0, 0].round(decimals=2)
    tensor([1.0000, 1.0000, 1.0000, 0.6700, 0.3300, 0.0000, 0.0000, 0.0000])
    """
    check_video(CLAMPED, before=before, after=after)
    feather = round(min(after.shape[-2:]) / 32) if feather is None else feather
    if feather < 0:
        raise ValueError(f"feather is a number of pixels from 0 on, got {feather}")
    weight = fit_mask(mask, (after.shape[2], after.shape[3], after.shape[4]))
    padded = F.pad(weight, (feather, feather, feather, feather, 0, 0), mode="replicate")
    weight = F.avg_pool3d(padded, (1, 2 * feather + 1, 2 * feather + 1), stride=1).to(after)
    return torch.where(weight > 0, before + weight * (after - before), before)


@clear_errors
def leak(before: Video, after: Video, mask: Mask) -> float:
    """How far a masked edit changed the clip outside its mask: mean absolute change there over that inside.

    0 is a local edit, 1 one that knows of no mask. NaN where the mask is all or nothing of the clip, or nothing changed
    inside.

    >>> mask = torch.tensor([1.0, 0.0]).view(1, 1, 1, 1, 2)
    >>> leak(torch.zeros(1, 3, 1, 1, 2), torch.tensor([2.0, 1.0]).expand(1, 3, 1, 1, 2), mask)
    0.5
    """
    check_video(CLAMPED, before=before, after=after)
    inside = fit_mask(mask, (after.shape[2], after.shape[3], after.shape[4])).to(after.device) > 0.5
    change = (after - before).detach().float().abs().mean(1, keepdim=True)
    inside = inside.expand_as(change)
    if inside.all() or not inside.any() or not change[inside].any():
        return float("nan")
    return float(change[~inside].mean() / change[inside].mean())


@clear_errors
def above(weights: Mask, *, threshold: float = 0.5) -> Mask:
    """A mask of any map of weights, such as attention to a word averaged over heads.

    Args:
        weights: at least 0, in any unit.
        threshold: share of the largest weight in the clip, 0 to 1.

    Returns:
        1 where the weight is above it, else 0; all zero where every weight is zero.

    >>> above(torch.tensor([0.1, 0.4, 0.8]).view(1, 1, 1, 1, 3)).flatten()
    tensor([0., 0., 1.])
    """
    if not 0 <= threshold < 1:
        raise ValueError(f"threshold is a share of the largest weight, 0 or more and below 1, got {threshold}")
    if weights.ndim != 5 or not weights.numel() or not (weights.isfinite().all() and weights.min() >= 0):
        raise ValueError(
            f"weights have axes (batch, 1, frame, height, width) and are finite and not negative, "
            f"got shape {tuple(weights.shape)}"
        )
    return (weights > threshold * weights.amax((1, 2, 3, 4), keepdim=True)).float()
