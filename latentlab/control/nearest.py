"""The caption under which a model takes a clip for its own, read by the denoiser itself."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from latentlab.checks import Count, Seed, clear_errors
from latentlab.generator.generator import Generator
from latentlab.generator.levels import check_flow_times
from latentlab.generator.run import drawing
from latentlab.shapes import Video

LEVELS = (0.9, 0.7, 0.5, 0.35)  # between those at which hue and shape are decided in the shipped model


@torch.no_grad()
@clear_errors
def nearest_caption(
    generator: Generator,
    image: Video,
    captions: Sequence[str],
    *,
    levels: Sequence[float] = LEVELS,
    draws: Count = 1,
    seed: Seed = 0,
) -> tuple[str, Float[Tensor, " caption"]]:
    """Which of some captions fits an image or a clip best, by the error that the denoiser makes under each.

    The clip is noised to `y = (1 - s) clean + s noise`, the same for all captions, and the caption is taken under which
    `|v(y, s) - (noise - clean)|^2` is least, its difference from that of the mean caption divided by the spread over
    captions at each level (diffusion classifier, Li et al. 2023, eq. 7). So an image becomes words for `generate` or a
    `Given`, without a network that was trained for it; what none of the captions says is lost.

    Args:
        generator: any that reads captions.
        image: one clip, or an image, `(1, 3, 1, height, width)`, held for as long as the generator's clips.
        captions: to choose from, such as one for each hue.
        levels: flow times, best those about which what the captions tell apart is decided.
        draws: of noise, at each level.
        seed: of the noise.

    Returns:
        The caption, and how much larger the error of each is, in spreads, 0 for the first.

    Raises:
        ValueError: no captions, or several clips.

    >>> import latentlab as ll
    >>> generator, item = ll.load(device="cpu"), ll.data.MovingShapes(1, seed=5)[0]
    >>> nearest_caption(generator, item.video, ["red", "cyan"], levels=(0.9,))[1].min()
    tensor(0.)
    """
    if not captions or len(image) != 1:
        raise ValueError(f"one clip is held against captions, got {len(image)} clips and {len(captions)} captions")
    check_flow_times(levels)
    frames = generator.config.num_frames
    clip = image.expand(-1, -1, frames, -1, -1) if image.shape[2] == 1 else image
    clean = generator.encode(clip)
    noises = drawing([seed, 6], slice(0, draws), clean.shape[1:], clean.device)().split(1)
    total = torch.zeros(len(captions))
    told = [generator.condition(caption) for caption in captions]
    for s in levels:
        for noise in noises:
            y = torch.lerp(clean, noise, s)
            fields = (generator.velocity(one) for one in told)
            errors = torch.stack([(field(y, float(s)) - (noise - clean)).square().mean().cpu() for field in fields])
            total += (errors - errors.mean()) / errors.std().clamp(min=1e-12) if len(captions) > 1 else errors * 0
    best = int(total.argmin())
    return captions[best], (total - total[best]) / (len(levels) * draws)
