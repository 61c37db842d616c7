"""The training runs as the command line starts them; defaults are those of the shipped weights."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from latentlab.data.drifting import Drifting
from latentlab.data.dsprites import DSprites
from latentlab.data.folder import FolderClips
from latentlab.data.moving.captions import vocabulary
from latentlab.data.moving.dataset import MovingShapes
from latentlab.data.moving.factors import FactorSampler
from latentlab.data.moving.scene_captions import scene_vocabulary
from latentlab.data.pictures import Images
from latentlab.generator.denoiser import DenoiserConfig
from latentlab.generator.generator import GeneratorConfig
from latentlab.generator.image import ImageGenerator
from latentlab.generator.load import load, load_autoencoder, load_clip, load_denoiser, load_image_denoiser
from latentlab.generator.native import NativeGenerator
from latentlab.generator.networks.transformer import TransformerConfig
from latentlab.train.autoencoder import AutoencoderTraining, begun, train_autoencoder
from latentlab.train.clip_model import ClipTraining, train_clip
from latentlab.train.control import ControlTraining, train_control
from latentlab.train.denoiser import DenoiserTraining, train_denoiser
from latentlab.train.edits import EditTraining, train_edits
from latentlab.train.grid import save_grid
from latentlab.train.image import ImageTraining, pixels_of, train_image_denoiser, with_classes
from latentlab.train.known_region import KnownRegionTraining, train_known_region
from latentlab.train.loop import LoopConfig, device_for_training, is_main_process
from latentlab.train.reader import ReaderTraining, train_reader
from latentlab.train.reference import ReferenceTraining, train_reference
from latentlab.train.source import Clips
from latentlab.train.student import StudentTraining, train_student
from latentlab.train.vector_vae import VectorVAETraining, train_vector_vae
from latentlab.weights import SHIPPED, fingerprint, shipped

PREVIEW = (
    "a large red star moving right on a blue background",
    "a small yellow circle moving up quickly on a green background",
    "a large cyan square moving down-left on a red background",
    "a bright small magenta triangle resting on a cyan background",
)


SCENE_CONTEXT = 48  # tokens of the longest caption of two objects whose motions change, with room


def run_autoencoder(data: Clips | DSprites, out: Path, *, device: str, **options: Any) -> list[Path]:
    """Trains the autoencoder, goes on with that of `--start`, or trains that of `--autoencoder`, its decoder alone."""
    config = AutoencoderTraining()
    config = replace(config, loop=loop_told(config.loop, options))
    refined, folder = options["autoencoder"], options["autoencoder"] or options["start"]
    if refined and options["start"]:
        raise ValueError("--autoencoder trains the decoder of that one alone, --start goes on with all of it; give one")
    with shipped() as own:
        start = load_autoencoder(own if folder == "shipped" else Path(folder)) if folder else None
    names = ("object_weight", "cutmix")
    config = replace(config, **{name: options[name] for name in names if options.get(name) is not None})
    given = {name: options[name] for name in ("latent_channels", "norm") if options.get(name) is not None}
    if start is not None and given:
        if refined and given.get("latent_channels", start.config.latent_channels) != start.config.latent_channels:
            raise ValueError(
                f"--autoencoder keeps the latents, of {start.config.latent_channels} channels; give --start"
            )
        stays = {"encoder_norm": start.config.encoder_norm or start.config.norm} if refined else {}
        start = begun(start, replace(start.config, **given, **stays))
    config = replace(config, network=replace(config.network, **given))
    train_autoencoder(data, out, config, start=start, decoder_only=bool(refined), device=device)
    return [out / "autoencoder.safetensors"]


def run_clip(data: Clips, out: Path, *, device: str, **options: Any) -> list[Path]:
    """Trains the CLIP model, or all but the tokens of that of `--start`."""
    config = ClipTraining()
    config = replace(config, loop=loop_told(config.loop, options), clips=options["clips"] or config.clips)
    if isinstance(data, MovingShapes) and not isinstance(data.sampler, FactorSampler):
        config = replace(config, context_length=SCENE_CONTEXT)
    with shipped() as own:
        folder = own if options["start"] == "shipped" else Path(options["start"] or "")
        start = load_clip(folder) if options["start"] else None
    train_clip(data, _vocabulary(data), out, config, start=start, device=device)
    return [out / "clip.safetensors"]


def run_reader(data: MovingShapes, out: Path, *, device: str, **options: Any) -> list[Path]:
    """Trains the reader, which needs factors."""
    config = ReaderTraining()
    config = replace(config, loop=loop_told(config.loop, options))
    if not isinstance(data.sampler, FactorSampler):
        config = replace(config, network=replace(config.network, objects=2))
    train_reader(data, out, config, device=device)
    return [out / "reader.safetensors"]


def run_edits(data: MovingShapes, out: Path, *, device: str, **options: Any) -> list[Path]:
    """Trains the edit network on the latents of the autoencoder of `--autoencoder`."""
    config = EditTraining()
    names = {"clips": "frames", "read_frames": "read_frames", "read_steps": "read_steps"}
    given = {name: options[said] for said, name in names.items() if options.get(said) is not None}
    config = replace(config, loop=loop_told(config.loop, options), **given)
    with shipped() as own:
        encoder = load_autoencoder(Path(options["autoencoder"] or own))
    train_edits(data, encoder, out, config, device=device)
    return [out / "edits.safetensors"]


def run_known_region(data: Clips, out: Path, *, device: str, **options: Any) -> list[Path]:
    """Trains what the denoiser of `--model` is told of known latents."""
    generator, config = _native("known-region", data, device, options), KnownRegionTraining()
    given = {name: options[name] for name in ("rank", "clips") if options.get(name)}
    train_known_region(generator, data, out, replace(config, loop=loop_told(config.loop, options), **given))
    return [out / "known_region.safetensors"]


def run_control(data: MovingShapes, out: Path, *, device: str, **options: Any) -> list[Path]:
    """Trains a control branch of the denoiser of `--model`: a copy of its encoder half, or of `--rank`."""
    generator, config = _native("control", data, device, options), ControlTraining()
    given = {name: options[name] for name in ("rank", "clips") if options.get(name)}
    train_control(generator, data, out, replace(config, loop=loop_told(config.loop, options), **given))
    return [out / "control.safetensors"]


def run_reference(data: Clips, out: Path, *, device: str, **options: Any) -> list[Path]:
    """Trains what the denoiser of `--model` hears of reference images."""
    generator, config = _native("reference", data, device, options), ReferenceTraining()
    given = {"clips": options["clips"]} if options.get("clips") else {}
    train_reference(generator, data, out, replace(config, loop=loop_told(config.loop, options), **given))
    return [out / "reference.safetensors"]


def run_student(data: Clips, out: Path, *, device: str, **options: Any) -> list[Path]:
    """Distils the model of `--model` to `--student-steps`, and writes a whole generator beside it."""
    generator, config = _native("student", data, device, options), StudentTraining()
    names = {"student_steps": "steps", "teacher_steps": "teacher_steps", "clips": "paths"}
    given = {own: options[name] for name, own in names.items() if options.get(name)}
    trained = train_student(generator, data, out, replace(config, loop=loop_told(config.loop, options), **given))
    if is_main_process():
        trained.save(out / "generator", dtype=torch.float16)
    return [out / "denoiser.safetensors", out / "generator"]


def _native(network: str, data: Clips, device: str, options: dict[str, Any]) -> NativeGenerator:
    """The generator of `--model`, whose clips are of the data's size."""
    generator = load(options.get("model"), device=device_for_training(device))
    if not isinstance(generator, NativeGenerator):
        raise ValueError(f"{network} is told to a denoiser of latentlab's own videos, got {type(generator).__name__}")
    c = generator.config
    if (data.num_frames, *data.size) != (c.num_frames, c.height, c.width):
        raise ValueError(
            f"the model makes clips of {c.num_frames} frames of {c.height} x {c.width}, the data has {data.num_frames} "
            f"of {data.size[0]} x {data.size[1]}"
        )
    return generator


def run_denoiser(data: Clips | Images | Drifting, out: Path, *, device: str, **options: Any) -> list[Path]:
    """Trains the denoiser and writes a whole generator beside it, for `latentlab.load`."""
    if isinstance(data, Images | Drifting):
        return image_denoiser(data, out, device=device, **options)
    if options.get("objective"):
        raise ValueError("the denoiser of videos answers with the velocity; --objective is for pictures with a class")
    with shipped() as own:
        encoder = load_autoencoder(Path(options["autoencoder"] or own))
        text = load_clip(Path(options["clip"] or own))
        folder = own if options["start"] == "shipped" else Path(options["start"] or "")
        begin = load_denoiser(folder) if options["start"] else None
        beside = begin is not None and (folder / "clip.safetensors").exists()
        fresh = ("caption",) if beside and fingerprint(load_clip(folder)) != fingerprint(text) else ()
    config = DenoiserTraining()
    config = replace(
        config,
        loop=loop_told(config.loop, options),
        clips=options["clips"] or config.clips,
        grounding=options["grounding"] or 0.0,
        flicker=options["flicker_loss"] or 0.0,
        network=_layers(options, encoder.config.latent_channels, text.config.width),
    )
    shape = GeneratorConfig(num_frames=data.num_frames, height=data.size[0], width=data.size[1])
    captions = _captions(data)[:4] if isinstance(data, FolderClips) else list(PREVIEW)

    def sample(network: Any, step: int) -> None:
        video = NativeGenerator(encoder, network, text, shape).generate(captions, num_steps=16)
        save_grid(out / "samples" / f"{step:07d}.png", video[:, :, ::3], columns=1)

    trained = train_denoiser(data, encoder, text, out, config, device=device, sample=sample, start=begin, fresh=fresh)
    if is_main_process():
        NativeGenerator(encoder, trained, text, shape).save(out / "generator", dtype=torch.float16)
    return [out / "denoiser.safetensors", out / "generator"]


def _layers(options: dict[str, Any], latent_channels: int, context_width: int) -> DenoiserConfig | TransformerConfig:
    """The network of `--network`, for these latents and captions."""
    without = {name: bool(options[f"no_temporal_{name}"]) for name in ("attention", "convolution")}
    if options.get("layers") != "transformer":
        return DenoiserConfig(
            latent_channels,
            context_width,
            temporal_attention=not without["attention"],
            temporal_convolution=not without["convolution"],
            attention=(bool(options.get("fine_attention")), True),
        )
    given = [f"--no-temporal-{name}" for name, off in without.items() if off]
    if given := [*given, *["--fine-attention"] * bool(options.get("fine_attention"))]:
        raise ValueError(f"{', '.join(given)}: of the U-Net, and the transformer has one attention over space and time")
    return TransformerConfig(latent_channels, context_width)


def image_denoiser(data: Images | Drifting, out: Path, *, device: str, **options: Any) -> list[Path]:
    """Trains a denoiser of pictures for `--objective`, or layers over time of that of `--inflate`; writes a whole
    generator beside it."""
    videos = (
        "autoencoder", "clip", "grounding", "flicker_loss", "fine_attention", "no_temporal_attention",
        "no_temporal_convolution", "clips",
    )  # fmt: skip
    if options.get("layers"):
        raise ValueError("--network is of videos; that of pictures is a U-Net")
    if given := [f"--{name.replace('_', '-')}" for name in videos if options.get(name)]:
        raise ValueError(f"{', '.join(given)}: of videos only, and these are pictures")
    config = ImageTraining()
    if isinstance(data, Drifting):
        if given := [f"--{name}" for name in ("objective", "start") if options.get(name)]:
            raise ValueError(f"{', '.join(given)}: the model of --inflate says what it is")
        model = str(options["inflate"])
        ships = model in SHIPPED and not Path(model).exists()
        with shipped(model) if ships else nullcontext(Path(model)) as folder:
            begin = load_image_denoiser(folder)
        pictures, network = data.pictures, begin.config
        config = replace(config, loop=replace(config.loop, steps=600, batch_size=8, learning_rate=1e-3))
    else:
        begin = load_image_denoiser(Path(options["start"])) if options.get("start") else None
        network = replace(config.network, objective=options.get("objective") or config.network.objective)
        pictures, network = data, with_classes(network, data, classes=bool(options.get("classes")))
    config = replace(config, loop=loop_told(config.loop, options), network=network)
    pixels = pixels_of(pictures)
    shape = GeneratorConfig(data.num_frames, *data.size, guidance=1.5 if network.classes else 1.0)
    names = [name for name in network.classes or ("",) for _ in range(4)][:40]

    def sample(net: Any, step: int) -> None:
        video = ImageGenerator(pixels, net, shape).generate(names, num_steps=25)
        save_grid(out / "samples" / f"{step:07d}.png", video[:, :, ::3], columns=4 if data.num_frames == 1 else 1)

    trained = train_image_denoiser(data, out, config, device=device, sample=sample, start=begin)
    if is_main_process():
        ImageGenerator(pixels, trained, shape).save(out / "generator", dtype=torch.float16)
    return [out / "denoiser.safetensors", out / "generator"]


def run_vector_vae(data: Clips | DSprites, out: Path, *, device: str, **options: Any) -> list[Path]:
    """Trains the vector VAE for `--objective`."""
    config = VectorVAETraining()
    names = ("dims", "rings", "motion_dims", "num_frames")
    network = replace(config.network, **{name: options[name] for name in names if options.get(name) is not None})
    network = replace(network, moves=bool(options.get("moves")))
    given = {name: options[name] for name in ("objective", "strength", "warmup") if options.get(name) is not None}
    frames = options["clips"] * network.num_frames if options["clips"] else config.frames
    config = replace(config, **given, frames=frames, network=network, loop=loop_told(config.loop, options))
    train_vector_vae(data, out, config, device=device)
    return [out / "vector_vae.safetensors"]


RUNS: dict[str, Callable[..., list[Path]]] = {
    "autoencoder": run_autoencoder,
    "clip": run_clip,
    "control": run_control,
    "denoiser": run_denoiser,
    "edits": run_edits,
    "known-region": run_known_region,
    "reader": run_reader,
    "reference": run_reference,
    "student": run_student,
    "vector-vae": run_vector_vae,
}


def loop_told(default: LoopConfig, options: dict[str, Any]) -> LoopConfig:
    """How to train, where the command line says otherwise."""
    names = ("steps", "batch_size", "learning_rate", "save_every", "sample_every", "precision")
    given = {name: options[name] for name in names if options.get(name) is not None}
    return replace(default, **given, seed=options["seed"])


def _captions(data: FolderClips) -> list[str]:
    return [data.caption(i) for i in range(min(len(data), len(data.paths)))]


def _vocabulary(data: Clips) -> list[str]:
    if isinstance(data, MovingShapes):
        return vocabulary() if isinstance(data.sampler, FactorSampler) else scene_vocabulary()
    words = {word for caption in _captions(data) for word in re.findall(r"[\w-]+|,", caption.lower())}  # as `Tokenizer`
    if not words:
        raise ValueError("no video of the folder has a caption; write what clip.mp4 shows into clip.txt beside it")
    return sorted(words)
