"""What a change of one factor is in each frame: the condition of the edit network, and what its reader is to say.

A row is `(factor,)` in the order of `FACTORS`, of the one object that is edited. In a frame, a change of direction or
of speed is a move, and a change of rotation a turn; by how much, follows from the two rows and the frame's number.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from latentlab.data.moving.factors import NAMES, SHAPES

EDITS = ("hue", "background_hue", "light", "size", "place", "direction", "speed", "shape", "rotation")
PLACE = ("start_x", "start_y")  # the factors that an edit of the place changes
ORDERS = (3, 4, 5)  # turns that map a triangle, a square and a cross, a star onto themselves
ORDER_OF = torch.tensor([0, 4, 3, 5, 4])  # of each shape; a circle has none
POSE = len(
    NAMES
)  # the column behind a row's factors: the angle of the shape in frame 0, degrees, which the world has 0
CONDITION, READING = 38, 19  # numbers a frame
MIDDLE, HALF = 32.0, 16.0  # pixels: places are told as (x - MIDDLE) / HALF
SIZE, SPREAD = 6.85, 2.35  # pixels, middle and half of the range
WHERE = slice(11, 13)  # of a reading: the place
EXACT = 16.0  # how much more errors of the place count: half a pixel at either end of a path turns it by ten degrees
SLOW = 0.05  # pixels a frame, below which a read motion has no direction

Rows = Float[Tensor, "edit factor"]


def column(rows: Rows, name: str) -> Float[Tensor, " edit"]:
    """One factor of rows."""
    return rows[:, NAMES.index(name)]


def centre(rows: Rows, frames: Float[Tensor, " edit"]) -> Float[Tensor, "edit 2"]:
    """Where the object is in a frame, pixels from the left and the top.

    >>> row = torch.tensor([[3, 0, 6, 32, 32, 90, 0.5, 0, 240, 1, 0]])
    >>> centre(row, torch.tensor([4.0])).round(decimals=3)
    tensor([[32., 30.]])
    """
    return torch.stack([column(rows, name) for name in PLACE], 1) + frames[:, None] * velocity(rows)


def velocity(rows: Rows) -> Float[Tensor, "edit 2"]:
    """Pixels a frame, right and down."""
    angle = torch.deg2rad(column(rows, "direction"))
    return column(rows, "speed")[:, None] * torch.stack([angle.cos(), -angle.sin()], 1)


def condition(
    before: Rows, after: Rows, edit: Int[Tensor, " edit"], frames: Float[Tensor, " edit"]
) -> tuple[Float[Tensor, "edit condition"], Float[Tensor, "edit 2 2"]]:
    """What the edit network is told of one frame each.

    Args:
        before, after: factors of the clip and those wanted, with the `POSE` behind them or without.
        edit: which of `EDITS` it is; what the two rows say of other factors does not matter.
        frames: number of the frame.

    Returns:
        The condition: which edit, its values, its moves and turns in this frame, zeros for what it leaves alone. And
        the place of the object before and after, as (x - 32) / 16.
    """
    kind = F.one_hot(edit, len(EDITS)).to(before)
    one = dict(zip(EDITS, kind.T[..., None], strict=True))
    hue, background = (torch.deg2rad(column(after, name))[:, None] for name in ("hue", "background_hue"))
    moves = one["place"] + one["direction"] + one["speed"]
    here = centre(before, frames)
    there = here + moves * (centre(after, frames) - here)
    turned = torch.deg2rad(frames * (column(after, "rotation") - column(before, "rotation")))
    pose = torch.deg2rad(pose_of(before) + frames * column(after, "rotation"))
    drawn = one["shape"] + one["rotation"]
    parts = [
        kind,
        one["hue"] * torch.cat([hue.cos(), hue.sin()], 1),
        one["background_hue"] * torch.cat([background.cos(), background.sin()], 1),
        one["light"] * _pair(column(before, "light"), column(after, "light"), 0.75, 0.25),
        one["size"] * _pair(column(before, "size"), column(after, "size"), SIZE, SPREAD),
        one["shape"] * F.one_hot(column(after, "shape").long(), len(SHAPES)).to(before),
        drawn * _phases(pose),
        one["rotation"] * _phases(turned),
        (there - here) / HALF,
        moves * (velocity(after) - velocity(before)),
    ]
    return torch.cat(parts, 1), (torch.stack([here, there], 1) - MIDDLE) / HALF


def reading(rows: Rows, frames: Float[Tensor, " edit"]) -> Float[Tensor, "edit reading"]:
    """What the reader of latents is to say of one frame each, in the order in which `rows_of` takes it."""
    hue, background = (torch.deg2rad(column(rows, name))[:, None] for name in ("hue", "background_hue"))
    pose = torch.deg2rad(pose_of(rows) + frames * column(rows, "rotation"))
    parts = [
        F.one_hot(column(rows, "shape").long(), len(SHAPES)).to(rows),
        torch.cat([hue.cos(), hue.sin(), background.cos(), background.sin()], 1),
        (column(rows, "light")[:, None] - 0.75) / 0.25,
        (column(rows, "size")[:, None] - SIZE) / SPREAD,
        (centre(rows, frames) - MIDDLE) / HALF,
        _phases(pose),
    ]
    return torch.cat(parts, 1)


def reading_loss(said: Float[Tensor, "edit reading"], wanted: Float[Tensor, "edit reading"]) -> Float[Tensor, ""]:
    """Cross-entropy of the shape, and squared errors, most of the place; of the pose that of the shape's own order."""
    shape = len(SHAPES)
    order = ORDER_OF.to(said.device)[wanted[:, :shape].argmax(1)]
    own = torch.stack([order == n for n in ORDERS for _ in range(2)], 1)
    off = (said - wanted)[:, shape:].square()
    pose = (off[:, -2 * len(ORDERS) :] * own).mean()
    place = EXACT * (said - wanted)[:, WHERE].square().mean()
    return 0.1 * F.cross_entropy(said[:, :shape], wanted[:, :shape]) + off[:, : -2 * len(ORDERS)].mean() + pose + place


def rows_of(said: Float[Tensor, "clip frame reading"]) -> Rows:
    """Factors of clips, and the pose behind them, from what the reader says of their frames.

    Colours, size and shape are those of the mean frame; place and motion come from the straight line through the places
    by least squares, the rotation from the phase of the shape's own symmetry, which grows evenly.
    """
    shape, hue, background, light, size, place, pose = said.split([5, 2, 2, 1, 1, 2, 6], 2)
    kind = shape.softmax(2).mean(1).argmax(1)
    time = torch.arange(said.shape[1], dtype=said.dtype, device=said.device)
    start, slope = _line(place * HALF + MIDDLE, time)
    order = ORDER_OF.to(said.device)[kind]
    phase = torch.view_as_complex(pose.unflatten(2, (len(ORDERS), 2)).contiguous())
    phase = phase.gather(2, (order - 3).clamp(min=0)[:, None, None].expand(-1, phase.shape[1], 1))[..., 0]
    step = torch.angle((phase[:, 1:] * phase[:, :-1].conj()).sum(1))  # a first guess, so that nothing is to unwrap
    still = phase * torch.exp(-1j * step[:, None] * time)
    mean = still.sum(1)
    begin, rest = _line(torch.angle(still * mean.conj()[:, None])[..., None], time)
    turns = order.clamp(min=1)
    seen = (order > 0).to(said)
    rotation = seen * torch.rad2deg((step + rest[:, 0]) / turns)
    angle = seen * torch.rad2deg((torch.angle(mean) + begin[:, 0]) / turns)
    found = {
        "shape": kind.to(said),
        "hue": _degrees(hue.mean(1)),
        "size": size.mean((1, 2)) * SPREAD + SIZE,
        "start_x": start[:, 0],
        "start_y": start[:, 1],
        "direction": torch.rad2deg(torch.atan2(-slope[:, 1], slope[:, 0])) % 360,
        "speed": slope.norm(dim=1),
        "rotation": rotation,
        "background_hue": _degrees(background.mean(1)),
        "light": light.mean((1, 2)) * 0.25 + 0.75,
        "blur": torch.zeros_like(rotation),  # nobody asks, and nothing here shows it
    }
    return torch.stack([*(found[name] for name in NAMES), angle], 1)


def pose_of(rows: Rows) -> Float[Tensor, " edit"]:
    """The angle in frame 0, degrees."""
    return rows[:, POSE] if rows.shape[1] > POSE else torch.zeros_like(rows[:, 0])


def _pair(before: Tensor, after: Tensor, middle: float, half: float) -> Float[Tensor, "edit 2"]:
    return torch.stack([(after - before) / half, (after - middle) / half], 1)


def _phases(angle: Float[Tensor, " edit"]) -> Float[Tensor, "edit phase"]:
    """Cosine and sine of an angle that is turned once for each symmetry."""
    return torch.stack([f(n * angle) for n in ORDERS for f in (torch.cos, torch.sin)], 1)


def _degrees(pair: Float[Tensor, "clip 2"]) -> Float[Tensor, " clip"]:
    return torch.rad2deg(torch.atan2(pair[:, 1], pair[:, 0])) % 360


def _line(values: Float[Tensor, "clip frame axis"], time: Float[Tensor, " frame"]) -> tuple[Tensor, Tensor]:
    """The line through values by least squares: where it is at time 0, and its slope; a single frame has none."""
    off = time - time.mean()
    slope = (off[:, None] * values).sum(1) / off.square().sum().clamp(min=1e-9)
    return values.mean(1) - slope * time.mean(), slope
