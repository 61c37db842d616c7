"""Trains the edit network on pairs: frames that are rendered twice, and differ in one factor alone.

Every pair is one of single frames, as the condition says what a factor of motion does to a frame. The renderer draws
them for training only; the trained network needs latents and a condition.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from latentlab.data.moving.dataset import MovingShapes
from latentlab.data.moving.edits import CONDITION, EDITS, HALF, PLACE, READING, centre, condition, reading, reading_loss
from latentlab.data.moving.factors import FACTORS, NAMES, SHAPES
from latentlab.data.moving.render import draw_scene
from latentlab.data.moving.scene import Scene
from latentlab.data.moving.scenes import OWN
from latentlab.generator.autoencoder import Autoencoder
from latentlab.generator.networks.edits import EditNetwork
from latentlab.store import short_digest
from latentlab.tensors import read_tensors, write_tensors
from latentlab.train.identity import data_identity
from latentlab.train.loop import Tracker, device_for_training, is_main_process, train
from latentlab.train.settings import EditTraining
from latentlab.weights import save_weights

DRAWN = (*EDITS, "shape", "rotation")  # edits of one frame; the two that are hardest to learn twice
SHARD = 128  # frames whose pairs lie in one file
EDGE = 10.0  # pixels from the frame's edge that the object's centre keeps
TRIES = 20


def train_edits(
    data: MovingShapes,
    autoencoder: Autoencoder,
    out: Path,
    config: EditTraining | None = None,
    *,
    device: str = "auto",
    tracker: Tracker | None = None,
    drawn: Path | None = None,
) -> EditNetwork:
    """Trains on pairs of frames and writes `edits.safetensors` (float16) to `out`.

    Args:
        data: clips of one steady object.
        autoencoder: makes the latents; its weights are frozen.
        out: folder of the run; a run found there is resumed.
        config: settings.
        device: "auto", "cpu", "cuda", ...
        tracker: called with `(figures, step)`.
        drawn: folder of the pairs, which runs on the same clips may share; None is one in `out`.

    Returns:
        The trained network.
    """
    config = config or EditTraining()
    where = device_for_training(device)
    autoencoder = autoencoder.to(where).eval().requires_grad_(False)
    side = data.size[0] // autoencoder.spatial_compression_ratio
    network = replace(
        config.network,
        latent_channels=autoencoder.config.latent_channels,
        side=side,
        condition=CONDITION,
        reading=READING,
        autoencoder=autoencoder.encoding(),
    )
    config = replace(config, network=network)
    pairs = draw_pairs(data, autoencoder, config, drawn or out / "pairs")
    torch.manual_seed(config.loop.seed)
    model = EditNetwork(config.network)

    def make_batch(step: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([config.loop.seed, step])
        picks = torch.from_numpy(rng.integers(len(pairs["edit"]), size=config.loop.batch_size))
        batch = {name: value[picks] for name, value in pairs.items()}
        back = torch.from_numpy(rng.random(len(picks)) < 0.5)  # an edit undone is one as well
        for name in ("latents", "rows"):
            one, other = batch[name].unbind(1)
            flip = back.view(-1, *[1] * (one.ndim - 1))
            batch[name] = torch.stack([torch.where(flip, other, one), torch.where(flip, one, other)], 1)
        return batch

    def loss(net: Any, batch: dict[str, Tensor], generator: torch.Generator):
        before, after = batch["latents"].float().unbind(1)
        rows, frames = batch["rows"], batch["frame"].float()
        told, places = condition(rows[:, 0], rows[:, 1], batch["edit"], frames)

        def noise(like: Tensor) -> Tensor:
            return torch.randn(like.shape, generator=generator, device=like.device)

        places = places + config.off / HALF * noise(places[:, :1])
        seen = before + config.noise * noise(before)
        alone = ~batch["two"]  # of two objects nobody says which is to be read
        shown, wanted = after[alone], reading(rows[alone, 1], frames[alone])
        edited, said = net(seen, told, places, shown + config.noise * noise(shown))
        error = (edited - after).square().flatten(1).mean(1)
        read = reading_loss(said, wanted)
        hard = {name: error.detach()[batch["edit"] == EDITS.index(name)].mean() for name in ("shape", "rotation")}
        return error.mean() + read, {"edit": error.detach().mean(), "read": read.detach(), **hard}

    about = {name: value for name, value in asdict(config).items() if name != "loop"} | {
        "data": data_identity(data),
        "autoencoder": autoencoder.encoding()[:16],
    }
    trained = train(model, make_batch, loss, config.loop, out, device=where, about=about, tracker=tracker)
    if is_main_process():
        save_weights(out / "edits.safetensors", trained, asdict(config.network), dtype=torch.float16)
    return trained


@torch.inference_mode()
def draw_pairs(data: MovingShapes, autoencoder: Autoencoder, config: EditTraining, folder: Path) -> dict[str, Tensor]:
    """Frames before and after each edit, their factors and numbers; kept, so that a killed run goes on where it was.

    Returns:
        `latents` `(pair, 2, channel, side, side)` in float16, `rows` `(pair, 2, factor)`, `edit` (index into `EDITS`),
        `frame`, and `two`: whether another object is there.
    """
    seed, device = config.loop.seed, autoencoder.mean.device
    key = f"{autoencoder.encoding()[:16]}-{short_digest(f'{data_identity(data)} {config.two} {DRAWN}')}-{seed}"
    two = MovingShapes(len(data), data.seed, objects=2)
    shards = []
    firsts = range(0, config.frames, SHARD)
    for first in tqdm(firsts, desc="drawing pairs", unit_scale=SHARD, disable=not is_main_process() or None):
        path = folder / f"{key}-{first:06d}.safetensors"
        if not path.exists():
            found = [_frame(data, two, config.two, (seed, k)) for k in range(first, min(config.frames, first + SHARD))]
            pixels = torch.cat([video for video, _ in found]).flatten(0, 1)[:, :, None]
            latents = torch.cat([autoencoder.encode(part.to(device)).half().cpu() for part in pixels.split(64)])
            latents = latents[:, :, 0].unflatten(0, (-1, 1 + len(DRAWN)))
            pairs = torch.stack([latents[:, :1].expand_as(latents[:, 1:]), latents[:, 1:]], 2).flatten(0, 1)
            told = {name: torch.cat([one[name] for _, one in found]) for name in ("rows", "edit", "frame", "two")}
            write_tensors(path, "pairs", {}, {"latents": pairs, **told})
        shards.append(read_tensors(path, "pairs", "pairs of frames")[0])
    return {name: torch.cat([shard[name] for shard in shards]) for name in shards[0]}


def _frame(
    data: MovingShapes, two: MovingShapes, share: float, key: tuple[int, int]
) -> tuple[Tensor, dict[str, Tensor]]:
    """One frame of one clip, and the same frame after each edit: pixels `(1, 1 + edit, 3, height, width)`."""
    rng = np.random.default_rng([*key, 11])
    source = two if rng.random() < share else data
    index, frame = int(rng.integers(len(source))), int(rng.integers(data.num_frames))
    end = ".2" if source is two and rng.random() < 0.5 else ""
    names = [spec.name for spec in source.sampler.specs]
    shown = dict(zip(names, source.sampler(index), strict=True))
    if shown[f"shape{end}"] == 0:
        shown[f"rotation{end}"] = 0.0  # as nobody can see it, what becomes of a circle stands upright
    wide = source is two
    changed = [edited_factors(shown, name, end, wide, frame, rng) for name in DRAWN]
    scenes = [Scene.of(one) for one in (shown, *changed)]
    pixels = np.stack([draw_scene(scene, np.array([frame]))[0][0] for scene in scenes])
    video = torch.from_numpy(pixels).float().mul(2).sub(1).permute(0, 3, 1, 2)[None]
    before, *after = (_row(one, end) for one in (shown, *changed))
    rows = torch.stack([torch.stack([before, one]) for one in after])
    count = (len(DRAWN),)
    kinds = torch.tensor([EDITS.index(name) for name in DRAWN])
    told = {"edit": kinds, "frame": torch.full(count, frame), "two": torch.full(count, source is two)}
    return video, {"rows": rows, **told}


def edited_factors(
    shown: dict[str, float], name: str, end: str, wide: bool, frame: int, rng: np.random.Generator
) -> dict[str, float]:
    """Factors after one edit of one object, whose centre stays inside the frame.

    Args:
        shown: the factors.
        name: of `EDITS`.
        end: of the object's columns, "" or ".2".
        wide: whether objects are spread over the frame, so that new places are.
        frame: of which the place counts.
        rng: draws the new value.
    """
    for _ in range(TRIES):
        values = {}
        for one in PLACE if name == "place" else (name,):
            spec = FACTORS[NAMES.index(one)]
            low, high = (EDGE, 64 - EDGE) if wide and name == "place" else (spec.low, spec.high)
            values[one] = rng.uniform(low, high)
            if name == "shape":
                others = [i for i in range(len(SHAPES)) if i != shown[f"shape{end}"]]
                values[one] = float(rng.choice(others))
        changed = shown | {f"{one}{end if one in OWN else ''}": value for one, value in values.items()}
        place = centre(_row(changed, end)[None], torch.tensor([float(frame)]))
        if place.min() >= EDGE and place.max() <= 64 - EDGE:
            return changed
    return shown


def _row(shown: dict[str, float], end: str) -> Tensor:
    """The factors of one object, in the order of `FACTORS`."""
    return torch.tensor([shown[f"{name}{end if name in OWN else ''}"] for name in NAMES], dtype=torch.float32)
