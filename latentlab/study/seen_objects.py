"""What the edit network sees in the latents of clips: none, one or two objects, where they are and what they do."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from latentlab.checks import clear_errors
from latentlab.data.moving.edits import HALF, MIDDLE, WHERE, rows_of
from latentlab.generator.networks.edits import EditNetwork
from latentlab.shapes import Latents

SURE = 0.4  # of the heat at an object's centre,
OFTEN = 0.2  # in this share of the frames: two that meet are one for a while
BESIDE = 1.6  # parts of cells around one object in which no other is looked for

Place = tuple[float, float] | Float[Tensor, "clip 2"]


@dataclass(frozen=True)
class SeenObjects:
    """The objects of clips, from left to right in the mean over frames, as `measure` orders them.

    Attributes:
        rows: their factors, and the pose behind them.
        start: where they are in the first frame, pixels from the left and the top.
        there: whether there is such an object.
    """

    rows: Float[Tensor, "clip object factor"]
    start: Float[Tensor, "clip object 2"]
    there: Bool[Tensor, "clip object"]

    @clear_errors
    def index(self, object: int, at: Place | None = None) -> Int[Tensor, " clip"]:
        """Which of its objects is meant in each clip.

        Args:
            object: 0 is the first, 1 the second.
            at: a place in the first frame, pixels; the object nearest to it is meant, whatever its number.

        Raises:
            ValueError: a clip that has no such object.
        """
        if at is not None:
            at = torch.as_tensor(at).to(self.start)
            off = (self.start - at.reshape(-1, 1, 2)).norm(dim=2)
            return torch.where(self.there, off, torch.inf).argmin(1)
        if object >= self.there.shape[1] or not self.there[:, object].all():
            raise ValueError("the edit network sees one object in the clip, and the second was asked for")
        return torch.full((len(self.rows),), object, device=self.rows.device)


@torch.no_grad()
@clear_errors
def seen_objects(network: EditNetwork, latents: Latents) -> SeenObjects:
    """What an edit network sees; one of single objects takes each clip for one.

    Args:
        network: that finds and reads objects.
        latents: of clips, on the network's device.

    Raises:
        ValueError: latents of another size or channels, or that are not finite.
    """
    c, clips = network.config, len(latents)
    if latents.ndim != 5 or latents[:, :, 0].shape != (clips or 1, c.latent_channels, c.side, c.side):
        asked = f"(clip, {c.latent_channels}, frame, {c.side}, {c.side})"
        raise ValueError(f"this edit network takes latents {asked}, got {tuple(latents.shape)}")
    if not latents.isfinite().all():
        raise ValueError("latents hold NaN or infinity")
    each = rearrange(latents.float(), "b c f h w -> (b f) c h w")
    if network.config.objects == 1:
        said = rearrange(network.read(each), "(b f) n -> b 1 f n", b=clips)
        there = torch.ones(clips, 1, dtype=torch.bool, device=latents.device)
    else:
        heat = rearrange(network.find(each).sigmoid(), "(b f) h w -> b f h w", b=clips)
        places, sure = peaks(heat)
        there = torch.stack(
            [torch.ones_like(sure[..., 0, 0], dtype=torch.bool), sure[..., 1].quantile(1 - OFTEN, dim=1) > SURE], 1
        )
        clear = sure[..., 1].argmax(1)  # the frame in which two are told apart best
        said = _followed(network, latents.float(), places[torch.arange(clips), clear], clear)
    rows = torch.stack([rows_of(one) for one in said.unbind(1)], 1)
    middle = torch.where(there, said[..., WHERE.start].mean(2), torch.inf)
    order = middle.argsort(1)
    pick = torch.arange(clips, device=latents.device)[:, None]
    start = (said[:, :, 0, WHERE] * HALF + MIDDLE)[pick, order]
    return SeenObjects(rows[pick, order], start, there[pick, order])


@clear_errors
def peaks(heat: Float[Tensor, "clip frame fine fine"]) -> tuple[Tensor, Tensor]:
    """The two hottest cells of each frame that are not beside each other.

    Returns:
        Their places `(clip, frame, 2, 2)`, x and y from the middle in quarters of the frame, and their heat
        `(clip, frame, 2)`.

    >>> heat = torch.zeros(1, 1, 8, 8)
    >>> heat[0, 0, 2, 3], heat[0, 0, 2, 4], heat[0, 0, 6, 6] = 0.9, 0.8, 0.7
    >>> places, sure = peaks(heat)
    >>> places[0, 0].tolist(), sure[0, 0].tolist() == [heat.max().item(), heat[0, 0, 6, 6].item()]
    ([[-0.25, -0.75], [1.25, 1.25]], True)
    """
    if not heat.isfinite().all():
        raise ValueError("the heat holds NaN or infinity")
    side = heat.shape[-1]
    at = torch.arange(side, device=heat.device, dtype=heat.dtype)
    cells = torch.stack([at.expand(side, side), at[:, None].expand(side, side)], -1).flatten(0, 1)
    found, sure, left = [], [], heat.flatten(2)
    for _ in range(2):
        best = left.max(2)
        centre = cells[best.indices]
        found.append((centre + 0.5) * (4 / side) - 2)
        sure.append(best.values)
        left = torch.where((cells - centre[:, :, None]).norm(dim=-1) < BESIDE, 0.0, left)
    return torch.stack(found, 2), torch.stack(sure, 2)


def _followed(
    network: EditNetwork, latents: Latents, places: Float[Tensor, "clip object 2"], first: Tensor
) -> Float[Tensor, "clip object frame reading"]:
    """What is read of objects, each near where it was in the frame before, to both sides of the first."""
    clips, count, frames = len(latents), places.shape[1], latents.shape[2]
    index = torch.arange(clips, device=latents.device)

    def read(frame: Tensor, near: Tensor) -> Tensor:
        seen = latents[index, :, frame].repeat_interleave(count, 0)
        return network.read(seen, near.flatten(0, 1)).unflatten(0, (clips, count))

    for _ in range(2):  # a cell says it to half of one
        places = read(first, places)[..., WHERE]
    said = torch.zeros(clips, count, frames, network.config.reading, device=latents.device)
    for step in (1, -1):
        near = places
        for k in range(frames):
            frame = (first + step * k).clamp(0, frames - 1)
            now = read(frame, near)
            said[index, :, frame], near = now, now[..., WHERE]
    return said
