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
import torch.nn.functional as F
from torch import Tensor
from tqdm.auto import tqdm

from latentlab.data.moving.dataset import MovingShapes
from latentlab.data.moving.edits import EDITS, HALF, MIDDLE, PLACE, READING, centre, reading, reading_loss
from latentlab.data.moving.factors import FACTORS, NAMES, SHAPES, SIDE
from latentlab.data.moving.object_edits import KINDS, MOVES, TOLD, told
from latentlab.data.moving.render import draw_scene
from latentlab.data.moving.scene import Scene
from latentlab.data.moving.scenes import OWN
from latentlab.generator.autoencoder import Autoencoder
from latentlab.generator.networks.edits import EditNetwork
from latentlab.store import short_digest
from latentlab.tensors import read_tensors, write_tensors
from latentlab.train.edit_reader import factors_of_object, heat_of, near_places, place_in_frame, train_reading
from latentlab.train.identity import data_identity
from latentlab.train.loop import Tracker, device_for_training, is_main_process, train
from latentlab.train.settings import EditTraining
from latentlab.weights import save_weights

VARIANTS = {
    "hue": 2, "background_hue": 1, "light": 1, "size": 2, "place": 2, "direction": 1, "speed": 1, "shape": 2,
    "rotation": 2,
}  # fmt: skip
DRAWN = tuple(name for name, count in VARIANTS.items() for _ in range(count))  # of a frame, after the frame itself
# Of a batch; what is hardest to learn comes most often.
SHARES = {
    "hue": 0.13, "background_hue": 0.09, "light": 0.06, "size": 0.1, "place": 0.3, "shape": 0.16, "rotation": 0.16,
}  # fmt: skip
SHARD = 64  # frames whose variants lie in one file
EDGE = 10.0  # pixels from the frame's edge that the object's centre keeps
APART = 6.0  # pixels that it keeps from the centre of another
TRIES = 20
# By how much readings of latents are off: pixels, degrees, shares; the network is told as wrongly.
OFF = {"start_x": 0.3, "start_y": 0.3, "size": 0.1, "light": 0.01, "hue": 2.0, "background_hue": 2.0}
WRONG = (*(OFF.get(name, 0.0) for name in NAMES), 2.0)  # and the pose behind them
READING_ALONE = ("read_frames", "read_steps")  # settings of what comes after the pairs


def _pairs() -> dict[str, Tensor]:
    """By the kind of change, the pairs among a frame and its variants that differ in it alone."""
    kinds = ["", *("place" if name in MOVES else name for name in DRAWN)]
    found = {
        kind: [(i, j) for j in range(len(kinds)) for i in range(j) if kinds[j] == kind and kinds[i] in ("", kind)]
        for kind in KINDS
    }
    return {kind: torch.tensor(pairs) for kind, pairs in found.items()}


PAIRS = _pairs()


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
    """Trains on pairs of frames, then the reader on more frames (`train_reading`), and writes `edits.safetensors`.

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
        condition=TOLD,
        reading=READING,
        objects=2,
        autoencoder=autoencoder.encoding(),
    )
    config = replace(config, network=network)
    drawings = draw_frames(data, autoencoder, config, drawn or out / "pairs")
    torch.manual_seed(config.loop.seed)
    model = EditNetwork(config.network)

    def make_batch(step: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([config.loop.seed, step])
        size = config.loop.batch_size
        frames = torch.from_numpy(rng.integers(len(drawings["frame"]), size=size))
        kinds = rng.choice(list(SHARES), size=size, p=list(SHARES.values()))
        pairs = torch.stack([PAIRS[kind][rng.integers(len(PAIRS[kind]))] for kind in kinds])
        back = torch.from_numpy(rng.random(size) < 0.5)  # an edit undone is one as well
        pairs = torch.where(back[:, None], pairs.flip(1), pairs)
        batch = {name: drawings[name][frames[:, None], pairs] for name in ("latents", "rows")}
        edit = torch.tensor([EDITS.index(kind) for kind in kinds])
        return {**batch, "edit": edit, "frame": drawings["frame"][frames], "other": drawings["other"][frames]}

    def loss(net: Any, batch: dict[str, Tensor], generator: torch.Generator):
        before, after = batch["latents"].float().unbind(1)
        rows, frames = batch["rows"], batch["frame"].float()

        def noise(like: Tensor) -> Tensor:
            return torch.randn(like.shape, generator=generator, device=like.device)

        known = rows + noise(rows[:, :1]) * torch.tensor(WRONG, device=rows.device)
        condition, places = told(known[:, 0], known[:, 1], batch["edit"], frames)
        shown, place = after + config.noise * noise(after), (centre(rows[:, 1], frames) - MIDDLE) / HALF
        near = near_places(place, generator)
        edited, said, heat = net(before + config.noise * noise(before), condition, places, shown, near)
        error = (edited - after).square().flatten(1).mean(1)
        read = reading_loss(said, reading(rows[:, 1], frames))
        wanted = heat_of(model.cells(shown, 2), torch.stack([place, batch["other"]], 1))
        found = F.binary_cross_entropy_with_logits(heat, wanted)
        kinds = {
            name: error.detach()[batch["edit"] == EDITS.index(name)].mean() for name in ("place", "shape", "rotation")
        }
        parts = {"edit": error.detach().mean(), "read": read.detach(), "find": found.detach(), **kinds}
        return error.mean() + read + found, parts

    about = {name: value for name, value in asdict(config).items() if name not in ("loop", *READING_ALONE)} | {
        "data": data_identity(data),
        "autoencoder": autoencoder.encoding()[:16],
    }
    trained: Any = train(model, make_batch, loss, config.loop, out, device=where, about=about, tracker=tracker)
    if config.read_steps:
        trained = train_reading(trained, data, autoencoder, out, config, tracker=tracker, drawn=drawn)
    if is_main_process():
        save_weights(out / "edits.safetensors", trained, asdict(config.network), dtype=torch.float16)
    return trained


@torch.inference_mode()
def draw_frames(data: MovingShapes, autoencoder: Autoencoder, config: EditTraining, folder: Path) -> dict[str, Tensor]:
    """Frames and their variants after one edit each; kept, so that a killed run goes on where it was.

    Returns:
        `latents` `(frame, 1 + variant, channel, side, side)` in float16, `rows` `(frame, 1 + variant, factor)` of the
        edited object, with its pose behind, `frame`, its number, and `other`, where another object is, `(frame, 2)`, as
        (x - 32) / 16; NaN where there is none.
    """
    seed, device = config.loop.seed, autoencoder.mean.device
    key = f"{autoencoder.encoding()[:16]}-{short_digest(f'{data_identity(data)} {config.two} {DRAWN}')}-{seed}"
    two = MovingShapes(len(data), data.seed, objects=2)
    shards = []
    firsts = range(0, config.frames, SHARD)
    for first in tqdm(firsts, desc="drawing frames", unit_scale=SHARD, disable=not is_main_process() or None):
        path = folder / f"{key}-{first:06d}.safetensors"
        if not path.exists():
            found = [_frame(data, two, config.two, (seed, k)) for k in range(first, first + SHARD)]
            pixels = torch.cat([video for video, _ in found]).flatten(0, 1)[:, :, None]
            latents = torch.cat([autoencoder.encode(part.to(device)).half().cpu() for part in pixels.split(64)])
            rest = {name: torch.stack([one[name] for _, one in found]) for name in ("rows", "frame", "other")}
            latents = latents[:, :, 0].unflatten(0, (-1, 1 + len(DRAWN)))
            write_tensors(path, "pairs", {}, {"latents": latents, **rest})
        shards.append(read_tensors(path, "pairs", "pairs of frames")[0])
    return {name: torch.cat([shard[name] for shard in shards])[: config.frames] for name in shards[0]}


def _frame(
    data: MovingShapes, two: MovingShapes, share: float, key: tuple[int, int]
) -> tuple[Tensor, dict[str, Tensor]]:
    """One frame of one clip, and the same frame after each edit: pixels `(1, 1 + edit, 3, height, width)`."""
    rng = np.random.default_rng([*key, 11])
    source = two if rng.random() < share else data
    index, frame = int(rng.integers(len(source))), int(rng.integers(data.num_frames))
    end, other = ("", ".2") if source is data or rng.random() < 0.5 else (".2", "")
    names = [spec.name for spec in source.sampler.specs]
    shown = dict(zip(names, source.sampler(index), strict=True))
    if shown[f"shape{end}"] == 0:
        shown[f"rotation{end}"] = 0.0  # as nobody can see it, what becomes of a circle stands upright
    at = np.array([np.inf, np.inf]) if source is data else place_in_frame(shown, other, frame)
    wide = [source is two or k == DRAWN.index("place") for k in range(len(DRAWN))]  # one place of two is anywhere
    changed = [edited_factors(shown, name, end, far, frame, rng, at) for name, far in zip(DRAWN, wide, strict=True)]
    scenes = [Scene.of(one) for one in (shown, *changed)]
    pixels = np.stack([draw_scene(scene, np.array([frame]))[0][0] for scene in scenes])
    video = torch.from_numpy(pixels).float().mul(2).sub(1).permute(0, 3, 1, 2)[None]
    rows = F.pad(torch.stack([factors_of_object(one, end) for one in (shown, *changed)]), (0, 1))
    there = torch.from_numpy(np.where(np.isfinite(at), (at - MIDDLE) / HALF, np.nan)).float()
    return video, {"rows": rows, "frame": torch.tensor(frame), "other": there}


def edited_factors(
    shown: dict[str, float],
    name: str,
    end: str,
    wide: bool,
    frame: int,
    rng: np.random.Generator,
    other: np.ndarray,
) -> dict[str, float]:
    """Factors after one edit of one object, whose centre stays inside the frame.

    Args:
        shown: the factors.
        name: of `EDITS`.
        end: of the object's columns, "" or ".2".
        wide: whether objects are spread over the frame, so that new places are.
        frame: of which the place counts.
        rng: draws the new value.
        other: where another object is, pixels; infinite where there is none.
    """
    for _ in range(TRIES):
        values = {}
        for one in PLACE if name == "place" else (name,):
            spec = FACTORS[NAMES.index(one)]
            low, high = (EDGE, SIDE - EDGE) if wide and name == "place" else (spec.low, spec.high)
            values[one] = rng.uniform(low, high)
            if name == "shape":
                others = [i for i in range(len(SHAPES)) if i != shown[f"shape{end}"]]
                values[one] = float(rng.choice(others))
        changed = shown | {f"{one}{end if one in OWN else ''}": value for one, value in values.items()}
        place = place_in_frame(changed, end, frame)
        inside = place.min() >= EDGE and place.max() <= SIDE - EDGE
        if inside and np.linalg.norm(place - other) >= APART:
            return changed
    return shown
