"""The edit network: changes the latents of a clip as a condition says, and sees the place of the object."""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from latentlab.checks import clear_errors
from latentlab.networks import EditConfig
from latentlab.weights import read_network


class EditNetwork(nn.Module):
    """Residual 3 x 3 convolutions over the latents of a frame, scaled and shifted by the condition (Perez et al. 2018).

    Beside the latents each cell is told where it is, from the frame's middle, and from the object before the edit and
    after it. Where objects are, says `find`, and how each of them moves and turns, `read`. What an object is moved to
    lies far from where it is, so that the network also sees the latents carried there, by whole cells.
    """

    def __init__(self, config: EditConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or EditConfig()
        two = c.objects > 1
        self.tell = nn.Sequential(nn.Linear(c.condition, c.hidden), nn.SiLU(), nn.Linear(c.hidden, c.hidden), nn.SiLU())
        self.enter = nn.Conv2d(2 * c.latent_channels + 11 if two else c.latent_channels + 8, c.width, 3, padding=1)
        self.blocks = nn.ModuleList(EditBlock(c.width, c.hidden) for _ in range(c.blocks))
        self.leave = nn.Sequential(nn.GroupNorm(8, c.width), nn.SiLU(), nn.Conv2d(c.width, c.latent_channels, 1))
        self.reader = latent_reader(c)
        if two:
            last = nn.Conv2d(c.reader_width, 4, 1)
            self.finder = nn.Sequential(
                *_convolutions(c.latent_channels + 2, c.reader_width, 2), last, nn.PixelShuffle(2)
            )

    def forward(
        self,
        latents: Float[Tensor, "frame channel side side"],
        condition: Float[Tensor, "frame condition"],
        places: Float[Tensor, "frame 2 2"],
        shown: Float[Tensor, "other channel side side"] | None = None,
        near: Float[Tensor, "other 2"] | None = None,
    ) -> Tensor | tuple[Tensor, Tensor, Tensor]:
        """Frames after the edit, `(frame, channel, side, side)`.

        Args:
            latents: of single frames.
            condition: what is to change in each.
            places: of the object before and after, x and y from the middle in quarters of the frame.
            shown: frames to `read` and to `find` objects in, which are then the second and third of three answers:
                processes that train together exchange the gradients of what one call of the network says.
            near: where in these an object is read.
        """
        told = self.tell(condition)
        seen = [latents]
        if self.config.objects > 1:
            cells = ((places[:, 1] - places[:, 0]) * self.config.side / 4).round()
            seen.append(moved_by_cells(latents, cells.long()))
            places = torch.cat([places, places[:, :1] + cells[:, None] * 4 / self.config.side], 1)
        x = self.enter(torch.cat([*seen, self.coordinates(places)], 1))
        for block in self.blocks:
            x = block(x, told)
        edited = latents + self.leave(x)
        return edited if shown is None else (edited, self.read(shown, near), self.find(shown))

    def find(self, latents: Float[Tensor, "frame channel side side"]) -> Float[Tensor, "frame fine fine"]:
        """How surely an object's centre lies near each quarter of a cell, as logits; two that meet share a cell."""
        return self.finder(torch.cat([latents, self.cells(latents).expand(len(latents), -1, -1, -1)], 1))[:, 0]

    def read(
        self, latents: Float[Tensor, "frame channel side side"], near: Float[Tensor, "frame 2"] | None = None
    ) -> Float[Tensor, "frame reading"]:
        """What each frame shows, of several objects the one near a place, in quarters of the frame from its middle."""
        if self.config.objects > 1:
            if near is None:
                raise ValueError("of up to two objects, near says which is to be read")
            return self.reader(torch.cat([latents, self.coordinates(near[:, None])], 1))
        return self.reader(torch.cat([latents, self.cells(latents).expand(len(latents), -1, -1, -1)], 1))

    def cells(self, like: Tensor, parts: int = 1) -> Float[Tensor, "1 2 side side"]:
        """Where the cells are, or parts of their sides, x and y from the middle in quarters of the frame."""
        side = self.config.side * parts
        at = (torch.arange(side, device=like.device, dtype=like.dtype) + 0.5) * (4 / side) - 2
        return torch.stack([at.expand(side, side), at[:, None].expand(side, side)])[None]

    def coordinates(self, places: Float[Tensor, "frame place 2"]) -> Float[Tensor, "frame told side side"]:
        """Where the cells are, seen from the middle and from each place, and which are near it."""
        cells = self.cells(places).expand(len(places), -1, -1, -1)
        off = cells[:, None] - places[..., None, None]
        near = torch.exp(-off.square().sum(2) / (2 * 0.4**2))
        return torch.cat([cells, off.flatten(1, 2), near], 1)


def moved_by_cells(
    latents: Float[Tensor, "frame channel side side"], cells: Int[Tensor, "frame 2"]
) -> Float[Tensor, "frame channel side side"]:
    """Frames moved by whole cells, right and down; what comes in repeats the border.

    >>> moved_by_cells(torch.arange(9.0).view(1, 1, 3, 3), torch.tensor([[1, 0]]))[0, 0]
    tensor([[0., 0., 1.],
            [3., 3., 4.],
            [6., 6., 7.]])
    """
    at = torch.arange(latents.shape[-1], device=latents.device)
    columns, rows = ((at - by[:, None]).clamp(0, len(at) - 1) for by in cells.unbind(1))
    frame = torch.arange(len(latents), device=latents.device)[:, None, None]
    return latents.permute(0, 2, 3, 1)[frame, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


class EditBlock(nn.Module):
    """x + conv(silu(scale norm(conv(silu(norm(x)))) + shift))."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.GroupNorm(8, width), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1))
        self.norm, self.modulate = nn.GroupNorm(8, width, affine=False), nn.Linear(hidden, 2 * width)
        self.second = nn.Sequential(nn.SiLU(), nn.Conv2d(width, width, 3, padding=1))

    def forward(self, x: Float[Tensor, "frame width side side"], told: Float[Tensor, "frame hidden"]) -> Tensor:
        scale, shift = self.modulate(told)[:, :, None, None].chunk(2, dim=1)
        return x + self.second(self.norm(self.first(x)) * (1 + scale) + shift)


def latent_reader(c: EditConfig) -> nn.Sequential:
    """Convolutions over the latents of a frame, then all cells at once."""
    w = c.reader_width
    layers = _convolutions(c.latent_channels + (5 if c.objects > 1 else 2), w, 3)
    layers += [nn.Conv2d(w, w // 4, 1), nn.Flatten(), nn.SiLU()]
    return nn.Sequential(*layers, nn.Linear(w // 4 * c.side**2, 2 * w), nn.SiLU(), nn.Linear(2 * w, c.reading))


def _convolutions(inputs: int, width: int, count: int) -> list[nn.Module]:
    layers: list[nn.Module] = [nn.Conv2d(inputs, width, 3, padding=1)]
    for _ in range(count):
        layers += [nn.GroupNorm(8, width), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1)]
    return [*layers, nn.GroupNorm(8, width), nn.SiLU()]


@clear_errors
def load_edits(path: str | Path) -> EditNetwork:
    """The network of a training run: the file that `latentlab train edits` writes.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not such a file.
    """
    network = read_network(Path(path), lambda config: EditNetwork(EditConfig(**config)))
    return network.eval().requires_grad_(False)
