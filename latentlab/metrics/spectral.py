"""Fast change of a clip, by its spectrum over time: no flow is needed."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from latentlab.checks import clear_errors
from latentlab.metrics.flow import Frames, check_frames
from latentlab.shapes import Latents, Video

LEVELS = 127.5  # 8-bit levels in one unit of video


@clear_errors
def spectral(video: Video | Latents, *, blocks: int = 8) -> Float[Tensor, " batch"]:
    """Root mean square of what changes faster than half the Nyquist frequency, in 8-bit levels, without any flow.

    Means over a grid of blocks, their straight line over time taken out, under a Hann window (its power restored);
    independent jitter of whole blocks of standard deviation a reads a / sqrt(2), half its power being fast.

    Args:
        video: clips of three frames or more, each taken for one shot.
        blocks: in a row and in a column of the grid.

    Raises:
        ValueError: fewer than three frames, no blocks, NaN, or plainly another scale.

    >>> flashing = torch.tensor([0.0, 2 / 127.5]).repeat(8).view(1, 1, 16, 1, 1).expand(1, 3, 16, 8, 8)
    >>> round(spectral(flashing).item(), 1)
    1.0
    """
    check_frames(video)
    if blocks < 1:
        raise ValueError(f"`blocks` must be 1 or more, got {blocks}")
    return torch.stack([fast_power(LEVELS * clip.transpose(0, 1).float(), blocks) for clip in video]).sqrt()


def fast_power(level: Frames, blocks: int = 8) -> Float[Tensor, ""]:
    """Mean square of what `spectral` reads, of one shot."""
    frames, rows, columns = len(level), *(min(blocks, side) for side in level.shape[2:])
    blocked = F.adaptive_avg_pool2d(level, (rows, columns)).flatten(1)  # frame block
    time = torch.linspace(-1, 1, frames, device=level.device)[:, None]
    blocked = blocked - blocked.mean(0)
    blocked = blocked - time * (blocked * time).sum(0) / time.square().sum()
    window = torch.hann_window(frames + 1, periodic=True, device=level.device)[1:, None]
    spectrum = torch.fft.rfft(blocked * window / window.square().mean().sqrt(), dim=0).abs().square() / frames**2
    frequency = torch.fft.rfftfreq(frames, device=level.device)[:, None]
    twice = torch.where((frequency == 0) | (frequency == 0.5), 1.0, 2.0)  # the other half of the spectrum
    return (spectrum * twice * (frequency > 0.25)).sum(0).mean()
