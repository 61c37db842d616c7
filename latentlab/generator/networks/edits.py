"""The edit network: changes the latents of a clip as a condition says, and sees the place of the object."""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from latentlab.networks import EditConfig
from latentlab.weights import read_network


class EditNetwork(nn.Module):
    """Residual 3 x 3 convolutions over the latents of a frame, scaled and shifted by the condition (Perez et al. 2018).

    Beside the latents each cell is told where it is, from the frame's middle, and from the object before the edit and
    after it. Where the object is, and how it moves and turns, `read` says.
    """

    def __init__(self, config: EditConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or EditConfig()
        self.tell = nn.Sequential(nn.Linear(c.condition, c.hidden), nn.SiLU(), nn.Linear(c.hidden, c.hidden), nn.SiLU())
        self.enter = nn.Conv2d(c.latent_channels + 8, c.width, 3, padding=1)
        self.blocks = nn.ModuleList(EditBlock(c.width, c.hidden) for _ in range(c.blocks))
        self.leave = nn.Sequential(nn.GroupNorm(8, c.width), nn.SiLU(), nn.Conv2d(c.width, c.latent_channels, 1))
        self.reader = latent_reader(c)

    def forward(
        self,
        latents: Float[Tensor, "frame channel side side"],
        condition: Float[Tensor, "frame condition"],
        places: Float[Tensor, "frame 2 2"],
        shown: Float[Tensor, "other channel side side"] | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Frames after the edit, `(frame, channel, side, side)`.

        Args:
            latents: of single frames.
            condition: what is to change in each.
            places: of the object before and after, x and y from the middle in quarters of the frame.
            shown: frames to `read`, whose reading is then the second of two answers: processes that train together
                exchange the gradients of what one call of the network says.
        """
        told = self.tell(condition)
        x = self.enter(torch.cat([latents, self.coordinates(places)], 1))
        for block in self.blocks:
            x = block(x, told)
        edited = latents + self.leave(x)
        return edited if shown is None else (edited, self.read(shown))

    def read(self, latents: Float[Tensor, "frame channel side side"]) -> Float[Tensor, "frame reading"]:
        """What each frame shows."""
        return self.reader(torch.cat([latents, self.cells(latents).expand(len(latents), -1, -1, -1)], 1))

    def cells(self, like: Tensor) -> Float[Tensor, "1 2 side side"]:
        """Where the cells are, x and y from the middle in quarters of the frame."""
        side = self.config.side
        at = (torch.arange(side, device=like.device, dtype=like.dtype) + 0.5) * (4 / side) - 2
        return torch.stack([at.expand(side, side), at[:, None].expand(side, side)])[None]

    def coordinates(self, places: Float[Tensor, "frame 2 2"]) -> Float[Tensor, "frame 8 side side"]:
        """Where the cells are, seen from the middle and from the object before and after, and which are near it."""
        cells = self.cells(places).expand(len(places), -1, -1, -1)
        off = cells[:, None] - places[..., None, None]
        near = torch.exp(-off.square().sum(2) / (2 * 0.4**2))
        return torch.cat([cells, off.flatten(1, 2), near], 1)


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
    layers: list[nn.Module] = [nn.Conv2d(c.latent_channels + 2, w, 3, padding=1)]
    for _ in range(3):
        layers += [nn.GroupNorm(8, w), nn.SiLU(), nn.Conv2d(w, w, 3, padding=1)]
    layers += [nn.GroupNorm(8, w), nn.SiLU(), nn.Conv2d(w, w // 4, 1), nn.Flatten(), nn.SiLU()]
    return nn.Sequential(*layers, nn.Linear(w // 4 * c.side**2, 2 * w), nn.SiLU(), nn.Linear(2 * w, c.reading))


def load_edits(path: str | Path) -> EditNetwork:
    """The network of a training run: the file that `latentlab train edits` writes.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not such a file.
    """
    network = read_network(Path(path), lambda config: EditNetwork(EditConfig(**config)))
    return network.eval().requires_grad_(False)
