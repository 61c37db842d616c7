"""A small learned reader of moving shapes: a second opinion on the shape, and features for distances."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from latentlab.data.moving.factors import FACTORS, NAMES, SHAPES
from latentlab.shapes import Video
from latentlab.weights import read_network, shipped

FRAMES = 4  # looked at, evenly spaced


@dataclass(frozen=True)
class ReaderConfig:
    """Width of the features of one frame."""

    width: int = 64


class Reader(nn.Module):
    """Convolutional reader: features of four frames, their mean and their change, then every factor at once.

    It has never seen a generated clip, so it can judge them; `measure` reads all other factors without learning.
    """

    def __init__(self, config: ReaderConfig | None = None) -> None:
        super().__init__()
        self.config = config or ReaderConfig()
        w = self.config.width
        sizes = (3, w // 4, w // 2, w, w)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(sizes):
            layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.GroupNorm(8, outputs), nn.SiLU()]
        self.frame = nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * w, w))
        self.head = nn.Sequential(nn.SiLU(), nn.Linear(2 * w, 2 * w), nn.SiLU(), nn.Linear(2 * w, len(target_names())))

    def features(self, video: Video) -> Float[Tensor, "batch feature"]:
        """Mean over time beside last minus first: the second half sees motion, which a mean alone is blind to."""
        last = video.shape[2] - 1
        picks = [round(i * last / (FRAMES - 1)) for i in range(FRAMES)]
        seen = self.frame(rearrange(video[:, :, picks], "b c f h w -> (b f) c h w"))
        seen = rearrange(seen, "(b f) d -> b f d", f=FRAMES)
        return torch.cat([seen.mean(1), seen[:, -1] - seen[:, 0]], dim=1)

    def forward(self, video: Video) -> Float[Tensor, "batch target"]:
        """Shape scores, then the other factors scaled to [-1, 1] and circular ones as (cos, sin)."""
        return self.head(self.features(video))

    @torch.no_grad()
    def read_shape(self, video: Video) -> list[str]:
        """Name of the shape in each clip."""
        return [SHAPES[int(i)] for i in self(video)[:, : len(SHAPES)].argmax(1)]


def target_names() -> list[str]:
    """One name for each output of the reader."""
    rest = [f for f in FACTORS if f.name not in ("shape", "blur")]
    return [f"shape={s}" for s in SHAPES] + [
        name for f in rest for name in ([f"{f.name}@0", f"{f.name}@90"] if f.kind == "circular" else [f.name])
    ]


def targets(factors: Float[Tensor, "sample factor"]) -> Float[Tensor, "sample target"]:
    """What the reader should say of clips with these factors, in the order of `target_names`."""
    columns = [torch.nn.functional.one_hot(factors[:, 0].long(), len(SHAPES)).to(factors.dtype)]
    for spec in FACTORS:
        value = factors[:, NAMES.index(spec.name), None]
        if spec.kind == "circular":
            angle = torch.deg2rad(value)
            # A resting shape has no direction: its pair shrinks to zero with the speed.
            weight = factors[:, NAMES.index("speed"), None] / 0.75 if spec.name == "direction" else 1.0
            columns += [angle.cos() * weight, angle.sin() * weight]
        elif spec.name not in ("shape", "blur"):
            columns.append(2 * (value - spec.low) / (spec.high - spec.low) - 1)
    return torch.cat(columns, dim=1)


def load_reader() -> Reader:
    """The reader that ships with latentlab."""
    with shipped() as folder:
        reader = read_network(folder / "reader.safetensors", lambda config: Reader(ReaderConfig(**config)))
    return reader.eval().requires_grad_(False)
