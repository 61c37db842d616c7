"""What is known about one clip of moving shapes."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from latentlab.data.moving.render import Layer
from latentlab.factors import FactorTable
from latentlab.shapes import Video, in_a_line


@dataclass(frozen=True)
class Item:
    """One clip with everything that is known about it.

    Attributes:
        video: `(1, 3, 16, 64, 64)` in [-1, 1].
        factors: its row, as a table of one.
        captions: the same clip in several wordings.
        mask: share of each pixel that objects cover, 0 to 1.
        flow: pixels right and down from each frame to the next, of what is seen; zero on a background at rest.
        layers: the objects one by one, with what hides behind another, and their depths.
    """

    video: Video
    factors: FactorTable
    captions: list[str]
    mask: Float[Tensor, "1 1 frame height width"]
    flow: Float[Tensor, "1 2 frame-1 height width"]
    layers: tuple[Layer, ...] = ()

    __repr__ = in_a_line
