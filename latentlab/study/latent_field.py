"""Edits from labelled clips, without pairs: a network draws latents from factors; two drawings differ by the edit.

What a cell of a frame's latents holds follows from the factors and from where the cell lies from the object, so that a
few thousand labelled frames are some hundred thousand examples of one small function (a coordinate network, as Sitzmann
et al. 2020). The factors of a clip are read by a network of the same frames, and then moved until its drawing comes
nearest to the clip (analysis by synthesis).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from tqdm.auto import trange

from latentlab.checks import Count, Seed, clear_errors
from latentlab.data.moving.edits import (
    CONDITION,
    ORDER_OF,
    ORDERS,
    POSE,
    READING,
    centre,
    column,
    reading,
    reading_loss,
    rows_of,
)  # fmt: skip
from latentlab.data.moving.factors import NAMES, NUM_FRAMES, SIDE, FactorSampler
from latentlab.data.moving.render import draw_scene
from latentlab.data.moving.scene import Scene
from latentlab.generator.generator import Generator
from latentlab.generator.networks.edits import EditConfig, latent_reader
from latentlab.shapes import Latents
from latentlab.study.change import Change
from latentlab.study.edit_space import DIRECTION_SEED

NEAR = 1.5  # cells, width of the window within which an object's outline is told finely
OUTLINE = (1, 2)  # quarter turns a cell of the waves that tell it
LEARNED = 16, 8  # cells of a frame that are learned at a time: the nearest to the object, and any
READ_FRAMES = 4  # of a clip, on which its factors are moved
MOVED = {"hue": 10.0, "size": 0.1, "start_x": 0.3, "start_y": 0.3, "background_hue": 10.0, "light": 0.02}
NOISE = 0.05  # standard deviation of what is added to latents that are read


class LatentField(nn.Module):
    """Latents of frames, cell by cell, as a function of the factors.

    Args:
        channels: of the latents.
        side: cells along a frame.
        width, depth: of the network.
        reader_width: of the one that reads factors.
    """

    def __init__(self, channels: int, side: int, width: int = 128, depth: int = 3, reader_width: int = 32) -> None:
        super().__init__()
        self.side = side
        inputs = READING + 3 + 4 * len(OUTLINE)
        self.enter = nn.Linear(inputs, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
            for _ in range(depth)
        )
        self.leave = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, channels))
        self.reader = latent_reader(
            EditConfig(
                latent_channels=channels, side=side, condition=CONDITION, reading=READING, reader_width=reader_width
            )
        )

    def forward(
        self, rows: Float[Tensor, "frame factor"], frames: Float[Tensor, " frame"]
    ) -> Float[Tensor, "frame channel side side"]:
        """The latents of frames.

        Args:
            rows: factors of the clip, in the order of `FACTORS`, with the pose behind them or without.
            frames: number of the frame.
        """
        return rearrange(self.cells(rows, frames, self.places(rows)), "f (h w) c -> f c h w", h=self.side)

    def places(self, like: Tensor) -> Float[Tensor, "1 cell 2"]:
        """Where the cells are, pixels from the left and the top."""
        at = (torch.arange(self.side, device=like.device, dtype=like.dtype) + 0.5) * (SIDE / self.side)
        return torch.stack(torch.meshgrid(at, at, indexing="xy"), -1).flatten(0, 1)[None]

    def cells(
        self,
        rows: Float[Tensor, "frame factor"],
        frames: Float[Tensor, " frame"],
        places: Float[Tensor, "#frame cell 2"],
    ) -> Float[Tensor, "frame cell channel"]:
        """The same of some cells of each frame."""
        told = reading(rows, frames)
        own = ORDER_OF.to(rows.device)[column(rows, "shape").long()]
        seen = torch.stack([own == n for n in ORDERS for _ in range(2)], 1)  # turns of another symmetry tell nothing
        told = torch.cat([told[:, : -2 * len(ORDERS)], told[:, -2 * len(ORDERS) :] * seen], 1)
        off = (places - centre(rows, frames)[:, None]) / (SIDE / self.side)
        near = torch.exp(-off.square().sum(-1, keepdim=True) / (2 * NEAR**2))
        waves = [near * f(torch.pi / 2 * k * off) for k in OUTLINE for f in (torch.sin, torch.cos)]
        x = self.enter(torch.cat([off / 4, near, *waves, told[:, None].expand(-1, places.shape[1], -1)], -1))
        for block in self.blocks:
            x = x + block(x)
        return self.leave(x)

    def read(self, latents: Float[Tensor, "frame channel side side"]) -> Float[Tensor, "frame reading"]:
        """What each frame shows, at a first look."""
        at = (torch.arange(self.side, device=latents.device) + 0.5) * (4 / self.side) - 2
        cells = torch.stack(torch.meshgrid(at, at, indexing="xy"))[None].to(latents)
        return self.reader(torch.cat([latents, cells.expand(len(latents), -1, -1, -1)], 1))

    def fitted(self, latents: Latents, steps: int = 40) -> Float[Tensor, "clip factor"]:
        """The factors of clips, the pose behind them: as read, and then moved until their drawing comes nearest."""
        clips, frames = len(latents), latents.shape[2]
        with torch.no_grad():
            said = self.read(rearrange(latents, "b c f h w -> (b f) c h w"))
            rows = rows_of(rearrange(said, "(b f) n -> b f n", b=clips))
        picks = torch.linspace(0, frames - 1, min(READ_FRAMES, frames), device=latents.device).round()
        shown = rearrange(latents[:, :, picks.long()], "b c f h w -> (b f) c h w")
        number = picks.repeat(clips)
        angle = torch.deg2rad(column(rows, "direction"))
        way = column(rows, "speed")[:, None] * torch.stack([angle.cos(), -angle.sin()], 1)
        spin = rows[:, [NAMES.index("rotation"), POSE]]
        moves = [torch.zeros(clips, n, device=latents.device, requires_grad=True) for n in (len(MOVED), 2, 2)]
        scale = torch.tensor([*MOVED.values()], device=latents.device)
        optimizer = torch.optim.Adam(moves, lr=0.1)

        def moved() -> Tensor:
            after = [rows[:, i] for i in range(rows.shape[1])]
            for name, move in zip(MOVED, (moves[0] * scale).unbind(1), strict=True):
                after[NAMES.index(name)] = after[NAMES.index(name)] + move
            now = way + 0.03 * moves[1]
            after[NAMES.index("speed")] = now.square().sum(1).add(1e-8).sqrt()
            after[NAMES.index("direction")] = torch.rad2deg(torch.atan2(-now[:, 1], now[:, 0] + 1e-8)) % 360
            turned = spin + moves[2] * spin.new_tensor([0.3, 3.0])
            after[NAMES.index("rotation")], after[POSE] = turned.unbind(1)
            return torch.stack(after, 1)

        with torch.enable_grad():
            for _ in range(steps):
                optimizer.zero_grad()
                error = (self(moved().repeat_interleave(len(picks), 0), number) - shown).square()
                error.flatten(1).sum(1).sum().backward()
                optimizer.step()
        return moved().detach()


@clear_errors
@torch.random.fork_rng(devices=[])
def fit_field(
    latents: Float[Tensor, "frame channel side side"],
    rows: Float[Tensor, "frame factor"],
    frames: Float[Tensor, " frame"],
    *,
    steps: Count = 2000,
    reader_steps: Count = 500,
    batch: Count = 64,
    seed: Seed = 0,
) -> LatentField:
    """Learns to draw frames from their factors, and to read the factors, from labelled frames alone.

    Args:
        latents: of single frames.
        rows: factors of their clips.
        frames: their numbers.
        steps, reader_steps: of the two networks.
        batch: frames a step.
        seed: of both.

    >>> import latentlab as ll
    >>> rows, frames = torch.from_numpy(ll.data.moving_shapes(2)[1].values).float(), torch.zeros(2)
    >>> fit_field(torch.zeros(2, 6, 8, 8), rows, frames, steps=1, reader_steps=1)(rows, frames).shape
    torch.Size([2, 6, 8, 8])
    """
    latents, rows, frames = latents.detach().float(), rows.detach().float(), frames.detach().float()
    if latents.ndim != 4 or not len(latents) == len(rows) == len(frames) > 0:
        shapes = ", ".join(str(tuple(x.shape)) for x in (latents, rows, frames))
        raise ValueError(f"latents, factors and numbers of the same frames are needed, got shapes {shapes}")
    if not rows.isfinite().all() or not frames.isfinite().all() or not latents.isfinite().all():
        raise ValueError("latents, factors and numbers of frames are finite, got NaN or infinity")
    torch.manual_seed(seed)
    field = LatentField(latents.shape[1], latents.shape[2])
    draw, read = [p for name, p in field.named_parameters() if "reader" not in name], [*field.reader.parameters()]
    for parameters, count in ((draw, steps), (read, reader_steps)):
        optimizer = torch.optim.AdamW(parameters, lr=2e-3, weight_decay=1e-4)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=max(count, 2), pct_start=0.05)
        for step in range(count):
            picks = torch.from_numpy(np.random.default_rng([seed, step]).integers(len(latents), size=batch))
            shown, told, number = latents[picks].float(), rows[picks], frames[picks]
            if parameters is draw:
                places = field.places(told).expand(batch, -1, -1)
                nearest = (places - centre(told, number)[:, None]).norm(dim=2).argsort(1)[:, : LEARNED[0]]
                cells = torch.cat([nearest, torch.randint(places.shape[1], (batch, LEARNED[1]))], 1)[..., None]
                drawn = field.cells(told, number, places.gather(1, cells.expand(-1, -1, 2)))
                wanted = shown.flatten(2).transpose(1, 2)
                loss = (drawn - wanted.gather(1, cells.expand(-1, -1, wanted.shape[2]))).square().mean()
            else:
                loss = reading_loss(field.read(shown + NOISE * torch.randn_like(shown)), reading(told, number))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return field.eval().requires_grad_(False)


@torch.no_grad()
def field_of_labels(
    generator: Generator, *, labelled: int = 1000, frames: int = 6, seed: int = 0, progress: bool = False
) -> LatentField:
    """A field from freshly rendered clips whose factors are known; no two of them belong together.

    Args:
        generator: the model.
        labelled: how many clips.
        frames: of each that are drawn and encoded.
        seed: of the clips, and of `fit_field`.
        progress: show a bar.
    """
    sampler, latents, rows, numbers = FactorSampler(DIRECTION_SEED + seed), [], [], []
    for index in trange(labelled, desc="encoding labelled clips", disable=not progress or None):
        row = sampler(index)
        number = np.sort(np.random.default_rng([seed, index]).choice(NUM_FRAMES, frames, replace=False))
        pixels, _, _ = draw_scene(Scene.of(dict(zip(NAMES, row, strict=True))), number)
        video = torch.from_numpy(pixels).float().mul(2).sub(1).permute(0, 3, 1, 2)[:, :, None]
        latents.append(generator.encode(video)[:, :, 0].cpu())
        rows += [row] * frames
        numbers += [*number]
    told = torch.from_numpy(np.stack(rows)).float(), torch.tensor(numbers).float()
    with torch.enable_grad():
        return fit_field(torch.cat(latents), *told, seed=seed)


@dataclass(frozen=True, eq=False)
class FieldEdit:
    """An edit by the difference of two drawings of a field; a strength of 1 is the change asked for.

    Where the object is to move, turn or change its outline, what the drawing leaves unexplained near it stays behind.
    """

    field: LatentField
    change: Change
    given: str = "labels"

    def apply(self, latents: Latents, strength: float = 1.0) -> Latents:
        if not strength:
            return latents.clone()
        before = self.field.fitted(latents.float())
        after = torch.from_numpy(np.stack([self.change.after(row, strength=strength) for row in before.cpu().numpy()]))
        clips, frames = len(latents), latents.shape[2]
        number = torch.arange(frames, device=latents.device).repeat(clips).to(before)
        each = [rows.to(before).repeat_interleave(frames, 0) for rows in (before, after)]
        drawn, wanted = (self.field(rows, number) for rows in each)
        rest = rearrange(latents.float(), "b c f h w -> (b f) c h w") - drawn
        if self.change.name not in ("hue", "background_hue", "light"):
            rest = rest * torch.stack([self._far(rows, number) for rows in each]).amin(0)
        return rearrange(wanted + rest, "(b f) c h w -> b c f h w", b=clips)

    def _far(self, rows: Tensor, frames: Tensor) -> Float[Tensor, "frame 1 side side"]:
        """1 where the object is not, 0 where it is."""
        cell = SIDE / self.field.side
        off = (self.field.places(rows) - centre(rows, frames)[:, None]).norm(dim=2)
        far = (off - 1.4 * column(rows, "size")[:, None] - cell / 2) / cell
        return far.clamp(0, 1).unflatten(1, (1, self.field.side, self.field.side))
