"""Where things are in a clip, in the ways in which one may draw it: what a control branch learns to follow.

Masks, outlines, boxes, flow, classes and depths are known exactly for moving shapes. `DrawnControls` keeps them in a
few bytes for each pixel, and `controls` makes the pictures of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int8, UInt8
from torch import Tensor

from latentlab.checks import Natural, clear_errors
from latentlab.data.moving.item import Item
from latentlab.shapes import Mask, in_a_line

FLOW_LEVELS = 32  # of a pixel of motion, as `DrawnControls` keeps it


@dataclass(frozen=True)
class DrawnControls:
    """Where the objects of clips are.

    Attributes:
        mask: share of each pixel that objects cover, 255 is all.
        object: the one that is seen in most of a pixel: 0 is the background, 1 the nearest object, 2 the next.
        flow: motion to the next frame, right and down, in 1/32 pixels; the last frame's is that of the one before.
        shapes: of the nearest object and of the next, counted from 1; 0 is none.
    """

    mask: UInt8[Tensor, "batch 1 frame height width"]
    object: UInt8[Tensor, "batch 1 frame height width"]
    flow: Int8[Tensor, "batch 2 frame height width"]
    shapes: UInt8[Tensor, "batch 2"]

    __repr__ = in_a_line

    @staticmethod
    def of(item: Item) -> DrawnControls:
        """That of an item of moving shapes.

        >>> from latentlab.data import MovingShapes
        >>> drawn = DrawnControls.of(MovingShapes(1, seed=0)[0])
        >>> drawn.mask.shape, int(drawn.object.max())
        (torch.Size([1, 1, 16, 64, 64]), 1)
        """
        layers = sorted(enumerate(item.layers), key=lambda pair: pair[1].depth)
        seen = np.stack([np.zeros(item.mask.shape[2:]), *(layer.seen for _, layer in layers)])
        seen[0] = 0.5  # what no object covers by half is background
        shapes = torch.zeros(1, 2, dtype=torch.uint8)
        for place, (index, _) in enumerate(layers):
            shapes[0, place] = 1 + int(item.factors[("shape", "shape.2")[index]][0])
        flow = torch.cat([item.flow, item.flow[:, :, -1:]], 2)
        return DrawnControls(
            (255 * item.mask).round().to(torch.uint8),
            torch.from_numpy(seen.argmax(0).astype(np.uint8))[None, None],
            (FLOW_LEVELS * flow).round().clamp(-127, 127).to(torch.int8),
            shapes,
        )

    @staticmethod
    def cat(drawn: Sequence[DrawnControls]) -> DrawnControls:
        """Several after one another."""
        return DrawnControls(*(torch.cat([getattr(d, name) for d in drawn]) for name in DrawnControls.__annotations__))

    def tensors(self) -> dict[str, Tensor]:
        """By name."""
        return {name: getattr(self, name) for name in DrawnControls.__annotations__}

    def __getitem__(self, rows) -> DrawnControls:
        return DrawnControls(*(tensor[rows] for tensor in self.tensors().values()))


@clear_errors
def controls(drawn: DrawnControls, *, stroke: Natural = 0) -> dict[str, Tensor]:
    """The pictures by which a control branch is told where things are, by name.

    Args:
        drawn: of clips.
        stroke: pixels by which the lines of the sketch are thicker than one to all sides.

    Returns:
        "mask", "sketch" (outlines), "box" (filled boxes around each object) and "depth" (1 is the nearest object, 0.5
        the next, 0 the background), in [0, 1], and "classes" (0 is the background, 1 on are shapes), `(batch, 1, frame,
        height, width)`; "flow" in pixels to the next frame, right and down, `(batch, 2, frame, height, width)`.

    >>> from latentlab.data import MovingShapes
    >>> pictures = controls(MovingShapes(1, seed=0).drawn(0))
    >>> sorted(pictures)
    ['box', 'classes', 'depth', 'flow', 'mask', 'sketch']
    """
    regions = [(drawn.object == number).float() for number in (1, 2)]
    classes = sum(region * shape.view(-1, 1, 1, 1, 1) for region, shape in zip(regions, drawn.shapes.T, strict=True))
    return {
        "mask": drawn.mask.float() / 255,
        "sketch": torch.stack([outline(region, stroke) for region in regions]).amax(0),
        "box": torch.stack([boxed(region) for region in regions]).amax(0),
        "flow": drawn.flow.float() / FLOW_LEVELS,
        "classes": torch.as_tensor(classes),
        "depth": regions[0] + 0.5 * regions[1],
    }


def outline(region: Mask, stroke: int = 0) -> Mask:
    """The pixels of a region that touch what is outside of it, drawn with a stroke.

    >>> outline(torch.ones(1, 1, 1, 3, 3))[0, 0, 0]
    tensor([[0., 0., 0.],
            [0., 0., 0.],
            [0., 0., 0.]])
    >>> outline(torch.tensor([0.0, 1, 1, 1, 0]).view(1, 1, 1, 1, 5)).flatten()
    tensor([0., 1., 0., 1., 0.])
    """
    inside = 1 - _grown(1 - region, 1)
    return _grown(region - inside, stroke)


def boxed(region: Mask) -> Mask:
    """The smallest box around a region, filled, frame by frame.

    >>> int(boxed(torch.eye(3)[None, None, None]).sum())
    9
    """

    def span(hit: Float[Tensor, "... line"]) -> Tensor:
        return hit.cummax(-1).values * hit.flip(-1).cummax(-1).values.flip(-1)

    return span(region.amax(-1))[..., None] * span(region.amax(-2))[..., None, :]


def _grown(mask: Mask, pixels: int) -> Mask:
    side = 2 * pixels + 1
    return F.max_pool3d(mask, (1, side, side), stride=1, padding=(0, pixels, pixels)) if pixels else mask
