"""`latentlab.explore`: an explorer with sensible beginnings."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy

import torch

from latentlab.checks import Positive, Seed, clear_errors
from latentlab.data.moving.dataset import moving_shapes
from latentlab.directions import Direction
from latentlab.generator.load import load
from latentlab.shapes import Video
from latentlab.spaces import LatentSpace, NoiseSpace, Space, as_space
from latentlab.view.controls import Reach
from latentlab.view.drawing import NamedMoves
from latentlab.view.explorer import Explorer
from latentlab.warning import warn

EXAMPLES, COMPONENTS, FEW = 48, 6, 32
PREVIEW_STEPS = 6


@clear_errors
def explore(
    space: Space | None = None,
    directions: NamedMoves | None = None,
    *,
    clip: Video | None = None,
    other: Video | None = None,
    caption: str = "a large red star moving right on a blue background",
    seed: Seed = 0,
    limits: Mapping[str, Reach] | None = None,
    fps: Positive = 8.0,
    width: int = 224,
) -> Explorer:
    """Sliders over a space, in a notebook: name it at the end of a cell.

    Args:
        space: anything with `encode` and `decode`; default the latents of the shipped model.
        directions: as a finder gives them, or some by name or one after another; default the dims of a space of at
            most 32, or the principal directions of 48 clips of moving shapes in a wide one.
        clip: what to edit, `(1, 3, frame, height, width)`; default one that the space's generator draws.
        other: a second clip, to walk to.
        caption, seed: of the clip that is drawn; both can be changed in the explorer.
        limits: usable strengths of directions, `(low, high)` or what `usable_range` found, whose reasons the slider
            then tells; default 3 standard deviations each way.
        fps: frames a second.
        width: of a picture, pixels.

    Raises:
        ValueError: the space cannot draw a clip of its own and none was given.

    Warns:
        UserWarning: noise that is to be read, which leads back to the clip less well.

    >>> explorer = explore(limits={"component 1": (-1, 1)})  # doctest: +SKIP
    """
    space = LatentSpace(load()) if space is None else space
    if clip is None and as_space(space).generator is None:
        raise ValueError("this space has no generator to draw a clip with; pass clip=")
    source: Video = as_space(space).generator.generate(caption, seed=seed).cpu() if clip is None else clip
    if directions is None:
        directions = default_directions(space, source)
    preview = None
    if isinstance(space, NoiseSpace):
        if space.levels == "analysis":
            warn(
                "the noise of this space is to be read, and leads back to the clip less well than that of "
                f'NoiseSpace(generator, method="leapfrog"), which is to be edited: {space}',
            )
        coarse = copy(space)  # its caption and guidance too
        steps = min(PREVIEW_STEPS, space.num_steps)
        coarse.sampler = space.sampler.but(num_steps=steps, method="ddim", levels="sampling")
        preview = coarse.decode
    return Explorer(
        space,
        directions,
        source,
        other,
        preview=preview,
        limits=limits,
        caption=caption,
        seed=seed,
        fps=fps,
        width=width,
    )


@clear_errors
def default_directions(space: Space, clip: Video) -> dict[str, Direction]:
    """The dims of a narrow space, the principal directions of examples in a wide one; in standard deviations."""
    video, _ = moving_shapes(EXAMPLES, seed=0)
    if video.shape[1:] != clip.shape[1:]:
        raise ValueError(
            f"clips of {tuple(clip.shape[1:])} are not those of moving shapes, {tuple(video.shape[1:])}, from which "
            "the default directions are found; pass directions="
        )
    codes = torch.cat([space.encode(part) for part in video.split(16)]).float().cpu()
    scale = codes.std(0)
    if codes.shape[1] <= FEW:
        axes = torch.eye(codes.shape[1]).numpy()
        return {f"dim {k}": Direction(f"dim {k}", axis, float(scale[k])) for k, axis in enumerate(axes)}
    _, spread, axes = torch.linalg.svd(codes - codes.mean(0), full_matrices=False)
    return {
        f"component {k + 1}": Direction(
            f"component {k + 1}", axes[k].numpy(), float(spread[k]) / (len(codes) - 1) ** 0.5
        )
        for k in range(COMPONENTS)
    }
