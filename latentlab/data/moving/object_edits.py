"""What an edit of one object of a frame is, told by all that the object is before it and after it.

Where the edit network is told no more than what changes (`condition`), it has to see for itself what it draws anew at
another place, and does not on frames that it never saw. Told the whole object, it draws it, and finds its place.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from latentlab.data.moving.edits import (
    EDITS,
    HALF,
    MIDDLE,
    ORDER_OF,
    ORDERS,
    SIZE,
    SPREAD,
    Rows,
    centre,
    column,
    pose_of,
    velocity,
)
from latentlab.data.moving.factors import SHAPES

KINDS = ("hue", "background_hue", "light", "size", "place", "shape", "rotation")  # of changes that one frame can show
MOVES = ("place", "direction", "speed")  # which are the same in one frame
KIND_OF = torch.tensor([KINDS.index("place" if name in MOVES else name) for name in EDITS])
DESCRIBED = len(SHAPES) + 6 + 2 * len(ORDERS) + 2
TOLD = len(KINDS) + 2 * DESCRIBED + 2  # numbers a frame


def told(
    before: Rows, after: Rows, edit: Int[Tensor, " edit"], frames: Float[Tensor, " edit"]
) -> tuple[Float[Tensor, "edit told"], Float[Tensor, "edit 2 2"]]:
    """What the edit network of scenes is told of one frame each.

    Args:
        before, after: factors of the object and those wanted, which differ in what is edited alone.
        edit: which of `EDITS` it is.
        frames: number of the frame.

    Returns:
        Which kind of change it is, what the object is before and after, and how far it moves. And its place before and
        after, as (x - 32) / 16.

    >>> row = torch.tensor([[3, 0, 6, 32, 32, 90, 0.5, 0, 240, 1, 0]])
    >>> blue = row.clone()
    >>> blue[:, 1] = 240
    >>> said, places = told(row, blue, torch.tensor([0]), torch.tensor([4.0]))
    >>> said.shape[1] == TOLD, places.tolist()
    (True, [[[0.0, -0.125], [0.0, -0.125]]])
    """
    kind = F.one_hot(KIND_OF.to(edit.device)[edit], len(KINDS)).to(before)
    here, there = centre(before, frames), centre(after, frames)
    parts = [kind, described(before, frames), described(after, frames), (there - here) / HALF]
    return torch.cat(parts, 1), (torch.stack([here, there], 1) - MIDDLE) / HALF


def described(rows: Rows, frames: Float[Tensor, " edit"]) -> Float[Tensor, "edit described"]:
    """An object and its ground in one frame each: all but its place, in numbers of about one."""
    shape = column(rows, "shape").long()
    hue, background = (torch.deg2rad(column(rows, name))[:, None] for name in ("hue", "background_hue"))
    pose = torch.deg2rad(pose_of(rows) + frames * column(rows, "rotation"))
    order = ORDER_OF.to(rows.device)[shape]
    turned = torch.stack([f(n * pose) * (order == n) for n in ORDERS for f in (torch.cos, torch.sin)], 1)
    parts = [
        F.one_hot(shape, len(SHAPES)).to(rows),
        torch.cat([hue.cos(), hue.sin(), background.cos(), background.sin()], 1),
        (column(rows, "light")[:, None] - 0.75) / 0.25,
        (column(rows, "size")[:, None] - SIZE) / SPREAD,
        turned,
        velocity(rows),
    ]
    return torch.cat(parts, 1)
