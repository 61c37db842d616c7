"""The training runs as the command line starts them; defaults are those of the shipped weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from latentlab.data.dsprites import DSprites
from latentlab.data.folder import FolderClips
from latentlab.data.moving.captions import vocabulary
from latentlab.data.moving.dataset import MovingShapes
from latentlab.generator.denoiser import DenoiserConfig
from latentlab.generator.generator import GeneratorConfig
from latentlab.generator.load import load_autoencoder, load_clip, load_denoiser
from latentlab.generator.native import NativeGenerator
from latentlab.train.autoencoder import AutoencoderTraining, train_autoencoder
from latentlab.train.clip import ClipTraining, train_clip
from latentlab.train.denoiser import DenoiserTraining, train_denoiser
from latentlab.train.grid import save_grid
from latentlab.train.loop import LoopConfig, is_main_process
from latentlab.train.reader import ReaderTraining, train_reader
from latentlab.train.vector_vae import VectorVAETraining, train_vector_vae
from latentlab.weights import shipped

Clips = MovingShapes | FolderClips
PREVIEW = (
    "a large red star moving right on a blue background",
    "a small yellow circle moving up quickly on a green background",
    "a large cyan square moving down-left on a red background",
    "a bright small magenta triangle resting on a cyan background",
)


def autoencoder(data: Clips | DSprites, out: Path, *, device: str, **options) -> list[Path]:
    """Trains the autoencoder, goes on with that of `--start`, or trains that of `--autoencoder`, its decoder alone."""
    config = AutoencoderTraining()
    config = replace(config, loop=_loop(config.loop, options))
    refined, folder = options["autoencoder"], options["autoencoder"] or options["start"]
    if refined and options["start"]:
        raise ValueError("--autoencoder trains the decoder of that one alone, --start goes on with all of it; give one")
    with shipped() as own:
        start = load_autoencoder(own if folder == "shipped" else Path(folder)) if folder else None
    train_autoencoder(data, out, config, start=start, decoder_only=bool(refined), device=device)
    return [out / "autoencoder.safetensors"]


def clip(data: Clips, out: Path, *, device: str, **options) -> list[Path]:
    """Trains the CLIP model."""
    config = ClipTraining()
    config = replace(config, loop=_loop(config.loop, options), clips=options["clips"] or config.clips)
    train_clip(data, _vocabulary(data), out, config, device=device)
    return [out / "clip.safetensors"]


def reader(data: Clips, out: Path, *, device: str, **options) -> list[Path]:
    """Trains the reader, which needs factors."""
    if not isinstance(data, MovingShapes):
        raise ValueError("the reader learns factors, which only --data moving-shapes has")
    config = ReaderTraining()
    config = replace(config, loop=_loop(config.loop, options))
    train_reader(data, out, config, device=device)
    return [out / "reader.safetensors"]


def denoiser(data: Clips, out: Path, *, device: str, **options) -> list[Path]:
    """Trains the denoiser and writes a whole generator beside it, for `latentlab.load`."""
    with shipped() as own:
        encoder = load_autoencoder(Path(options["autoencoder"] or own))
        text = load_clip(Path(options["clip"] or own))
        begin = options["start"] and load_denoiser(own if options["start"] == "shipped" else Path(options["start"]))
    config = DenoiserTraining()
    config = replace(
        config,
        loop=_loop(config.loop, options),
        clips=options["clips"] or config.clips,
        flicker=options["flicker_loss"] or 0.0,
        network=DenoiserConfig(
            latent_channels=encoder.config.latent_channels,
            context_width=text.config.width,
            temporal_attention=not options["no_temporal_attention"],
            temporal_convolution=not options["no_temporal_convolution"],
        ),
    )
    shape = GeneratorConfig(num_frames=data.num_frames, height=data.size[0], width=data.size[1])
    captions = [data.caption(i) for i in range(min(4, len(data)))] if isinstance(data, FolderClips) else list(PREVIEW)

    def sample(network, step: int) -> None:
        video = NativeGenerator(encoder, network, text, shape).generate(captions, num_steps=16)
        save_grid(out / "samples" / f"{step:07d}.png", video[:, :, ::3], columns=1)

    trained = train_denoiser(data, encoder, text, out, config, device=device, sample=sample, start=begin or None)
    if is_main_process():
        NativeGenerator(encoder, trained, text, shape).save(out / "generator", dtype=torch.float16)
    return [out / "denoiser.safetensors", out / "generator"]


def vector_vae(data: Clips | DSprites, out: Path, *, device: str, **options) -> list[Path]:
    """Trains the vector VAE for `--objective`."""
    config = VectorVAETraining()
    names = ("dims", "rings", "motion_dims", "num_frames")
    network = replace(config.network, **{name: options[name] for name in names if options.get(name) is not None})
    network = replace(network, moves=bool(options.get("moves")))
    given = {name: options[name] for name in ("objective", "strength") if options.get(name) is not None}
    frames = options["clips"] * network.num_frames if options["clips"] else config.frames
    config = replace(config, **given, frames=frames, network=network, loop=_loop(config.loop, options))
    train_vector_vae(data, out, config, device=device)
    return [out / "vector_vae.safetensors"]


RUNS: dict[str, Callable[..., list[Path]]] = {
    "autoencoder": autoencoder,
    "clip": clip,
    "denoiser": denoiser,
    "reader": reader,
    "vector-vae": vector_vae,
}


def _loop(default: LoopConfig, options: dict) -> LoopConfig:
    names = ("steps", "batch_size", "learning_rate", "save_every", "sample_every", "precision")
    given = {name: options[name] for name in names if options.get(name) is not None}
    return replace(default, **given, seed=options["seed"])


def _vocabulary(data: Clips) -> list[str]:
    if isinstance(data, MovingShapes):
        return vocabulary()
    words = {word for i in range(len(data)) for word in data.caption(i).lower().replace(",", " , ").split()}
    return sorted(words)
