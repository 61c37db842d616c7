"""The border between what was painted and what stayed: matched in colour, mixed, and measured."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from latentlab.checks import clear_errors
from latentlab.control.masks import dilate
from latentlab.shapes import Mask, Video

RING = 4  # pixels around a hole whose colour is known on both sides of its border


def matched(filled: Video, source: Video, hole: Mask) -> Video:
    """The filled clip, shifted in each frame and colour so that it agrees with the source on a ring around the hole.

    An autoencoder that looks at whole frames gives what it knows back a little brighter or darker; without this a paste
    shows that as an edge. Frames with no ring (nothing painted, or everything) stay as they are.
    """
    ring = dilate(hole, RING) * (1 - hole)
    shift = ((source - filled) * ring).sum((3, 4), keepdim=True) / ring.sum((3, 4), keepdim=True).clamp(min=1e-6)
    return filled + shift


def pasted(filled: Video, source: Video, region: Mask) -> Video:
    """`filled` inside a region and `source` outside, mixed by the region's weight; where it is 0, the source itself."""
    return torch.where(region > 0, torch.lerp(source, filled, region), source)


@clear_errors
def seam(video: Video, source: Video, hole: Mask, *, width: int) -> Float[Tensor, " batch"]:
    """How visible the border of a hole is: the step of colour across it beyond that of the source.

    The step is the mean absolute difference of pixels side by side of which one is inside. It is taken at the border
    and, as a soft edge hides nothing in this way, at each of `width` contours further out; the largest is returned.

    Args:
        video: the clip with a filled hole.
        source: the clip before.
        hole: what was filled.
        width: pixels over which the edge is soft.

    Returns:
        Of each clip, in 8-bit levels (0 to 255); NaN where a hole has no border.

    >>> hole = torch.tensor([1.0, 0, 0]).view(1, 1, 1, 1, 3)
    >>> grey = torch.zeros(1, 3, 1, 1, 3)
    >>> seam(grey + 2 / 127.5 * hole, grey, hole, width=0)
    tensor([2.])
    """
    contours = []
    for pixels in range(width + 1):
        inside = dilate(hole, pixels) > 0
        total, count = torch.zeros(len(video), device=video.device), torch.zeros(len(video), device=video.device)
        for axis in (3, 4):
            border = inside.narrow(axis, 1, inside.shape[axis] - 1) ^ inside.narrow(axis, 0, inside.shape[axis] - 1)
            more = video.diff(dim=axis).abs() - source.diff(dim=axis).abs()
            total += (more.mean(1, keepdim=True) * border).sum((1, 2, 3, 4))
            count += border.sum((1, 2, 3, 4))
        contours.append(total / count * 127.5)
    contour = torch.stack(contours)  # 0 / 0 where one has left the frame
    return torch.where(contour.isnan().all(0), torch.nan, contour.nan_to_num(-torch.inf).amax(0))
