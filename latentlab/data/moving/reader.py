"""A small learned reader of moving shapes: a second opinion on the shape, and features for distances.

With `objects=2` it reads scenes: how many objects there are, and of each, from left to right, what it is and where.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from latentlab.data.moving.factors import FACTORS, NAMES, NUM_FRAMES, SHAPES, SIDE
from latentlab.data.moving.scene import Object, Scene
from latentlab.data.moving.scenes import SIZES
from latentlab.networks import ReaderConfig
from latentlab.shapes import Video
from latentlab.weights import read_network, shipped

FRAMES = 4  # looked at, evenly spaced


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
        self.head = nn.Sequential(nn.SiLU(), nn.Linear(2 * w, 2 * w), nn.SiLU(), nn.Linear(2 * w, len(self.names)))

    @property
    def names(self) -> list[str]:
        """One for each output."""
        return target_names() if self.config.objects == 1 else scene_target_names()

    @property
    def choices(self) -> list[slice]:
        """Outputs that are scores of one choice: a shape, the number of objects."""
        what = [name.split("=")[0] if "=" in name else "" for name in self.names]
        return [slice(what.index(w), what.index(w) + what.count(w)) for w in dict.fromkeys(what) if w]

    def features(self, video: Video) -> Float[Tensor, "batch feature"]:
        """Mean over time beside last minus first: the second half sees motion, which a mean alone is blind to."""
        last = video.shape[2] - 1
        picks = [round(i * last / (FRAMES - 1)) for i in range(FRAMES)]
        seen = self.frame(rearrange(video[:, :, picks], "b c f h w -> (b f) c h w"))
        seen = rearrange(seen, "(b f) d -> b f d", f=FRAMES)
        return torch.cat([seen.mean(1), seen[:, -1] - seen[:, 0]], dim=1)

    def forward(self, video: Video) -> Float[Tensor, "batch target"]:
        """Scores of choices, the other factors scaled to [-1, 1] and circular ones as (cos, sin); see `names`."""
        return self.head(self.features(video))

    @torch.no_grad()
    def read_shape(self, video: Video) -> list[str]:
        """Name of the shape in each clip, of two objects that of the one further left."""
        first = self.names.index(f"shape={SHAPES[0]}")
        return [SHAPES[int(i)] for i in self(video)[:, first : first + len(SHAPES)].argmax(1)]

    @torch.no_grad()
    def read_count(self, video: Video) -> np.ndarray:
        """How many objects are in each clip."""
        if self.config.objects == 1:
            return np.ones(len(video), dtype=int)
        return self(video)[:, self.choices[0]].argmax(1).cpu().numpy()


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


def scene_target_names() -> list[str]:
    """One name for each output of the reader of scenes."""
    names = [f"objects={n}" for n in range(3)]
    for end in ("", ".2"):
        names += [f"shape{end}={s}" for s in SHAPES]
        names += [f"hue{end}@0", f"hue{end}@90"]
        names += [f"{name}{end}" for name in ("size", "start_x", "start_y", "end_x", "end_y")]
    return [*names, "background_hue@0", "background_hue@90", "light"]


def scene_targets(scenes: Sequence[Scene]) -> Float[Tensor, "sample target"]:
    """What the reader should say of these scenes, in the order of `scene_target_names`; NaN of an absent object."""
    return torch.tensor([_scene_targets(scene) for scene in scenes])


def _scene_targets(scene: Scene) -> list[float]:
    times = np.arange(NUM_FRAMES, dtype=float)
    seen = [(scene.camera.see(shape.centre(times), times), shape) for shape in scene.objects]
    row = [float(len(seen) == n) for n in range(3)]
    seen = sorted(seen, key=lambda pair: pair[0][:, 0].mean())
    for places, shape in [*seen, *[(None, None)] * (2 - len(seen))]:
        row += [np.nan] * (len(SHAPES) + 7) if shape is None else _object_targets(shape, places)
    return [*row, *_turn(scene.background_hue), 4 * scene.light - 3]


def _object_targets(shape: Object, places: np.ndarray) -> list[float]:
    kind = [float(shape.shape == i) for i in range(len(SHAPES))]
    ends = (places[[0, -1]] / (SIDE / 2) - 1).ravel().tolist()
    return [*kind, *_turn(shape.hue), 2 * (shape.size - SIZES[0]) / (SIZES[1] - SIZES[0]) - 1, *ends]


def _turn(degrees: float) -> list[float]:
    return [float(np.cos(np.deg2rad(degrees))), float(np.sin(np.deg2rad(degrees)))]


def load_reader() -> Reader:
    """The reader that ships with latentlab."""
    with shipped() as folder:
        reader = read_network(folder / "reader.safetensors", lambda config: Reader(ReaderConfig(**config)))
    return reader.eval().requires_grad_(False)
