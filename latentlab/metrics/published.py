"""Temporal scores as others publish them, each with its own scaling, so that numbers can be put beside theirs.

Most of them count motion as flicker or reward a picture that stands still; `latentlab.metrics.flicker` does not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from latentlab.checks import clear_errors
from latentlab.metrics.flow import Field, FlowEstimator, Frames, dis, warp
from latentlab.metrics.perceptual import FrameFeatures, Scores, VideoDistance, per_frame
from latentlab.shapes import Video, check_video, in_a_line
from latentlab.video import Pictures

ROUNDING = 1e-4  # levels: float32 in [-1, 1] misses whole ones by a tenth of it

Interpolate = Callable[[Frames, Frames], Frames]


@clear_errors
def temporal_flickering(video: Video | Pictures) -> Scores:
    """VBench's temporal_flickering (Huang et al. 2024): 1 - mean absolute difference of adjacent 8-bit frames / 255.

    It asks for clips in which nothing moves: a pan of a clean photograph scores like strong flicker.

    Args:
        video: clips, or 8-bit pictures as a decoder gives them, which is many times faster.

    Returns:
        1 for a still clip. The leaderboard maps 0.6293 to 0.

    >>> temporal_flickering(torch.zeros(1, 3, 4, 8, 8))
    tensor([1.])
    """
    import cv2

    if isinstance(video, np.ndarray):
        if video.ndim != 5 or video.shape[-1] != 3 or video.dtype != np.uint8 or not video.size:
            found = f"{video.dtype} of shape {video.shape}"
            raise ValueError(f"pictures must be uint8 (batch, frame, height, width, 3), got {found}; clips are tensors")
        levels = [clip.reshape(len(clip), -1) for clip in np.ascontiguousarray(video)]
    else:
        check_video(video=video)
        _needs(2, video)
        frames = video.detach().float().cpu().transpose(1, 2).flatten(2).numpy()
        levels = [cv2.convertScaleAbs(clip, alpha=127.5, beta=127.5) for clip in frames]
    if len(levels[0]) < 2:
        raise ValueError(f"needs 2 frames or more, got {len(levels[0])}")
    sums = torch.tensor([cv2.norm(clip[1:], clip[:-1], cv2.NORM_L1) for clip in levels], dtype=torch.float64)
    return (1 - sums / levels[0][1:].size / 255).float()


@clear_errors
def warping_error(video: Video, *, source: Video | None = None, flow: FlowEstimator = dis) -> Scores:
    """E_warp of Lai et al. 2018, as in their code: mean of (warp(f_{t+1}) - f_t)^2 over visible values in [0, 1].

    Visible is what `lai_visible` says. Blurred clips score well, and a fade counts as an error.

    Args:
        video: the clips.
        source: clips whose motion is followed, as of the video before it was edited; None takes that of `video`.
        flow: published with FlowNet2.

    >>> round(warping_error(torch.zeros(1, 3, 4, 32, 32)).item(), 6)
    0.0
    """
    source = video if source is None else source
    check_video(video=video, source=source)
    _needs(2, video)
    return torch.stack([
        _warping_error(clip.transpose(0, 1).float(), guide.transpose(0, 1).float(), flow)
        for clip, guide in zip(video, source, strict=True)
    ])  # fmt: skip


def _warping_error(frames: Frames, guide: Frames, flow: FlowEstimator) -> Tensor:
    there, back = flow(guide[:-1], guide[1:]), flow(guide[1:], guide[:-1])
    seen = lai_visible(there, back)[:, None]
    gap = (warp(frames[1:], there, mode="bilinear") - frames[:-1]) / 2  # in [0, 1] they differ half as much
    squares = gap.square().mul(seen).sum((1, 2, 3))
    return (squares / (seen.sum((1, 2, 3)) * frames.shape[1]).clamp(min=1)).mean()


def lai_visible(there: Field, back: Field) -> Bool[Tensor, "frame height width"]:
    """Pixels that are neither occluded nor on a motion boundary (Ruder et al. 2016, eqs. 5 and 6).

    With u the flow and w the flow back, read where u points: |u + w|^2 <= 0.01 (|u|^2 + |w|^2) + 0.5 and
    |grad u_x|^2 + |grad u_y|^2 <= 0.01 |u|^2 + 0.002.
    """
    returned = warp(back, there, mode="bilinear")
    size = there.square().sum(1)
    closes = (there + returned).square().sum(1) <= 0.01 * (size + returned.square().sum(1)) + 0.5
    right = F.pad(there.diff(dim=3), (0, 1)).square().sum(1)
    down = F.pad(there.diff(dim=2), (0, 0, 0, 1)).square().sum(1)
    return closes & (right + down <= 0.01 * size + 0.002)


@clear_errors
def evalcrafter_warping_error(video: Video, *, flow: FlowEstimator = dis) -> Scores:
    """EvalCrafter's warping error (Liu et al. 2024): E_warp at half size, squares summed over the three colours.

    So it is three times `warping_error` of the half-sized clip. Published with RAFT.
    """
    check_video(video=video)
    batch, channels, _, height, width = video.shape
    if min(height, width) < 2:
        raise ValueError(f"frames of {height} x {width} cannot be halved")
    frames = video.float().transpose(1, 2).flatten(0, 1)
    half = F.interpolate(frames, scale_factor=0.5, mode="bilinear", align_corners=False)
    return 3 * warping_error(half.view(batch, -1, channels, height // 2, width // 2).transpose(1, 2), flow=flow)


@clear_errors
def tof(video: Video, reference: Video) -> Scores:
    """TecoGAN's tOF (Chu et al. 2020): mean distance, in pixels, of the flow of a clip from its reference's.

    Farneback flow of 8-bit grey frames; the first and last two frames are skipped, and at least 16 pixels are cut off
    each side length, down to a multiple of 32.

    Args:
        video, reference: clips of 6 frames of 48 x 48 pixels or more.
    """
    inner = _teco_inner(video, reference)
    flows = [torch.stack([_farneback(clip) for clip in clips]) for clips in inner]  # batch pair 2 height width
    return (_teco_crop(flows[0]) - _teco_crop(flows[1])).norm(dim=2).mean((1, 2, 3))


@clear_errors
def tlp(video: Video, reference: Video, distance: VideoDistance) -> Scores:
    """TecoGAN's tLP (Chu et al. 2020): 100 |d(y_{t-1}, y_t) - d(x_{t-1}, x_t)|, mean over the frames of `tof`.

    Args:
        video, reference: clips of 6 frames of 48 x 48 pixels or more.
        distance: published with `lpips`, net "alex".
    """
    changes = []
    for clips in _teco_inner(video, reference):
        frames = _teco_crop(clips)
        a, b = (x.transpose(1, 2).flatten(0, 1)[:, :, None] for x in (frames[:, :, :-1], frames[:, :, 1:]))
        changes.append(distance(a, b).view(len(clips), -1))
    return 100 * (changes[0] - changes[1]).abs().mean(1)


def _teco_inner(video: Video, reference: Video) -> tuple[Video, Video]:
    check_video(video=video, reference=reference)
    if video.shape[2] < 6 or min(video.shape[3:]) < 48:
        raise ValueError(f"needs 6 frames of 48 x 48 pixels or more, got {tuple(video.shape[2:])}")
    return video[:, :, 2:-2], reference[:, :, 2:-2]


def _teco_crop(x: Tensor) -> Tensor:
    height, width = ((side - 16) // 32 * 32 for side in x.shape[-2:])
    top, left = (x.shape[-2] - height) // 2, (x.shape[-1] - width) // 2
    return x[..., top : top + height, left : left + width]


def _farneback(clip: Float[Tensor, "3 frame height width"]) -> Float[Tensor, "pair 2 height width"]:
    import cv2

    pictures = clip.detach().float().mul(127.5).add(127.5).round().byte().permute(1, 2, 3, 0).cpu().numpy()
    grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in pictures]
    start = np.zeros((*grey[0].shape, 2), np.float32)
    fields = [cv2.calcOpticalFlowFarneback(a, b, start.copy(), 0.5, 3, 15, 3, 5, 1.2, 0) for a, b in pairwise(grey)]
    return torch.from_numpy(np.stack(fields)).permute(0, 3, 1, 2).to(clip.device)


@dataclass(frozen=True)
class FrameConsistency:
    """Cosines of the features of a clip's frames; both means are published under this name.

    Attributes:
        adjacent: mean over neighbours; `(batch,)`.
        all_pairs: mean over all pairs of different frames; `(batch,)`.
        low: 5th percentile over neighbours, which one bad frame lowers; `(batch,)`.
        curve: mean over pairs 1, 2, ... frames apart; `(batch, frame - 1)`.
    """

    adjacent: Scores
    all_pairs: Scores
    low: Scores
    curve: Float[Tensor, "batch frame-1"]

    __repr__ = in_a_line


@clear_errors
def frame_consistency(video: Video, features: FrameFeatures) -> FrameConsistency:
    """Frame consistency of the video editing literature, with the CLIP vision tower as `features`.

    A clip that stands still scores 1, and weak flicker does not show.

    Raises:
        ValueError: one frame only, or another range.
    """
    check_video(video=video)
    _needs(2, video)
    unit = F.normalize(per_frame(video, features), dim=2)
    cosines = unit @ unit.transpose(1, 2)
    apart = range(1, video.shape[2])
    curve = torch.stack([cosines.diagonal(k, dim1=1, dim2=2).mean(1) for k in apart], 1)
    pairs = torch.tensor([video.shape[2] - k for k in apart], device=curve.device, dtype=curve.dtype)
    neighbours = cosines.diagonal(1, dim1=1, dim2=2)
    return FrameConsistency(curve[:, 0], (curve * pairs).sum(1) / pairs.sum(), neighbours.quantile(0.05, dim=1), curve)


@clear_errors
def motion_smoothness(video: Video, interpolate: Interpolate) -> Scores:
    """VBench's motion_smoothness (Huang et al. 2024): every second frame is guessed from its neighbours.

    1 - mean absolute error of the guesses / 255 on 8-bit frames, guesses cut to whole levels downwards; a guess that
    misses a whole level by `ROUNDING` or less is on it.

    Args:
        video: clips of 3 frames or more.
        interpolate: the frame halfway between two; published with AMT-S.

    >>> motion_smoothness(torch.ones(1, 3, 5, 8, 8), lambda a, b: (a + b) / 2)
    tensor([1.])
    """
    check_video(video=video)
    _needs(3, video)
    scores = []
    for clip in video:
        frames = clip.transpose(0, 1).float()
        kept = frames[::2]
        guesses = (127.5 * (interpolate(kept[:-1], kept[1:]).double() + 1) + ROUNDING).floor().clamp(0, 255)
        truth = (127.5 * (frames[1::2][: len(guesses)] + 1)).round()
        scores.append(1 - (guesses - truth).abs().double().mean().float() / 255)
    return torch.stack(scores)


def _needs(frames: int, video: Video) -> None:
    if video.shape[2] < frames:
        raise ValueError(f"needs {frames} frames or more, got {video.shape[2]}")
