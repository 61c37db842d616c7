"""Bring a clip of any length and size to what a model takes.

In space (`fit`), antialiased bicubic whatever the rule: "crop" scales until the short side fits and cuts the centre,
"pad" scales until the long side fits and adds black bars, "stretch" ignores the proportions. In time: a longer clip
gives frames evenly spaced, a shorter one holds its last frame.
"""

from collections.abc import Sequence

import numpy as np
from torch import Tensor
from torch.nn.functional import interpolate, pad

from latentlab.checks import Count, clear_errors
from latentlab.video.clip import Clip

FITS = ("crop", "pad", "stretch")


def fit_space(frames: Tensor, size: tuple[int, int], fit: str) -> Tensor:
    """Bring `(n, 3, height, width)` to `size` by the rule of the module docstring."""
    (height, width), (goal_h, goal_w) = frames.shape[-2:], size
    scale_h, scale_w = goal_h / height, goal_w / width
    if fit == "crop":
        scale_h = scale_w = max(scale_h, scale_w)
    elif fit == "pad":
        scale_h = scale_w = min(scale_h, scale_w)
    scaled = (max(1, round(height * scale_h)), max(1, round(width * scale_w)))
    if scaled != (height, width):
        frames = interpolate(frames, scaled, mode="bicubic", antialias=True).clamp(-1, 1)
    top, left = (scaled[0] - goal_h) // 2, (scaled[1] - goal_w) // 2
    if fit == "pad":
        return pad(frames, (-left, goal_w - scaled[1] + left, -top, goal_h - scaled[0] + top), value=-1.0)
    return frames[..., top : top + goal_h, left : left + goal_w]


def space_note(found: tuple[int, int], size: tuple[int, int], fit: str) -> str:
    """What `fit_space` does to frames of the size found, sizes as width x height."""
    height, width = found
    if (height, width) == size:
        return ""
    if height * size[1] == width * size[0]:
        how = ""
    else:
        how = {"crop": " with a centre crop", "pad": " with black bars", "stretch": ", proportions changed"}[fit]
    return f"scaled {width} x {height} to {size[1]} x {size[0]}{how}"


def fit_time(total: int, num_frames: Count, times: Sequence[int] | None = None) -> tuple[list[int], str]:
    """Choose `num_frames` of `total`: evenly spaced if there are more, the last one held if there are fewer.

    With `times`, at which the frames begin to be shown, evenly spaced in time: the frames that are seen then.
    """
    if num_frames < 1:
        raise ValueError(f"`num_frames` must be at least 1, got {num_frames}")
    taken = min(total, num_frames)
    if times is None:
        chosen = np.linspace(0, total - 1, taken).round().astype(int).tolist()
        note = f"took {taken} of {total} frames evenly" if taken < total else ""
    else:
        moments = np.linspace(times[0], times[-1], taken)
        chosen = (np.searchsorted(times, moments, side="right") - 1).tolist()
        note = f"took {taken} of {total} frames evenly in time, as their own times are uneven"
    if total < num_frames:
        held = f"held the {'one frame' if total == 1 else f'last of {total} frames'} to reach {num_frames}"
        return chosen + chosen[-1:] * (num_frames - total), sentence(note, held)
    return chosen, note


def check_fit(size: tuple[int, int] | None, fit: str) -> None:
    if fit not in FITS:
        raise ValueError(f"`fit` must be one of {', '.join(FITS)}, got {fit!r}")
    if size is not None and (len(size) != 2 or min(size) < 1):
        raise ValueError(f"`size` must be (height, width) in pixels, each at least 1, got {size!r}")


def sentence(*parts: str) -> str:
    return " and ".join(part for part in parts if part)


@clear_errors
def fit_clip(clip: Clip, num_frames: Count, size: tuple[int, int], fit: str = "crop") -> Clip:
    """Bring a clip to a model's length and size, and say in its note what was done.

    A longer clip gives `num_frames` frames evenly spaced, at a lower rate so that it lasts as long as before; a
    shorter one holds its last frame.

    Args:
        clip: any clip, or a batch of them.
        num_frames: frames wanted, at least 1.
        size: (height, width) wanted, in pixels.
        fit: "crop", "pad" or "stretch", see the module.

    Returns:
        The clip fitted; sizes in its note are width x height.

    Raises:
        ValueError: if `num_frames`, `size` or `fit` is out of range.

    Example:
        >>> import torch
        >>> fit_clip(Clip(torch.zeros(1, 3, 20, 72, 128), fps=8.0), 16, (64, 64)).note
        'took 16 of 20 frames evenly and scaled 128 x 72 to 64 x 64 with a centre crop'
    """
    check_fit(size, fit)
    total, height, width = clip.video.shape[2:]
    chosen, time_note = fit_time(total, num_frames)
    frames = clip.video[:, :, chosen].transpose(1, 2)
    fitted = fit_space(frames.flatten(0, 1), size, fit).unflatten(0, frames.shape[:2]).transpose(1, 2)
    now = sentence(time_note, space_note((height, width), size, fit))
    note = ", then ".join(part for part in (clip.note, now) if part)
    return Clip(fitted.contiguous(), clip.fps * min(1.0, num_frames / total), note)
