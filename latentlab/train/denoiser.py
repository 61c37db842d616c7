"""Trains the denoiser by flow matching on the autoencoder's latents, under captions."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from tqdm.auto import tqdm

from latentlab.face import renamed_arguments
from latentlab.generator.autoencoder import Autoencoder
from latentlab.generator.clip_model import ClipModel
from latentlab.generator.denoiser import Preconditioned
from latentlab.generator.kinds import network_of_config
from latentlab.metrics.flow import fields
from latentlab.metrics.temporal import flicker_loss
from latentlab.networks import DenoiserConfig, TransformerConfig
from latentlab.shapes import Latents
from latentlab.store import short_digest
from latentlab.tensors import read_tensors, write_tensors
from latentlab.train.clip_model import CaptionedClips
from latentlab.train.grounding import GroundedClips, attention_maps, grounding_batch, grounding_loss
from latentlab.train.identity import data_identity
from latentlab.train.loop import Tracker, device_for_training, is_main_process, rank_and_world, train
from latentlab.train.order import epoch_order
from latentlab.train.settings import DenoiserTraining
from latentlab.weights import fingerprint, save_weights

SHARD = 256  # clips in one file of encoded latents


@renamed_arguments(clip="clip_model")
def train_denoiser(
    data: CaptionedClips,
    autoencoder: Autoencoder,
    clip_model: ClipModel,
    out: Path,
    config: DenoiserTraining | None = None,
    *,
    device: str = "auto",
    tracker: Tracker | None = None,
    sample: Callable[[nn.Module, int], None] | None = None,
    start: Preconditioned | None = None,
    fresh: tuple[str, ...] = (),
    encoded: Path | None = None,
) -> Preconditioned:
    """Trains on the latents of `data` and writes `denoiser.safetensors` to `out`.

    Args:
        data: captioned clips.
        autoencoder: makes the latents; its weights are frozen.
        clip_model: its text tower makes the caption tokens; its weights are frozen.
        out: folder of the run; a run found there is resumed.
        config: settings.
        device: "auto", "cpu", "cuda", ...
        tracker: called with `(figures, step)`.
        sample: called with `(denoiser, step)` now and then, to draw sample grids.
        start: a trained network to go on from, see `begin_from`.
        fresh: layers of it that begin anew all the same, as "caption" under another CLIP model.
        encoded: folder of the encoded latents, which runs on the same clips may share; None is one in `out`.

    Returns:
        The trained network.
    """
    config = config or DenoiserTraining()
    where = device_for_training(device)
    count = min(config.clips, len(data))
    # Frozen from the first step on, not only once a grid is drawn with them: PyTorch's attention rounds otherwise then.
    autoencoder = autoencoder.to(where).eval().requires_grad_(False)
    clip_model = clip_model.to(where).eval().requires_grad_(False)
    said = [data.caption(i) for i in range(min(count, 4096))]
    clip_model.tokenize(said)  # a word that the model does not know is told before the work
    latents = encode_all(data, autoencoder, count, encoded or out / "latents", config.loop.seed)
    torch.manual_seed(config.loop.seed)
    network = config.network
    model = network_of_config(network)
    grounded = _grounded(data, network) if config.grounding else None
    seen = range(network.frame_patch // 2, data.num_frames, network.frame_patch)  # the middle of each patch of frames
    with torch.no_grad():
        model.measure_captions(*(x.cpu() for x in clip_model.tokens(said)))
    if start is not None:
        begin_from(model, start, fresh)
    model.measure_spread(latents[:1024])  # after it: the other network may come from other latents

    def make_batch(step: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([config.loop.seed, step])
        picks = epoch_order(count, config.loop.batch_size, step, config.loop.seed)
        dropped = rng.random(len(picks)) < config.caption_dropout
        said = ["" if drop else data.caption(int(i), seed=step) for i, drop in zip(picks, dropped, strict=True)]
        batch = {"latents": latents[picks].float(), "numbers": clip_model.tokenize(said)}
        if grounded is None:
            return batch
        read = [" ".join(clip_model.tokenize.words(caption)) for caption in said]  # what its tokens stand for
        objects = [grounded.said(int(i), caption, frames=seen) for i, caption in zip(picks, read, strict=True)]
        return batch | grounding_batch(objects, batch["numbers"].shape[1], len(seen), latents.shape[-1])

    def loss(net: nn.Module, batch: dict[str, Tensor], generator: torch.Generator):
        clean = batch["latents"]
        noise = torch.randn(clean.shape, generator=generator, device=clean.device)
        normal = torch.randn(len(clean), generator=generator, device=clean.device)
        s = torch.sigmoid(config.level_mean + config.level_spread * normal)
        at = s[:, None, None, None, None]
        with torch.no_grad():
            tokens, mask = clip_model.token_states(batch["numbers"])
        y = (1 - at) * clean + at * noise
        with attention_maps(net) if config.grounding else nullcontext(()) as maps:
            v = net(y, s, tokens, mask)
        error, figures = model.error(v.float(), noise - clean, s), {}
        if config.grounding:
            figures["grounding"] = grounding_loss(maps, batch["words"], batch["places"])
            error = error + config.grounding * figures["grounding"]
        if not config.flicker:
            return error, figures
        few = slice(config.flicker_clips)
        flickers = flicker_of(autoencoder, clean[few], (y - at * v.float())[few])
        return error + config.flicker * flickers, figures | {"flicker": flickers.detach()}

    # a run from before there was grounding goes on without it
    settings = {
        name: value for name, value in asdict(config).items() if name != "loop" and (name != "grounding" or value)
    }
    about = settings | {
        "data": data_identity(data),
        "autoencoder": fingerprint(autoencoder)[:16],
        "clip_model": fingerprint(clip_model)[:16],
        "start": start and fingerprint(start)[:16],
        **({"fresh": list(fresh)} if fresh else {}),
    }
    trained = train(
        model, make_batch, loss, config.loop, out, device=where, about=about, tracker=tracker, sample=sample
    )
    if is_main_process():
        save_weights(out / "denoiser.safetensors", trained, trained.header())
    return trained


def _grounded(data: CaptionedClips, network: DenoiserConfig | TransformerConfig) -> GroundedClips:
    if not isinstance(data, GroundedClips):
        raise ValueError("grounding needs clips of which it is known where the objects are that captions name")
    if not isinstance(network, DenoiserConfig):
        raise ValueError(f"grounding is of the U-Net's attention to captions, got {type(network).__name__}")
    return data


def begin_from(model: nn.Module, start: nn.Module, fresh: tuple[str, ...] = ()) -> None:
    """Takes over every weight of `start` that `model` has too, as when a layer is left out of it.

    The layers `fresh` begin anew, and so do those where latents come in and go out, if these have other channels.

    Raises:
        ValueError: the two have nothing, or elsewhere nothing of the same shape, under one name.
    """
    own, given = model.state_dict(), start.state_dict()
    anew = (*fresh, "enter", "leave", "spread") if len(own["spread"]) != len(given["spread"]) else fresh
    given = {name: value for name, value in given.items() if name.split(".")[0] not in anew}
    shared = {name: value for name, value in given.items() if name in own and own[name].shape == value.shape}
    misfits = [name for name in own if name in given and name not in shared]
    if misfits or not shared:
        raise ValueError(f"this network cannot go on from that one: {', '.join(misfits[:3]) or 'no weight in common'}")
    model.load_state_dict({**own, **shared})


def flicker_of(autoencoder: Autoencoder, clean: Latents, estimate: Latents) -> Float[Tensor, ""]:
    """`flicker_loss` of the decoded estimate along the motion of the decoded clean clip."""
    with torch.no_grad():
        ways = fields(autoencoder.decode(clean).clamp(-1, 1))
    return flicker_loss(autoencoder.decode(estimate), ways)


@torch.inference_mode()
def encode_all(data: CaptionedClips, autoencoder: Autoencoder, count: int, folder: Path, seed: int) -> Latents:
    """Latents of the first `count` clips, float16, kept in shards so that a killed run goes on where it was."""
    device = autoencoder.mean.device
    key = f"{autoencoder.encoding()[:16]}-{short_digest(data_identity(data))}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    rank, world = rank_and_world()
    shards = [range(first, min(count, first + SHARD)) for first in range(0, count, SHARD)]
    paths = [folder / f"{key}-{rows.start:08d}-{rows.stop:08d}.safetensors" for rows in shards]
    mine = list(zip(shards, paths, strict=True))[rank::world]
    for rows, path in tqdm(mine, desc="encoding clips", unit_scale=SHARD, disable=rank > 0 or None):
        if not path.exists():
            shard = torch.cat([autoencoder.encode(data.clip(i, seed=seed).to(device)).half().cpu() for i in rows])
            write_tensors(path, "latents", {}, {"latents": shard})
    if world > 1:
        torch.distributed.barrier()
    return torch.cat([read_tensors(path, "latents", "encoded clips")[0]["latents"] for path in paths])
