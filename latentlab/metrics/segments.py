"""Overlap of segmentations, of two clips or of one over time."""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Bool, Int
from torch import Tensor

from latentlab.checks import clear_errors
from latentlab.metrics.flow import Ways, check_ways, visible, warp
from latentlab.metrics.perceptual import Scores


@clear_errors
def dice(
    segments: Int[Tensor, "batch ..."] | Bool[Tensor, "batch ..."],
    reference: Int[Tensor, "batch ..."] | Bool[Tensor, "batch ..."],
) -> Scores:
    """Overlap 2 |A and B| / (|A| + |B|) of each pair of segmentations (Dice 1945); 1 where both are empty.

    Of a mask it is that of the True part; of numbered segments the mean over the numbers found in either, 0 being
    background. Of an edit and its source it says what kept its shape; of one frame and the next,
    `segmentation_consistency`.

    Raises:
        ValueError: different shapes or kinds, no clip, or floating point.

    >>> dice(torch.tensor([[True, True, False]]), torch.tensor([[True, False, False]])).item()
    0.6666666865348816
    """
    if not (isinstance(segments, Tensor) and isinstance(reference, Tensor)):
        raise ValueError(f"segmentations must be tensors, got {type(segments).__name__} and {type(reference).__name__}")
    alike = segments.shape == reference.shape and segments.dtype == reference.dtype
    if not alike or not len(segments) or segments.is_floating_point():
        found = " and ".join(f"{x.dtype} {tuple(x.shape)}" for x in (segments, reference))
        raise ValueError(f"segmentations must be bool or whole numbers of one shape, got {found}")
    return torch.stack([_dice(a, b) for a, b in zip(segments, reference, strict=True)])


@clear_errors
def segmentation_consistency(
    segments: Int[Tensor, "batch frame height width"] | Bool[Tensor, "batch frame height width"],
    ways: Ways | None = None,
) -> Scores:
    """`dice` of each frame's segments and the next one's, mean over pairs: do they keep their shape over time?

    Args:
        segments: a mask or numbered segments of each frame, 0 being background.
        ways: flow from each frame to the next, and back, e.g. of `flow.fields`; the next frame is then read along it,
            on pixels seen both ways, so that motion does not count.

    Returns:
        1 for segments that do not change.

    Raises:
        ValueError: fewer than two frames, other axes, floating point, or flow that does not fit.

    >>> moved = torch.tensor([[[[1, 1, 0]], [[0, 1, 1]]]])
    >>> segmentation_consistency(moved)
    tensor([0.5000])
    """
    if segments.ndim != 4 or segments.shape[1] < 2 or segments.is_floating_point():
        found = f"{segments.dtype} of shape {tuple(segments.shape)}"
        raise ValueError(
            f"`segments` must be bool or whole numbers (batch, 2 or more frames, height, width), got {found}"
        )
    here, there = (rearrange(part, "b f h w -> (b f) h w") for part in (segments[:, :-1], segments[:, 1:]))
    if ways is not None:
        check_ways(ways, segments[:, None])
        forth, back = (rearrange(way, "b f two h w -> (b f) two h w") for way in ways)
        seen = visible(forth, back)
        there = warp(there[:, None].to(forth.dtype), forth, mode="nearest")[:, 0].to(here.dtype) * seen
        here = here * seen
    return dice(here, there.to(here.dtype)).view(len(segments), -1).mean(1)


def _dice(a: Tensor, b: Tensor) -> Tensor:
    labels = torch.cat([a.flatten(), b.flatten()]).unique()
    overlaps = [2 * ((a == k) & (b == k)).sum() / ((a == k).sum() + (b == k).sum()) for k in labels if k != 0]
    return torch.stack(overlaps).mean() if overlaps else torch.ones((), device=a.device)
