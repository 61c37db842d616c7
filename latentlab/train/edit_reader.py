"""Trains what an edit network reads and finds on frames of many more clips than it learns edits from.

A new direction goes on from the motion that is read: half a pixel off at either end of a path is ten degrees, and of
the few thousand frames of which each is drawn with all its variants the reader learns the places by heart. Single
frames cost a fifteenth.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from tqdm.auto import tqdm

from latentlab.data.moving.dataset import MovingShapes
from latentlab.data.moving.edits import HALF, MIDDLE, centre, reading, reading_loss
from latentlab.data.moving.factors import NAMES
from latentlab.data.moving.render import draw_scene
from latentlab.data.moving.scene import Scene
from latentlab.data.moving.scenes import OWN
from latentlab.generator.autoencoder import Autoencoder
from latentlab.generator.networks.edits import EditNetwork
from latentlab.store import short_digest
from latentlab.tensors import read_tensors, write_tensors
from latentlab.train.identity import data_identity
from latentlab.train.loop import Tracker, is_main_process, train
from latentlab.train.settings import EditTraining

SHARD = 512  # frames in a file
NEAR, FAR = 1.0, 5.0  # pixels by which the place is off near which an object is read: that of a frame before, of a cell
HEAT = 0.2  # quarters of the frame, how far around its centre an object is found


class _Reading(nn.Module):
    """An edit network of which nothing learns but what it reads and finds."""

    def __init__(self, network: EditNetwork) -> None:
        super().__init__()
        self.network = network.train().requires_grad_(False)
        for part in (network.reader, network.finder):
            part.requires_grad_(True)

    def forward(self, latents: Tensor, near: Tensor) -> tuple[Tensor, Tensor]:
        return self.network.read(latents, near), self.network.find(latents)


def train_reading(
    network: EditNetwork,
    data: MovingShapes,
    autoencoder: Autoencoder,
    out: Path,
    config: EditTraining,
    *,
    tracker: Tracker | None = None,
    drawn: Path | None = None,
) -> EditNetwork:
    """Goes on with the reader and the finder of a network of up to two objects; how it edits stays as it is.

    Args:
        network: that was trained on pairs.
        data, autoencoder, out, tracker, drawn: as in `train_edits`.
        config: its `read_frames` and `read_steps`, and the loop, of which all else is the same.
    """
    frames = draw_readings(data, autoencoder, config, drawn or out / "frames")
    loop = replace(config.loop, steps=config.read_steps)

    def make_batch(step: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([loop.seed, step, 1])
        picks = torch.from_numpy(rng.integers(len(frames["frame"]), size=loop.batch_size))
        return {name: values[picks] for name, values in frames.items()}

    def loss(net: nn.Module, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        latents, rows, number = batch["latents"].float(), batch["rows"], batch["frame"].float()
        noise = torch.randn(latents.shape, generator=generator, device=latents.device)
        place = (centre(rows, number) - MIDDLE) / HALF
        said, heat = net(latents + config.noise * noise, near_places(place, generator))
        wanted = heat_of(network.cells(latents, 2), torch.stack([place, batch["other"]], 1))
        read = reading_loss(said, reading(rows, number))
        found = F.binary_cross_entropy_with_logits(heat, wanted)
        return read + found, {"read": read.detach(), "find": found.detach()}

    about = {"pairs": asdict(config.loop), "data": data_identity(data), "autoencoder": autoencoder.encoding()[:16]}
    trained = train(
        _Reading(network), make_batch, loss, loop, out / "reading", device=autoencoder.mean.device, about=about,
        tracker=tracker,
    )  # fmt: skip
    return trained.network


def near_places(place: Float[Tensor, "frame 2"], generator: torch.Generator) -> Float[Tensor, "frame 2"]:
    """Places near an object's own, from which it is to be read."""
    wide = NEAR + (FAR - NEAR) * torch.rand(len(place), 1, generator=generator, device=place.device)
    return place + wide / HALF * torch.randn(place.shape, generator=generator, device=place.device)


def heat_of(
    cells: Float[Tensor, "1 2 fine fine"], places: Float[Tensor, "frame object 2"]
) -> Float[Tensor, "frame fine fine"]:
    """1 at the centres of objects, and less around them; those of an absent one are NaN."""
    off = (cells[:, None] - places[..., None, None]).square().sum(2)
    return torch.exp(-off.nan_to_num(1e9) / (2 * HEAT**2)).amax(1)


@torch.inference_mode()
def draw_readings(
    data: MovingShapes, autoencoder: Autoencoder, config: EditTraining, folder: Path
) -> dict[str, Tensor]:
    """Frames of one object or two, each of another clip; kept, so that a killed run goes on where it was.

    Returns:
        `latents` `(frame, channel, side, side)` in float16, and `rows`, `frame` and `other` as in `draw_frames`.
    """
    seed, device = config.loop.seed, autoencoder.mean.device
    key = f"read-{autoencoder.encoding()[:16]}-{short_digest(f'{data_identity(data)} {config.two}')}-{seed}"
    two, shards = MovingShapes(len(data), data.seed, objects=2), []
    for first in tqdm(
        range(0, config.read_frames, SHARD), desc="drawing frames to read", unit_scale=SHARD,
        disable=not is_main_process() or None,
    ):  # fmt: skip
        rows = range(first, min(config.read_frames, first + SHARD))
        path = folder / f"{key}-{rows.start:06d}-{rows.stop:06d}.safetensors"
        if not path.exists():
            found = [_frame(data, two, config.two, (seed, k)) for k in rows]
            pixels = torch.cat([video for video, _ in found])
            latents = torch.cat([autoencoder.encode(part.to(device)).half().cpu() for part in pixels.split(64)])
            rest = {name: torch.stack([one[name] for _, one in found]) for name in ("rows", "frame", "other")}
            write_tensors(path, "frames", {}, {"latents": latents[:, :, 0], **rest})
        shards.append(read_tensors(path, "frames", "frames to read")[0])
    return {name: torch.cat([shard[name] for shard in shards]) for name in shards[0]}


def _frame(
    data: MovingShapes, two: MovingShapes, share: float, key: tuple[int, int]
) -> tuple[Tensor, dict[str, Tensor]]:
    """One frame of one clip, and one of its objects: pixels `(1, 3, 1, height, width)`."""
    rng = np.random.default_rng([*key, 12])
    source = two if rng.random() < share else data
    index, frame = int(rng.integers(len(source))), int(rng.integers(data.num_frames))
    end, other = ("", ".2") if source is data or rng.random() < 0.5 else (".2", "")
    shown = dict(zip([spec.name for spec in source.sampler.specs], source.sampler(index), strict=True))
    there = np.array([np.nan, np.nan]) if source is data else (place_in_frame(shown, other, frame) - MIDDLE) / HALF
    pixels = draw_scene(Scene.of(shown), np.array([frame]))[0]
    video = torch.from_numpy(pixels).float().mul(2).sub(1).permute(3, 0, 1, 2)[None]
    row = F.pad(factors_of_object(shown, end), (0, 1))
    return video, {"rows": row, "frame": torch.tensor(frame), "other": torch.from_numpy(there).float()}


def place_in_frame(shown: dict[str, float], end: str, frame: int) -> np.ndarray:
    """Where an object is in a frame, pixels."""
    return centre(factors_of_object(shown, end)[None], torch.tensor([float(frame)]))[0].numpy()


def factors_of_object(shown: dict[str, float], end: str) -> Float[Tensor, " factor"]:
    """The factors of one object, in the order of `FACTORS`; `end` is that of its columns, "" or ".2"."""
    return torch.tensor([shown[f"{name}{end if name in OWN else ''}"] for name in NAMES], dtype=torch.float32)
