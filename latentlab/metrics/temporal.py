"""Flicker of clips, told apart from motion."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from latentlab.metrics.flow import Field, Flow, dis, follow
from latentlab.shapes import Latents, Video

LEVELS = 127.5  # 8-bit levels in one unit of video
MAD_TO_SD = 1 / 0.6745  # of a normal distribution
CUT_LEVELS = 20.0  # a pair of frames that differs by more after compensation, and more than others, is a shot cut
CUT_RATIO = 4.0
KEPT = 2**21  # values, at most, that the medians over a whole clip are taken of

Frames = Float[Tensor, "frame channel height width"]
Jitter = Float[Tensor, " batch"]
Ways = tuple[Float[Tensor, "batch pair 2 height width"], Float[Tensor, "batch pair 2 height width"]]


@dataclass(frozen=True)
class Flicker:
    """Equivalent jitter of clips, in 8-bit levels a frame: independent jitter of standard deviation a reads a.

    Attributes:
        overall: robust, over all visible pixels; `(batch,)`.
        whole: of the frame at once (exposure, colour); `(batch,)`.
        regional: of regions, about a twelfth of the frame's side and larger; `(batch,)`.
        texture: of what is finer; it has a floor, one to two levels on moving photographs, as no flow is exact;
            `(batch,)`.
        spectral: see `spectral`; `(batch,)`.
        motion_jitter: acceleration along the flow over the flow itself: stutter, doubled and swapped frames;
            `(batch,)`.
        difference: mean absolute difference of adjacent frames, which also counts motion; `(batch,)`.
        coverage: share of pixels seen in a frame and both its neighbours, the only ones that count; `(batch,)`.
        series: the first four and motion_jitter over the inner frames, NaN beside a shot cut; `(batch, frame - 2)`
            each.
        maps: overall (here a root mean square), regional and texture over the picture, NaN where no frame shows a
            pixel; `(batch, height, width)` each.
        cuts: frames at which a new shot begins, for each clip.
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

    def per_second(self, fps: float) -> dict[str, Jitter]:
        """Jitter times frames a second, levels a second: jitter of one size is worse to look at when it is faster."""
        if not fps > 0:
            raise ValueError(f"frames a second must be above 0, got {fps}")
        return {name: getattr(self, name) * fps for name in ("overall", "whole", "regional", "texture")}


def flicker(video: Video, *, flow: Flow | Ways = dis) -> Flicker:
    """Flicker of clips by the motion-compensated three-frame residual.

    `r_t = f_t - (W f_{t-1} + W f_{t+1}) / 2` with both neighbours warped onto frame t is blind to motion and to
    anything that changes linearly; divided by sqrt(1.5) its standard deviation is that of the jitter. It is split into
    the median of each colour over the frame (`whole`), a Gaussian low-pass of the rest with sigma side / 24
    (`regional`), and the remainder (`texture`). Pixels that are not seen in all three frames are left out.

    Args:
        video: clips of three frames or more.
        flow: `(frames, frames) -> pixels right and down`; `flow.still` for a static camera and scene. Or the flow
            itself, a pair: from each frame to the next, and back, `(batch, frame - 1, 2, height, width)` each.

    Returns:
        Jitter in 8-bit levels.

    Raises:
        ValueError: fewer than three frames.

    >>> import torch
    >>> flicker(torch.zeros(1, 3, 8, 16, 16)).overall
    tensor([0.])
    """
    _check(video)
    _check_range(video)
    clips = []
    for i, clip in enumerate(video):
        frames = clip.transpose(0, 1).float()
        forth, back = fields(frames, flow) if callable(flow) else (flow[0][i], flow[1][i])
        clips.append(_components(frames * LEVELS, forth, back, cut_levels=CUT_LEVELS))
    return _stack(clips, spectral(video))


def latent_flicker(latents: Latents, decoded: Video, *, flow: Flow = dis) -> Flicker:
    """Flicker of latents along the flow of the clips they decode to, in hundredths of the latents' standard deviation.

    Beside `flicker(decoded)` it shows whether the denoiser's latents flicker or the decoder makes it of steady ones.

    Args:
        latents: one frame of latents for each frame of video.
        decoded: the clips.
        flow: of the clips; its mean over the pixels of a latent, in latents' sides, moves the latents.

    Raises:
        ValueError: the numbers of clips or frames differ.
    """
    _check(latents)
    if (len(latents), latents.shape[2]) != (len(decoded), decoded.shape[2]):
        raise ValueError(
            f"latents {tuple(latents.shape)} and clips {tuple(decoded.shape)}: numbers of clips or frames differ; "
            "an autoencoder that compresses time has no frame of latents for each frame"
        )
    unit = 100 / latents.float().std().clamp(min=1e-12)
    shrink = latents.shape[4] / decoded.shape[4]
    clips = []
    for z, clip in zip(latents, decoded, strict=True):
        forth, back = (
            shrink * F.interpolate(field, size=tuple(z.shape[2:]), mode="area")
            for field in fields(clip.transpose(0, 1).float(), flow)
        )
        clips.append(_components(z.transpose(0, 1).float() * unit, forth, back, cut_levels=torch.inf))
    return _stack(clips, spectral(latents) * unit / LEVELS)


def spectral(video: Video, *, blocks: int = 8) -> Jitter:
    """Root mean square of what changes faster than half the Nyquist frequency, in 8-bit levels, without any flow.

    Means over a grid of blocks, their straight line over time taken out, under a Hann window (its power restored);
    independent jitter of whole blocks of standard deviation a reads a / sqrt(2), half its power being fast.

    Args:
        video: clips of three frames or more.
        blocks: in a row and in a column of the grid.

    >>> flashing = torch.tensor([0.0, 2 / 127.5]).repeat(8).view(1, 1, 16, 1, 1).expand(1, 3, 16, 8, 8)
    >>> round(spectral(flashing).item(), 1)
    1.0
    """
    if video.ndim != 5 or video.shape[2] < 3:
        raise ValueError(
            f"a spectrum needs (batch, channel, 3 or more frames, height, width), got {tuple(video.shape)}"
        )
    frames = video.shape[2]
    rows, columns = (min(blocks, side) for side in video.shape[3:])
    series = F.adaptive_avg_pool3d(video.float() * LEVELS, (frames, rows, columns)).flatten(
        3
    )  # batch channel frame block
    time = torch.linspace(-1, 1, frames, device=video.device)[:, None]
    series = series - series.mean(2, keepdim=True)
    series = series - time * (series * time).sum(2, keepdim=True) / time.square().sum()
    window = torch.hann_window(frames + 1, periodic=True, device=video.device)[1:, None]
    spectrum = torch.fft.rfft(series * window / window.square().mean().sqrt(), dim=2).abs().square() / frames**2
    frequency = torch.fft.rfftfreq(frames, device=video.device)[:, None]
    twice = torch.where((frequency == 0) | (frequency == 0.5), 1.0, 2.0)  # the other half of the spectrum
    return (spectrum * twice * (frequency > 0.25)).sum(2).mean((1, 2)).sqrt()


def flicker_loss(video: Video | Latents, ways: Ways) -> Float[Tensor, ""]:
    """Mean square of the three-frame residual on visible pixels: differentiable, for training and for guidance.

    Args:
        video: clips or latents of three frames or more.
        ways: flow from each frame to the next, and back, in pixels of `video`, e.g. of `fields`; no gradient goes into
            it.

    Returns:
        In squared units of `video`; 0 for still or evenly moving pictures.
    """
    _check(video)
    losses = []
    for clip, there, here in zip(video.transpose(1, 2), *(way.detach() for way in ways), strict=True):
        (from_next, seen_next), (from_last, seen_last) = follow(clip[1:], there, here), follow(clip[:-1], here, there)
        seen = (seen_next[1:] & seen_last[:-1])[:, None]
        residual = clip[1:-1] - 0.5 * (from_last[:-1] + from_next[1:])
        losses.append((residual.square() * seen).sum() / (seen.sum() * clip.shape[1]).clamp(min=1))
    return torch.stack(losses).mean()


def fields(frames: Frames, flow: Flow) -> tuple[Field, Field]:
    """Flow from each frame to the next and back, of frames brought to one mean brightness.

    Without that a change of exposure is taken for motion.
    """
    steady = (frames - frames.mean((1, 2, 3), keepdim=True) + frames.mean()).clamp(-1, 1)
    return flow(steady[:-1], steady[1:]), flow(steady[1:], steady[:-1])


def _components(level: Frames, forth: Field, back: Field, *, cut_levels: float) -> dict:
    """Everything about one clip. Frame by frame, so that what is worked on stays in the processor's cache."""
    pairs, (height, width) = range(len(level) - 1), level.shape[2:]
    from_next, seen_next = _followed((level[t + 1, None], forth[t, None], back[t, None]) for t in pairs)
    from_last, seen_last = _followed((level[t, None], back[t, None], forth[t, None]) for t in pairs)
    cut = _cuts(torch.stack([F.l1_loss(from_next[t], level[t]) for t in pairs]), cut_levels)

    stride = max(1, math.ceil(level[1:-1].numel() / KEPT))
    names = ("overall", "whole", "regional", "texture", "motion_jitter")
    series = {name: level.new_full((len(level) - 2,), torch.nan) for name in names}
    squares = {name: level.new_zeros(height, width) for name in ("overall", "regional", "texture")}
    times_seen = level.new_zeros(height, width)
    kept, wholes, accelerations, speeds = [], [], [], []
    for t in range(1, len(level) - 1):  # pair t leads to the next frame, pair t - 1 from the last
        if cut[t] or cut[t - 1]:
            continue
        seen = seen_next[t] & seen_last[t - 1]
        residual = (level[t] - 0.5 * (from_last[t - 1] + from_next[t])) / math.sqrt(1.5)
        values = residual[:, seen]
        whole = values.median(1).values if values.numel() else level.new_zeros(len(residual))
        rest = residual - whole[:, None, None]
        low = _low_pass(rest, seen, sigma=max(height, width) / 24)
        for name, part in (("overall", residual), ("regional", low), ("texture", rest - low)):
            square = part.square().mean(0) * seen
            squares[name] += square
            series[name][t - 1] = (square.sum() / max(1, values.shape[1])).sqrt()
        times_seen += seen
        acceleration = torch.hypot(*(forth[t] + back[t - 1]))[seen]  # at even speed the ways to both neighbours cancel
        speed = 0.5 * (torch.hypot(*forth[t]) + torch.hypot(*back[t - 1]))[seen]
        kept.append(values.flatten()[::stride].abs())
        series["overall"][t - 1] = MAD_TO_SD * _median(kept[-1])
        series["whole"][t - 1] = _rms(whole)
        series["motion_jitter"][t - 1] = _relative(acceleration, speed)
        wholes.append(whole)
        accelerations.append(acceleration[::stride])
        speeds.append(speed[::stride])
    count = times_seen.sum().clamp(min=1)
    maps = {name: (sums / times_seen).sqrt() for name, sums in squares.items()}  # 0 / 0 is the NaN of the docstring
    return {
        "overall": MAD_TO_SD * _median(_joined(kept, level)),
        "whole": _rms(_joined(wholes, level)),
        "regional": (squares["regional"].sum() / count).sqrt(),
        "texture": (squares["texture"].sum() / count).sqrt(),
        "motion_jitter": _relative(_joined(accelerations, level), _joined(speeds, level)),
        "difference": torch.stack([F.l1_loss(level[t + 1], level[t]) for t in pairs]).mean(),
        "coverage": times_seen.mean() / max(1, len(kept)),
        "series": series,
        "maps": maps,
        "cuts": tuple((cut.nonzero().flatten() + 1).tolist()),
    }


def _followed(steps: Iterable[tuple[Frames, Field, Field]]) -> tuple[list[Tensor], list[Tensor]]:
    pictures, seen = zip(*(follow(*step) for step in steps), strict=True)
    return [x[0] for x in pictures], [x[0] for x in seen]


def _stack(clips: list[dict], fast: Jitter) -> Flicker:
    columns: dict = {name: torch.stack([clip[name] for clip in clips]) for name in clips[0] if _scalar(clips[0][name])}
    for group in ("series", "maps"):
        columns[group] = {name: torch.stack([clip[group][name] for clip in clips]) for name in clips[0][group]}
    return Flicker(**columns, spectral=fast, cuts=tuple(clip["cuts"] for clip in clips))


def _scalar(value: object) -> bool:
    return isinstance(value, Tensor)


def _check(video: Tensor) -> None:
    if video.ndim != 5 or not len(video) or video.shape[2] < 3 or not video.is_floating_point():
        raise ValueError(
            f"flicker needs floating-point clips (batch, channel, 3 or more frames, height, width), got "
            f"{tuple(video.shape)} of {video.dtype}"
        )
    if not all(map(math.isfinite, _extremes(video))):  # NaN shows in the extremes; one pass over the clip is enough
        raise ValueError("flicker needs finite clips, got NaN or infinity")


def _check_range(video: Tensor) -> None:
    """Jitter may reach a little beyond [-1, 1], another range does not."""
    low, high = _extremes(video)
    if low < -2 or high > 2:
        way = "`latentlab.video.from_uint8` reads 8-bit pictures"
        raise ValueError(f"flicker needs clips in [-1, 1], got {low:g} to {high:g}; {way}")


def _extremes(x: Tensor) -> tuple[float, float]:
    low, high = x.detach().aminmax()
    return float(low), float(high)


def _cuts(change: Float[Tensor, " pair"], levels: float) -> Tensor:
    """Pairs between which the picture changes far more than between the others, motion taken out."""
    return (change > levels) & (change > CUT_RATIO * change.median())


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


def _relative(acceleration: Tensor, speed: Tensor) -> Tensor:
    return _median(acceleration) / (_median(speed) + 0.5)  # below half a pixel a frame, flow is noise


def _joined(parts: list[Tensor], like: Tensor) -> Tensor:
    return torch.cat(parts) if parts else like.new_zeros(0)


def _median(x: Tensor) -> Tensor:
    return x.median() if x.numel() else x.new_zeros(())


def _rms(x: Tensor) -> Tensor:
    return x.square().mean().sqrt() if x.numel() else x.new_zeros(())
