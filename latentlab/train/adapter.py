"""Trains an adapter on a few pictures of a look: low-rank, of all weights, or a new word alone.

What the examples show is learned under their captions behind a new word, the trigger. Beside it the network is held to
what it said before, on clips that it drew itself under captions without the trigger (prior preservation, Ruiz et al.
2023): it is then the base wherever nobody says the word, and clips that move go on moving.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from latentlab.checks import clear_errors
from latentlab.data.moving.captions import WORDINGS
from latentlab.data.moving.captions import caption as moving_caption
from latentlab.data.moving.factors import FactorSampler
from latentlab.generator.adapter import Adapter, base_of
from latentlab.generator.generator import Generator
from latentlab.generator.native import NativeGenerator
from latentlab.train.drawn import drawn_latents
from latentlab.train.loop import Tracker, device_for_training, is_main_process, train
from latentlab.train.pictures import Examples
from latentlab.train.settings_beside import AdapterTraining
from latentlab.train.tuned import Tuned, Updates, denoiser_of, error, knows_moving_shapes, noised, velocities
from latentlab.weights import fingerprint


def updates_of(config: AdapterTraining) -> Updates:
    """What of the network learns."""
    return Updates(config.kind, config.trigger, config.rank, config.alpha, config.target, config.loop.seed)


@clear_errors
def train_adapter(
    generator: Generator,
    data: Examples,
    out: Path,
    config: AdapterTraining | None = None,
    *,
    tracker: Tracker | None = None,
) -> Adapter:
    """Trains on the latents of the examples and writes `adapter.safetensors` to `out`; the generator stays as it is.

    Args:
        generator: the base, on the device to train on; its denoiser, of a pipeline the first, is what is adapted.
        data: see `examples`.
        out: folder of the run; a run found there is resumed.
        config: settings.
        tracker: called with `(figures, step)`.

    Raises:
        ValueError: captions with words that the model does not know, a trigger that it knows already, a rank above the
            width of every layer, a model that learns no words.
    """
    config = config or AdapterTraining()
    where = device_for_training(str(generator.device))
    network, role = denoiser_of(generator)
    # Under grad every weight but the adapter's is frozen, from the first step on: attention rounds otherwise then.
    for part in generator.adaptable.values():
        part.eval().requires_grad_(False)
    said = _captions(generator, config, data)
    with torch.no_grad():
        clean = generator.encode(data.video).cpu()
        prior_said = _prior(generator, config, data)
        prior = drawn_latents(generator, prior_said, out, config.loop.seed) if prior_said else torch.zeros(0)
    captions = [*said, config.trigger or "", *prior_said, ""]
    model = Tuned(generator, updates_of(config), captions)

    def make_batch(step: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([config.loop.seed, step])
        picks = rng.integers(len(clean), size=config.loop.batch_size)
        dropped = rng.random(len(picks)) < config.caption_dropout
        batch = {"latents": clean[picks], "said": torch.from_numpy(np.where(dropped, len(said), picks))}
        if config.prior:
            rows = rng.integers(len(prior), size=max(1, config.loop.batch_size // 2))
            dropped = rng.random(len(rows)) < config.caption_dropout
            numbers = np.where(dropped, len(captions) - 1, len(said) + 1 + rows)
            batch |= {"prior": prior[rows], "prior_said": torch.from_numpy(numbers)}
        return batch

    def loss(net: nn.Module, batch: dict[str, Tensor], rng: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        y, target, s = noised(batch["latents"], rng, config.level_mean, config.level_spread)
        look = error(network, net(y, s, batch["said"]), target, s)
        if not config.prior:
            return look, {}
        y, _, s = noised(batch["prior"], rng, config.level_mean, config.level_spread)
        with torch.no_grad():
            before = velocities(generator, y, s, model.base.told(batch["prior_said"], model.word))
        held = error(network, net(y, s, batch["prior_said"]), before, s)
        return look + config.prior * held, {"look": look, "prior": held}

    settings = {k: v for k, v in asdict(config).items() if k != "loop"}
    about = {**settings, "data": data.identity, "base": fingerprint(network)[:16]}
    trained = train(model, make_batch, loss, config.loop, out, device=where, about=about, tracker=tracker)
    header = {**settings, "base": {role: base_of(network)}, "captions": sorted(set(said))[:50]}
    adapter = trained.adapter(header, name=config.trigger or "adapter")
    if is_main_process():
        adapter.save(out / "adapter.safetensors")
    return adapter


def _captions(generator: Generator, config: AdapterTraining, data: Examples) -> list[str]:
    """Captions of the examples behind the trigger, each held against the words that the model knows."""
    trigger = config.trigger
    if trigger is None:
        if config.kind == "word":
            raise ValueError("kind 'word' learns a new word; say which: trigger=\"ink\"")
        said = list(data.captions)
    else:
        said = [f"{trigger} , {caption}" if caption else trigger for caption in data.captions]
    knowing = generator
    if trigger is not None and isinstance(generator, NativeGenerator):
        width = generator.clip_model.config.width
        knowing = generator.knowing({trigger: torch.zeros(width)})
    elif config.kind == "word":
        raise ValueError(
            f"{type(generator).__name__} learns no new words; kind 'lora' takes the trigger as it reads it"
        )
    with torch.no_grad():
        for caption in sorted(set(said)):  # a word that the model does not know is told before the work
            knowing.condition(caption)
    return said


def _prior(generator: Generator, config: AdapterTraining, data: Examples) -> list[str]:
    """Captions without the trigger, under which the base draws.

    The shipped model is asked for all that it was trained on, motion too; another for what the examples show.
    """
    if not config.prior or config.prior_clips < 1:
        return []
    if knows_moving_shapes(generator):
        world = FactorSampler(config.loop.seed)
        return [moving_caption(world(i), i % len(WORDINGS)) for i in range(config.prior_clips)]
    return [data.captions[i % len(data.captions)] for i in range(config.prior_clips)]
