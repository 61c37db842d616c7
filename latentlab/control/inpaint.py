"""Inpainting: what a mask covers is drawn anew under a caption, all else stays as it is, to the bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from latentlab.checks import Count, Natural, Seed, Within, clear_errors
from latentlab.control import masks
from latentlab.control.decided import decided
from latentlab.control.inpainted import Inpainted
from latentlab.control.known import Known
from latentlab.control.known_region import KnownRegion, known_region_of
from latentlab.control.refine import decoder, refined
from latentlab.control.seam import matched, pasted, seam
from latentlab.generator.condition import Caption
from latentlab.generator.exact_inversion import sample_exactly
from latentlab.generator.generator import Generator
from latentlab.generator.grid import to_grid
from latentlab.generator.guides import Guide
from latentlab.generator.levels import analysis_levels
from latentlab.generator.lock import alone
from latentlab.generator.native import NativeGenerator
from latentlab.generator.networks.known_region import KnownRegionNetwork
from latentlab.generator.run import as_state, batches, spread
from latentlab.generator.sampler import DRAW, Sampler
from latentlab.names import Blend
from latentlab.settings import InpaintSettings
from latentlab.shapes import Latents, Mask, Noise, Video, check_video


@clear_errors
def inpaint(
    generator: Generator,
    video: Video,
    mask: Tensor | np.ndarray,
    caption: Caption = "",
    *,
    start: Annotated[float, Within(0, 1, above=True)] = InpaintSettings.start,
    grow: Natural = InpaintSettings.grow,
    feather: Natural = InpaintSettings.feather,
    refine: Natural = InpaintSettings.refine,
    blend: Blend = InpaintSettings.blend,
    network: KnownRegionNetwork | Literal["auto"] | None = "auto",
    seed: Seed = 0,
    sampler: Sampler = DRAW,
    num_steps: Count | None = None,
    method: str | None = None,
    guidance: float | None = None,
    batch_size: Count | None = None,
    callback: Callable[[float], object] | None = None,
) -> Inpainted:
    """Draws anew what a mask covers; where `Inpainted.region` is 0, every pixel stays the source's.

    Latents outside the hole are known and held on their way (see `Known`), and the generator draws the others under the
    caption. A pipeline that takes a mask itself (nine-channel Stable Diffusion and SDXL, Flux-Fill, Wan VACE) hears of
    hole and clip by its own input instead, and draws all latents. The decoder sees more than a pixel's own latents, so
    that known pixels change, too: `refined` moves the latents until those come out right. What is left of the
    difference is matched in colour on a ring around the hole, mixed over a feathered edge, and outside of that the
    source is put back.

    Args:
        generator: any that samples.
        video: clips that it can hold, or images, which are clips of one frame.
        mask: where to paint, 1, and where not, 0: `(height, width)` or `(batch, 1, frame, height, width)`, see
            `masks.as_mask`. Every latent that a painted pixel lies in is drawn anew. A mask of all is image-to-image
            translation, whose strength is `start`.
        caption: what is in the clip, the hole's included; where something is to go, what is behind ("on a blue
            background"). A denoiser that never saw an empty scene, as the shipped one without its known-region network,
            draws another object there.
        start: flow time to draw from, above 0 and at most 1. Below 1 the hole keeps what is decided by then, see
            `Inpainted.fixed`.
        grow: pixels by which the mask is grown first. A tight mask leaves a rim, and its outline tells what was there.
        feather: pixels outside of that over which new and old are mixed.
        refine: decodings, with gradients, that `refined` may take, clip by clip; 0 is none.
        blend: "match", or "paste" without matching colours.
        network: that was trained to hear what is known, see `control.read_known_region`; "auto" is the one that ships
            with the model, if one does; None fills without.
        seed: of the noise; item i depends on `(seed, i)` alone.
        sampler: how, see `Sampler`; the words that follow change one setting each, as in `Generator.generate`.
        num_steps, method, guidance, batch_size: of the sampler.
        callback: called with the share of the work that is done, 0 to 1; an error of its own ends the work.

    Returns:
        The clips, and what it cost, on the generator's device.

    Raises:
        ValueError: an empty mask, or one that is not of these clips; clips that the generator cannot hold; a word that
            it does not know; a network beside a pipeline that takes masks itself.

    >>> import latentlab as ll
    >>> generator, (clip, _) = ll.load(device="cpu"), ll.data.moving_shapes(1, seed=0)
    >>> mask = torch.zeros(64, 64)
    >>> mask[8:24, 8:24] = 1
    >>> filled = inpaint(generator, clip, mask, "a small green circle", num_steps=2, refine=2)
    >>> bool((filled.video == clip)[..., 40:].all())
    True
    """
    check_video(video=video)
    if not 0 < start <= 1:
        raise ValueError(f"start is a flow time, above 0 (the clip) and at most 1 (noise), got {start}")
    if blend not in get_args(Blend):
        raise ValueError(f"blend is {' or '.join(map(repr, get_args(Blend)))}, got {blend!r}")
    source = video.detach().to(generator.device).float()
    mask = masks.as_mask(mask, source)
    if not mask.any():
        raise ValueError("the mask is empty: 1 is where to paint, and nothing is")
    condition = generator.as_condition(caption).expand(len(source))
    frames, source = source.shape[2], _held(source, generator)
    hole = masks.dilate(_held(mask, generator), grow)
    region = masks.feather(hole, feather)

    sampler = sampler.but(num_steps=num_steps, method=method, guidance=guidance, batch_size=batch_size)
    batch_size, guidance = sampler.batch_size, sampler.guiding(generator.config.guidance)
    clean = generator.encode(source, batch_size=batch_size)
    free = to_grid(hole, (clean.shape[2], clean.shape[3], clean.shape[4]))
    hearing = generator.hearing(condition, source, hole)  # of a network that takes masks; others have latents held
    if hearing is not None and isinstance(network, KnownRegionNetwork):
        raise ValueError(f"{type(generator).__name__} takes masks itself, beside which network= has nothing to say")
    told = known_region_of(generator, network)
    levels = generator.levels(sampler.num_steps, clean.shape[1:])
    if sampler.levels == "analysis":
        levels = analysis_levels(sampler.num_steps, high=float(levels[0]), low=float(levels[-1]))
    whole = start >= float(levels[0])
    levels = levels if whole else torch.cat([levels.new_tensor([start]), levels[levels < start]])
    parts = batches(len(clean), batch_size)
    step = _counted(callback, len(parts) * (len(levels) - 1) + refine * len(clean))
    drawn = []
    for rows in parts:
        noise = _noise(clean, seed, rows)
        guides: list[Guide] = [] if hearing else [Known(clean[rows], noise, free[rows])]
        if told is not None:
            guides.insert(0, KnownRegion(told, clean[rows], free[rows]))
        velocity = generator.guided(*guides).velocity((hearing or condition)[rows], guidance)
        drawn_anew = torch.ones_like(free[rows]) if hearing else free[rows]
        begin = _between(clean[rows], noise, float(levels[0]), drawn_anew if whole else None)
        begin = as_state(generator, begin, sampler.method)
        drawn.append(
            sample_exactly(velocity, begin, levels, method=sampler.method, callback=step).float() / spread(levels[-1])
        )
    latents = torch.cat(drawn)
    if refine:
        with alone(*generator.modules):
            latents = refined(decoder(generator), latents, source, hole, evaluations=refine, callback=step)
    raw, again = (generator.decode(z, batch_size=batch_size) for z in (latents, clean))

    def put_back(filled: Video) -> Video:
        near = matched(filled, source, hole).clamp(-1, 1) if blend == "match" else filled
        return pasted(near, source, region)

    result = put_back(raw)
    return Inpainted(
        video=result[:, :, :frames],
        region=region[:, :, :frames],
        hole=hole[:, :, :frames],
        free=free,
        raw=raw[:, :, :frames],
        start=float(start),
        fixed=tuple(name for name, level in decided(generator).items() if start < level),
        outside_psnr=_outside(raw, source, region),
        floor_psnr=_outside(again, source, region),
        seam=tuple(seam(result, source, hole, width=feather).tolist()),
        floor_seam=tuple(seam(put_back(again), source, hole, width=feather).tolist()),
        extra=tuple((free.mean((1, 2, 3, 4)) - hole.mean((1, 2, 3, 4))).tolist()),
    )


def _held(frames: Tensor, generator: Generator) -> Tensor:
    """An image held for as long as the clips of a model that holds no single frames."""
    one = frames.shape[2] == 1 and isinstance(generator, NativeGenerator)
    return frames.expand(-1, -1, generator.config.num_frames, -1, -1) if one else frames


def _noise(clean: Latents, seed: int, rows: slice) -> Noise:
    drawn = [np.random.default_rng([seed, i]).standard_normal(clean.shape[1:], np.float32) for i in range(len(clean))]
    return torch.from_numpy(np.stack(drawn[rows])).to(clean.device)


def _between(clean: Latents, noise: Noise, s: float, free: Mask | None) -> Latents:
    """States at flow time s; those that are drawn from noise alone have its standard deviation there."""
    y = torch.lerp(clean, noise, s)
    return y if free is None else torch.lerp(y, spread(s) * noise, free)


def _outside(video: Video, source: Video, region: Mask) -> tuple[float, ...]:
    """Decibels where nothing was painted; NaN where everything was."""
    outside = (region == 0).float()
    error = (((video - source) / 2).square().mean(1, keepdim=True) * outside).sum((1, 2, 3, 4))
    return tuple((-10 * torch.log10(error / outside.sum((1, 2, 3, 4)))).tolist())


def _counted(callback: Callable[[float], object] | None, total: int) -> Callable[..., None]:
    """What solver and search call after each step."""
    done = 0

    def step(*_: object) -> None:
        nonlocal done
        done += 1
        if callback:
            callback(min(1.0, done / total))

    return step
