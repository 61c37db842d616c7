"""Where flicker comes from: at which noise levels, frames and places of a sampling run it enters the clip."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from latentlab.checks import clear_errors
from latentlab.generator.condition import Condition
from latentlab.generator.generator import Generator
from latentlab.generator.sampler import Sampler
from latentlab.metrics.flow import FlowEstimator, Ways, check_frames, dis, fields, follow, shrunk
from latentlab.metrics.residual import COMPONENTS, ROUNDING
from latentlab.metrics.temporal import Flicker, flicker, latent_flicker
from latentlab.shapes import Latents, Noise


@dataclass(frozen=True)
class FlickerSource:
    """Flicker of the clip that the denoiser has in mind, step by step.

    Attributes:
        levels: flow times of the steps, falling; the last is that of the finished clip, 0.
        decoded: flicker of the decoded estimate of the clean latents at each level.
        latent: that of the estimate itself, in hundredths of the standard deviation of the finished latents; None for
            autoencoders that compress time.
        steadied: flicker of the clip decoded from the finished latents after `steady`, which leaves an eighth of their
            jitter: what the autoencoder alone adds. None where `latent` is.
    """

    levels: tuple[float, ...]
    decoded: tuple[Flicker, ...] = field(repr=False)
    latent: tuple[Flicker, ...] | None = field(repr=False)
    steadied: Flicker | None = field(repr=False)

    @clear_errors
    def curve(self, component: str = "overall", *, of: str = "decoded") -> Tensor:
        """One component along the run, `(level, batch)`."""
        if component not in COMPONENTS:
            raise ValueError(f"no component {component!r}; there are {', '.join(COMPONENTS)}")
        run = self.decoded if of == "decoded" else self.latent
        if run is None:
            raise ValueError("this autoencoder compresses time, so the flicker of its latents is not defined")
        return torch.stack([getattr(at, component) for at in run])

    @clear_errors
    def enters(self, component: str = "overall") -> Tensor:
        """Share of the finished clip's flicker power that each level brings in, `(level, batch)`.

        Power (the square) adds up over independent sources. A negative share is flicker that a step takes away; the
        first level brings what the first estimate has. The shares of a clip add up to 1; NaN for a clip that flickers
        by less than `ROUNDING`.
        """
        power = self.curve(component).square()
        return _gained(power) / power[-1].where(power[-1] >= ROUNDING**2, torch.nan)

    @clear_errors
    def worst(self, component: str = "overall") -> list[dict[str, float]]:
        """For each finished clip: the level that adds most flicker, and the frame and the place where it adds most.

        `added` is how much, as jitter: the root of the power that the level brings in. `share` is that power over the
        finished clip's, and is left out of a clip that flickers by less than `ROUNDING`. `whole` and `motion_jitter`
        have no map, hence no place.
        """
        added, shares = _gained(self.curve(component).square()), self.enters(component)
        over_frames = _gained(torch.stack([at.series[component] for at in self.decoded]).square())
        found = []
        for i in range(shares.shape[1]):
            level = int(added[:, i].nan_to_num(-torch.inf).argmax())
            frame = int(over_frames[level, i].nan_to_num(-torch.inf).argmax()) + 1  # inner frames count from the second
            jitter = float(added[level, i].clamp(min=0).sqrt())
            found.append({"level": self.levels[level], "added": jitter, "frame": frame})
            if shares[level, i].isfinite():
                found[-1]["share"] = float(shares[level, i])
            if component in self.decoded[-1].maps:
                powers = _gained(torch.stack([at.maps[component][i] for at in self.decoded]).square())
                row, column = divmod(int(powers[level].nan_to_num(-torch.inf).argmax()), powers.shape[2])
                found[-1] |= {"row": row, "column": column}
        return found

    def table(self) -> str:
        """Means over the clips as a Markdown table, a level a line; jitter in 8-bit levels, latents' in hundredths.

        The last line is of the steadied latents.
        """
        head = ["noise level", *COMPONENTS, "share of overall", *(["latents"] if self.latent else [])]
        power = self.curve().square().mean(1)
        shares = (_gained(power) / power[-1]).tolist() if power[-1] >= ROUNDING**2 else [None] * len(power)
        rows = [head, ["---:"] * len(head)]
        for k, (level, share) in enumerate(zip(self.levels, shares, strict=True)):
            row = [f"{level:.3f}", *_cells(self.decoded[k]), "-" if share is None else f"{100 * share:.0f} %"]
            rows.append(row + ([f"{float(self.latent[k].overall.mean()):.2f}"] if self.latent else []))
        if self.steadied:
            rows.append(["steadied", *_cells(self.steadied), "-", "-"])
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)


@torch.no_grad()
@clear_errors
def flicker_source(
    generator: Generator,
    noise: Noise,
    caption: str | Sequence[str] | Condition = "",
    *,
    sampler: Sampler | None = None,
    num_steps: int | None = None,
    method: str | None = None,
    guidance: float | None = None,
    every: int = 4,
    flow: FlowEstimator = dis,
    progress: bool = False,
) -> FlickerSource:
    """Walks a sampling run and measures the flicker of the clip it is heading for.

    At level s the estimate of the clean latents is `y - s v(y, s)`. Flicker that is there from the first levels is
    the denoiser's idea of the scene; what enters at the last ones is detail; what stays when the finished latents are
    steadied is the autoencoder's.

    Args:
        generator: the model.
        noise: where to start, `generator.noise(count)`.
        caption, sampler, num_steps, method, guidance: as in `Generator.sample`.
        every: steps from one look to the next, the first after the first step; a look costs a call of the network
            and a decoding.
        flow: see `flicker`.
        progress: show a bar.

    Returns:
        The curve, and where the flicker is.
    """
    if every < 1:
        raise ValueError(f"every must be at least 1, got {every}")
    condition = generator.as_condition(caption).expand(len(noise))
    sampler = (Sampler("ddim") if sampler is None else sampler).but(
        num_steps=num_steps, method=method, guidance=guidance, batch_size=len(noise)
    )
    velocity = generator.velocity(condition, sampler.guiding(generator.config.guidance))
    levels, estimates = [], []

    def look(step: int, level: float, y: Tensor) -> None:
        if step % every == 0 and level > 0:
            levels.append(float(level))
            estimates.append(y - level * velocity(y, level))

    latents = generator.sample(
        noise, condition, sampler=sampler, callback=look, progress="sampling" if progress else False
    )
    seen, latent = [], []
    for estimate in (*estimates, latents):
        clip = generator.decode(estimate)
        ways = fields(clip, flow)
        seen.append(flicker(clip, flow=ways))
        if latents.shape[2] == clip.shape[2]:
            scale = latents.float().flatten(1).std(1)
            latent.append(latent_flicker(estimate, clip, flow=ways, scale=scale, cuts=seen[-1].cuts))
    return FlickerSource(
        levels=(*levels, 0.0),
        decoded=tuple(seen),
        latent=tuple(latent) or None,
        steadied=flicker(generator.decode(steady(latents, ways)), flow=flow) if latent else None,
    )


@clear_errors
def steady(latents: Latents, ways: Ways, *, passes: int = 2) -> Latents:
    """Latents smoothed over time along the flow of their clips: a frame and, by half, each neighbour seen from it.

    Args:
        latents: one frame for each of the clips.
        ways: of the clips, as `fields` gives it.
        passes: a pass leaves a quarter of independent jitter in the three-frame residual, two leave an eighth.

    >>> z, still = torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0]).view(1, 1, 5, 1, 1), torch.zeros(1, 4, 2, 1, 1)
    >>> steady(z, (still, still), passes=1).flatten()
    tensor([0.0000, 0.2500, 0.5000, 0.2500, 0.0000])
    """
    check_frames(latents)
    pair = ways if isinstance(ways, tuple | list) else (ways,)
    moved = [tuple(way.shape[:3]) for way in pair if isinstance(way, Tensor) and way.ndim == 5]
    if moved != [(len(latents), latents.shape[2] - 1, 2)] * 2:
        raise ValueError(f"ways are the flow of {len(latents)} clips, forth and back, as `fields` gives it")
    smooth = []
    for clip, *both in zip(latents.transpose(1, 2).float(), *ways, strict=True):
        forth, back = (shrunk(way, (clip.shape[2], clip.shape[3])) for way in both)
        for _ in range(passes):
            (following, seen_next), (last, seen_last) = follow(clip[1:], forth, back), follow(clip[:-1], back, forth)
            after, before = (seen[:, None].to(clip) for seen in (seen_next, seen_last))
            total, weight = 2 * clip, torch.full_like(clip[:, :1], 2)
            total[:-1] += after * following
            weight[:-1] += after
            total[1:] += before * last
            weight[1:] += before
            clip = total / weight
        smooth.append(clip)
    return torch.stack(smooth).transpose(1, 2).to(latents)


def _gained(power: Tensor) -> Tensor:
    return torch.cat([power[:1], power.diff(dim=0)])


def _cells(at: Flicker) -> list[str]:
    means = (float(getattr(at, name).nanmean()) for name in COMPONENTS)
    return ["-" if math.isnan(x) else f"{x:.2f}" for x in means]
