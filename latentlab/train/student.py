"""Distils a denoiser: a student learns to go in a few steps, at a guidance that it is told, where it goes in many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from tqdm.auto import tqdm

from latentlab.checks import clear_errors
from latentlab.generator.denoiser import Denoiser, DenoiserConfig
from latentlab.generator.native import NativeGenerator
from latentlab.generator.networks.student import StudentConfig, StudentDenoiser
from latentlab.generator.solver import solve
from latentlab.generator.student import StudentGenerator
from latentlab.store import short_digest
from latentlab.tensors import read_tensors, write_tensors
from latentlab.train.clip_model import CaptionedClips
from latentlab.train.denoiser import begin_from
from latentlab.train.identity import data_identity
from latentlab.train.loop import Tracker, device_for_training, is_main_process, train
from latentlab.train.order import epoch_order
from latentlab.train.settings_beside import StudentTraining
from latentlab.weights import fingerprint, save_weights

BATCH = 16  # paths that are walked together, under one guidance
SILENT = 0.1  # share of the paths under the empty caption


@clear_errors
def train_student(
    generator: NativeGenerator,
    data: CaptionedClips,
    out: Path,
    config: StudentTraining | None = None,
    *,
    tracker: Tracker | None = None,
) -> StudentGenerator:
    """Trains a student and writes `denoiser.safetensors` to `out`.

    The teacher walks from noise to clips under the captions of `data`, by "ddim" and with guidance. At each level s of
    its own the student is to answer with the mean velocity down to its next level t,

        v(y_s, s, w) = (y_s - y_t) / (s - t),

    (Salimans & Ho 2022, algorithm 2, in velocities), told the guidance w (Meng et al. 2023). It begins as the teacher.
    The states are those that the teacher comes through, so nothing but captions is asked of the data.

    Args:
        generator: the teacher, of latentlab's own with a U-Net; it may be a student of more steps (progressively).
        data: clips, for their captions.
        out: folder of the run; a run found there is resumed.
        config: settings.
        tracker: called with `(figures, step)`.

    Returns:
        The student's generator.

    Raises:
        ValueError: another teacher, or steps that do not divide its own.
    """
    config = config or StudentTraining()
    where, clip_model, teacher = device_for_training(str(generator.device)), generator.clip_model, generator.denoiser
    if not isinstance(teacher, Denoiser):
        raise ValueError(f"a student is taught by a U-Net, got {type(teacher).__name__}")
    walked = _levels(generator, config)
    levels = walked[:: (len(walked) - 1) // config.steps]
    guidances = _guidances(generator, config)
    shape = {f.name: getattr(teacher.config, f.name) for f in fields(DenoiserConfig)}
    taught = StudentConfig(
        **shape, levels=tuple(levels.tolist()), guidances=guidances, teacher=fingerprint(teacher)[:16]
    )
    count, seed = min(config.paths, len(data)), config.loop.seed
    silent = np.random.default_rng([seed, 3]).random(count) < SILENT
    said = ["" if silent[i] else data.caption(i, seed=seed) for i in range(count)]
    numbers = clip_model.tokenize(said)
    about = {name: value for name, value in asdict(config).items() if name not in ("loop", "guidances")} | {
        "data": data_identity(data),
        "teacher": taught.teacher,
        "levels": list(levels.tolist()),
        "guidances": list(guidances),
    }
    paths, weights = walk_all(generator, said, walked, config.steps, guidances, out / "paths", seed, key=str(about))
    torch.manual_seed(seed)
    model = StudentDenoiser(taught)
    begin_from(model, teacher)

    def make_batch(step: int) -> dict[str, Tensor]:
        pairs = epoch_order(count * config.steps, config.loop.batch_size, step, seed)
        which, at = torch.from_numpy(pairs // config.steps), torch.from_numpy(pairs % config.steps)
        begin, end = paths[which, at].float(), paths[which, at + 1].float()
        s, t = levels[at].float(), levels[at + 1].float()
        batch = {"y": begin, "target": (begin - end) / (s - t)[:, None, None, None, None], "s": s}
        return {**batch, "numbers": numbers[which], "guidance": weights[which]}

    def loss(net: nn.Module, batch: dict[str, Tensor], rng: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        del rng
        with torch.no_grad():
            tokens, mask = clip_model.token_states(batch["numbers"])
        v = net(batch["y"], batch["s"], tokens, mask, batch["guidance"])
        return model.error(v.float(), batch["target"], batch["s"]), {}

    trained = train(model, make_batch, loss, config.loop, out, device=where, about=about, tracker=tracker)
    if is_main_process():
        save_weights(out / "denoiser.safetensors", trained, trained.header())
    return StudentGenerator(generator.autoencoder, trained, clip_model, generator.config)


def _levels(generator: NativeGenerator, config: StudentTraining) -> Float[Tensor, " level"]:
    """The levels that the teacher visits."""
    steps = generator.steps if isinstance(generator, StudentGenerator) else config.teacher_steps
    if steps % config.steps or not 1 <= config.steps < steps:
        raise ValueError(f"a student's steps are fewer than its teacher's {steps} and divide them, got {config.steps}")
    return generator.levels(steps, generator.latent_shape)


def _guidances(generator: NativeGenerator, config: StudentTraining) -> tuple[float, float]:
    """Least and largest; a teacher that is a student itself knows no others than its own."""
    own = generator.denoiser.config.guidances if isinstance(generator, StudentGenerator) else config.guidances
    return max(own[0], config.guidances[0]), min(own[1], config.guidances[1])


@torch.inference_mode()
def walk_all(
    generator: NativeGenerator,
    said: Sequence[str],
    levels: Float[Tensor, " level"],
    steps: int,
    guidances: tuple[float, float],
    folder: Path,
    seed: int,
    *,
    key: str,
) -> tuple[Float[Tensor, "path state channel frame height width"], Float[Tensor, " path"]]:
    """The teacher's states at the student's levels, float16, and the guidance of each path.

    Kept in shards by `key`, so that a killed run goes on where it was.
    """
    every, shards = (len(levels) - 1) // steps, []
    for first in tqdm(range(0, len(said), BATCH), desc="walking paths", unit_scale=BATCH, disable=None):
        captions = list(said[first : first + BATCH])
        path = folder / f"{short_digest(key)}-{first:08d}.safetensors"
        if not path.exists():
            weight = float(np.random.default_rng([seed, 4, first]).uniform(*guidances))
            states = [generator.noise(len(captions), seed=seed * 1_000_003 + first)]
            velocity = generator.velocity(generator.condition(captions), weight)
            solve(velocity, states[0], levels, method="ddim", callback=lambda step, s, y, kept=states: kept.append(y))
            kept = torch.stack(states[::every], 1).half().cpu()
            write_tensors(path, "paths", {}, {"states": kept, "guidance": torch.full((len(captions),), weight)})
        shards.append(read_tensors(path, "paths", "a teacher's paths")[0])
    return torch.cat([s["states"] for s in shards]), torch.cat([s["guidance"] for s in shards])
