"""Flicker of clips, told apart from motion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from tqdm.auto import tqdm

from latentlab.checks import Positive, clear_errors
from latentlab.metrics.cuts import shot_cuts
from latentlab.metrics.flow import (
    Field,
    FlowEstimator,
    Ways,
    check_frames,
    check_ways,
    dis,
    fields,
    follow,
    pair_by_pair,
    shrunk,
)
from latentlab.metrics.residual import COMPONENTS, frame_changes, measured
from latentlab.metrics.spectral import LEVELS
from latentlab.shapes import OVERSHOOT, Latents, Video, check_video, in_a_line

BESIDE = ("spectral", "difference", "coverage")

Jitter = Float[Tensor, " batch"]


@dataclass(frozen=True)
class Flicker:
    """Equivalent jitter a frame: independent jitter of standard deviation a reads a.

    In 8-bit levels; that of `latent_flicker` in hundredths of a standard deviation of the latents. A number over time
    is the root mean square of its series. NaN says that too little of the clip was seen; `reason` says why.

    Clips of 8 bits have a floor: `residual.ROUNDING`, 0.29 levels, is what rounding alone reads where something moves.

    Attributes:
        overall: root mean square over the frame of its coarse jitter c, never under `whole` and `regional`, and of the
            median m of the fine jitter in each block of a twelfth of the frame's side, which errors of the flow along
            edges do not move: `hypot(max(rms(c), whole, regional), rms(m))`. Jitter of a levels on a share p of the
            frame reads about a sqrt(p), so no part can hide from it, and faint noise everywhere reads no more than it
            is; `(batch,)`.
        whole: of the frame at once (exposure, colour); `(batch,)`.
        regional: of regions, about a twelfth of the frame's side and larger; `(batch,)`.
        texture: of what is finer; it has a floor, one to two levels on moving photographs, as no flow is exact;
            `(batch,)`.
        spectral: see `spectral`, shot by shot; `(batch,)`.
        motion_jitter: acceleration along the flow over the flow itself, root mean squares over blocks weighted by
            their contrast: stutter, doubled and swapped frames, also of a part that moves before a still ground;
            `(batch,)`.
        difference: mean absolute difference of adjacent frames of a shot, which also counts motion; `(batch,)`.
        coverage: share of pixels seen in a frame and both its neighbours, the only ones that count; under
            `residual.LEAST`, a tenth, there is no number; `(batch,)`.
        series: `COMPONENTS` over the inner frames, NaN beside a shot cut; `(batch, frame - 2)` each.
        maps: overall (here a root mean square), regional and texture over the picture, NaN where no frame shows a
            pixel; `(batch, height, width)` each.
        cuts: frames at which a new shot begins, for each clip.
        reason: why a clip has no number, for each clip; empty where it has.
    """

    overall: Jitter
    whole: Jitter
    regional: Jitter
    texture: Jitter
    spectral: Jitter
    motion_jitter: Jitter
    difference: Jitter
    coverage: Jitter
    series: dict[str, Float[Tensor, "batch frame-2"]]
    maps: dict[str, Float[Tensor, "batch height width"]]
    cuts: tuple[tuple[int, ...], ...]
    reason: tuple[str, ...]

    __repr__ = in_a_line

    def summary(self, clip: int = 0) -> str:
        """A clip's `overall` in words, or why there is none.

        >>> flicker(torch.zeros(1, 3, 8, 16, 16)).summary()
        'flicker 0.00'
        """
        reason = self.reason[clip]
        return f"flicker not measured: {reason}" if reason else f"flicker {float(self.overall[clip]):.2f}"

    def per_second(self, fps: Positive) -> dict[str, Jitter]:
        """Each jitter times frames a second: jitter of one size is worse to look at when it is faster."""
        if not fps > 0:
            raise ValueError(f"frames a second must be above 0, got {fps}")
        return {name: getattr(self, name) * fps for name in (*COMPONENTS, "spectral", "difference")}


@torch.no_grad()
@clear_errors
def flicker(
    video: Video,
    *,
    flow: FlowEstimator | Ways = dis,
    cuts: Sequence[Sequence[int]] | None = None,
    progress: bool | str = False,
) -> Flicker:
    """Flicker of clips by the motion-compensated three-frame residual.

    `r_t = f_t - (W f_{t-1} + W f_{t+1}) / 2` with both neighbours warped onto frame t is blind to motion and to
    anything that changes linearly; divided by sqrt(1.5) its standard deviation is that of the jitter. It is split into
    the median of each colour over the frame (`whole`), a Gaussian low-pass of the rest with sigma side / 24
    (`regional`), and the remainder (`texture`). Pixels that are not seen in all three frames are left out.

    Args:
        video: clips of three frames or more.
        flow: `(frames, frames) -> pixels right and down`; `flow.still` for a static camera and scene. Or the flow
            itself, a pair: from each frame to the next, and back, `(batch, frame - 1, 2, height, width)` each.
        cuts: frames at which a new shot begins, for each clip, `[()]` for none in one clip; by default they are
            looked for, see `cuts.shot_cuts`.
        progress: show a bar; a string names it.

    Returns:
        Jitter in 8-bit levels.

    Raises:
        ValueError: fewer than three frames, another range, flow or cuts that do not fit the clips.

    >>> import torch
    >>> flicker(torch.zeros(1, 3, 8, 16, 16)).overall
    tensor([0.])
    """
    check_video(OVERSHOOT, video=video)
    check_frames(video)
    clips, pairs = [], video.shape[2] - 1
    name, steps = progress if isinstance(progress, str) else "flicker", (4 if callable(flow) else 2) * pairs - 1
    with tqdm(total=steps * len(video), desc=name, disable=not progress or None) as bar:
        seeking = pair_by_pair(flow, bar.update) if callable(flow) and progress else flow
        for i in range(len(video)):
            frames = video[i].transpose(0, 1).float()
            forth, back = _ways_of(i, video, seeking)
            clips.append(measured(frames * LEVELS, forth, back, _cuts_of(i, video, cuts), bar.update))
    return _stacked(clips)


@torch.no_grad()
@clear_errors
def latent_flicker(
    latents: Latents,
    decoded: Video,
    *,
    flow: FlowEstimator | Ways = dis,
    scale: Float[Tensor, " batch"] | None = None,
    cuts: Sequence[Sequence[int]] | None = None,
) -> Flicker:
    """Flicker of latents along the flow of the clips they decode to, in hundredths of the latents' standard deviation.

    Beside `flicker(decoded)` it shows whether the denoiser's latents flicker or the decoder makes it of steady ones.

    Args:
        latents: one frame of latents for each frame of video.
        decoded: the clips.
        flow: of the clips, as in `flicker`; its mean over the pixels of a latent, in latents' sides, moves the latents.
        scale: standard deviation that a clip's jitter is a share of; by default that of its latents.
        cuts: as in `flicker`; by default those of the clips.

    Raises:
        ValueError: the numbers of clips or frames differ, no scale for each clip, or what `flicker` raises.

    >>> latent_flicker(torch.zeros(1, 4, 8, 2, 2), torch.zeros(1, 3, 8, 16, 16)).overall
    tensor([0.])
    """
    check_video(OVERSHOOT, decoded=decoded)
    check_frames(latents)
    if (len(latents), latents.shape[2]) != (len(decoded), decoded.shape[2]):
        raise ValueError(
            f"latents {tuple(latents.shape)} and clips {tuple(decoded.shape)}: numbers of clips or frames differ; "
            "an autoencoder that compresses time has no frame of latents for each frame"
        )
    scale = latents.float().flatten(1).std(1) if scale is None else scale
    if tuple(scale.shape) != (len(latents),) or not bool((scale >= 0).all()):
        raise ValueError(f"`scale` must be a deviation for each of {len(latents)} clips, got {scale.tolist()}")
    steady = latents.float() - latents.float().flatten(1).mean(1).view(-1, 1, 1, 1, 1)  # rounding of a constant is none
    clips = []
    for i, unit in enumerate(100 / scale.clamp(min=1e-6 * latents.abs().max().float()).clamp(min=1e-12)):
        forth, back = _ways_of(i, decoded, flow)
        given = _cuts_of(i, decoded, cuts)
        if given is None:
            frames = LEVELS * decoded[i].transpose(0, 1).float()
            given = shot_cuts(frames, frame_changes(frames, follow(frames[1:], forth, back)[0]))
        size = (latents.shape[3], latents.shape[4])
        z = steady[i].transpose(0, 1) * unit
        clips.append(measured(z, shrunk(forth, size), shrunk(back, size), given))
    return _stacked(clips)


@clear_errors
def flicker_loss(video: Video | Latents, ways: Ways) -> Float[Tensor, ""]:
    """Mean square of the three-frame residual on visible pixels: differentiable, for training and for guidance.

    Args:
        video: clips or latents of three frames or more.
        ways: flow from each frame to the next, and back, in pixels of `video`, such as the `fields` of a steady clip
            that moves alike; no gradient goes into it.

    Returns:
        In squared units of `video`; 0 for still or evenly moving pictures.

    Raises:
        ValueError: fewer than three frames, or flow that does not fit the clips.

    As an energy it steers a sampler, here one whose every run ends in its own noise, to a steady clip:

    >>> from latentlab.metrics.flow import still
    >>> from latentlab.generator.solver import solve
    >>> from latentlab.generator.guides import steered
    >>> noise = torch.randn(1, 3, 8, 4, 4, generator=torch.Generator().manual_seed(0))
    >>> ways = fields(torch.zeros(1, 3, 8, 4, 4), still)
    >>> calmer = steered(lambda y, s: 0 * y, lambda x: flicker_loss(x, ways), weight=100.0)
    >>> bool(flicker_loss(solve(calmer, noise, torch.linspace(1, 0, 11)), ways) < 0.1 * flicker_loss(noise, ways))
    True
    """
    check_frames(video)
    check_ways(ways, video)
    losses = []
    for clip, there, here in zip(video.transpose(1, 2), *(way.detach().to(video) for way in ways), strict=True):
        (from_next, seen_next), (from_last, seen_last) = follow(clip[1:], there, here), follow(clip[:-1], here, there)
        seen = (seen_next[1:] & seen_last[:-1])[:, None]
        residual = clip[1:-1] - 0.5 * (from_last[:-1] + from_next[1:])
        losses.append((residual.square() * seen).sum() / (seen.sum() * clip.shape[1]).clamp(min=1))
    return torch.stack(losses).mean()


def _ways_of(i: int, video: Video, flow: FlowEstimator | Ways) -> tuple[Field, Field]:
    if callable(flow):
        forth, back = fields(video[i : i + 1], flow)
        return forth[0], back[0]
    check_ways(flow, video)
    return flow[0][i], flow[1][i]


def _cuts_of(i: int, video: Video, cuts: Sequence[Sequence[int]] | None) -> tuple[int, ...] | None:
    if cuts is None:
        return None
    last = video.shape[2] - 1
    if len(cuts) != len(video) or not all(
        isinstance(clip, Sequence) and all(isinstance(cut, int) and 1 <= cut <= last for cut in clip) for clip in cuts
    ):
        raise ValueError(f"`cuts` must be frames from 1 to {last} for each of {len(video)} clips, got {cuts}")
    return tuple(sorted(cuts[i]))


def _stacked(clips: list[dict[str, Any]]) -> Flicker:
    numbers = {name: torch.stack([clip[name] for clip in clips]) for name in (*COMPONENTS, *BESIDE)}
    series, maps = (
        {name: torch.stack([clip[group][name] for clip in clips]) for name in clips[0][group]}
        for group in ("series", "maps")
    )
    cuts, reason = (tuple(clip[name] for clip in clips) for name in ("cuts", "reason"))
    return Flicker(**numbers, series=series, maps=maps, cuts=cuts, reason=reason)
