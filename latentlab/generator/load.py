"""Loads generators and their parts from folders."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, overload

import torch

from latentlab.checks import Count, clear_errors
from latentlab.generator.autoencoder import Autoencoder
from latentlab.generator.clip_model import ClipModel
from latentlab.generator.denoiser import Denoiser, Preconditioned
from latentlab.generator.generator import Generator, GeneratorConfig
from latentlab.generator.image import ImageGenerator
from latentlab.generator.kinds import AUTOENCODERS, CAPTIONS, DENOISERS, kind_of, read_kind
from latentlab.generator.native import NativeGenerator
from latentlab.generator.networks.image import ImageDenoiser, Pixels
from latentlab.generator.networks.transformer import TransformerDenoiser
from latentlab.generator.pipelines.families import is_foreign, load_foreign, of_pipeline
from latentlab.generator.pipelines.foreign import network
from latentlab.generator.pipelines.hub import download, is_hub_id
from latentlab.generator.pipelines.parts import assembled
from latentlab.generator.pipelines.single import load_file
from latentlab.weights import SHIPPED, shipped

LARGEST = 2**31  # pixels of a clip


@overload
def load(
    path: None = None, *, device: str | torch.device = ..., dtype: torch.dtype | None = ...
) -> NativeGenerator: ...
@overload
def load(
    path: Any,
    vae: Any = ...,
    scheduler: Any = ...,
    *,
    device: str | torch.device = ...,
    dtype: torch.dtype | None = ...,
    vae_dtype: torch.dtype | None = ...,
    tiling: bool = ...,
    revision: str | None = ...,
    variant: str | None = ...,
    config: str | Path | None = ...,
    num_frames: int | None = ...,
    height: int | None = ...,
    width: int | None = ...,
    at_most: tuple[int, int] | None = ...,
    call: Mapping[str, Any] | None = ...,
) -> Generator: ...
@clear_errors
def load(
    path: Any = None,
    vae: Any = None,
    scheduler: Any = None,
    *,
    device: str | torch.device = "auto",
    dtype: torch.dtype | None = None,
    vae_dtype: torch.dtype | None = None,
    tiling: bool = False,
    revision: str | None = None,
    variant: str | None = None,
    config: str | Path | None = None,
    num_frames: Count | None = None,
    height: Count | None = None,
    width: Count | None = None,
    at_most: tuple[Count, Count] | None = None,
    call: Mapping[str, Any] | None = None,
) -> Generator:
    """Loads a generator.

    A pipeline of diffusers, of video or images, is known by its family's own code, or driven: its own call is stopped
    at its first step, layout and scales are read off, and three steps are compared with the call itself
    (`generator.account`). An image is a clip of one frame.

    Args:
        path: "fashion-mnist", a model of pictures under a class that ships with latentlab; folder that `save` of a
            generator wrote; folder of a diffusers pipeline or autoencoder; folder of a tiny
            autoencoder (`*_encoder.pth` and `*_decoder.pth`); id of a pipeline or an autoencoder on the hub, which is
            downloaded; one file of weights, `.safetensors` or `.gguf`, with `config`; or a `DiffusionPipeline` that is
            held in memory, which is taken as it is: adapted, quantised, offloaded, with any scheduler; or its denoiser
            alone, with the next two. None is the model that ships with latentlab.
        vae, scheduler: of a denoiser that is given by itself; what it is told of captions is given as a `Condition`, or
            as `call={"prompt_embeds": ...}` where it is driven.
        device: "auto" is cuda, then mps, then cpu; a pipeline held in memory stays where it is.
        dtype: of the denoiser; None is float32, and a pipeline's own. The solver's state is float32 in any case.
        vae_dtype: of an autoencoder of diffusers; None is float32, and a pipeline's own. Half of it saves memory and
            costs accuracy.
        tiling: whether an autoencoder of diffusers takes clips in tiles, which saves memory and changes the clip; their
            sizes are those of `generator.coder.vae.enable_tiling(...)`, and an inverted latent remembers them.
        revision: branch, tag or commit on the hub; None is its main branch.
        variant: of a diffusers folder's weights, such as "fp16".
        config: of one file of weights, the folder of its pipeline in diffusers' layout: settings, tokenizers and
            scheduler, and the weights of parts that are not in the file, as the autoencoder is not in Wan's.
        num_frames, height, width: of the clips of a pipeline of diffusers; None are its own defaults.
        at_most: frames, and pixels a side, to which those defaults are held where they are larger, as nearly as the
            pipeline makes such clips; for a look on a machine that its own size would take too long.
        call: further arguments of a pipeline's own call, such as `{"control_image": image}`; it is driven then.

    Raises:
        FileNotFoundError: a file of the generator is missing in `path`.
        ImportError: `path` is in the format of diffusers, which is not installed.
        ValueError: a pipeline that cannot be driven, or a setting that this model does not have.

    >>> load(device="cpu").latent_shape
    (6, 16, 8, 8)
    """
    for name, kind in (("dtype", dtype), ("vae_dtype", vae_dtype)):
        if kind is not None and (not isinstance(kind, torch.dtype) or not kind.is_floating_point):
            raise ValueError(f"{name} must be a floating-point dtype, such as torch.bfloat16, got {kind!r}")
    place = find_device(device)
    clip: dict[str, Any] = {"num_frames": num_frames, "height": height, "width": width, "call": call}
    if path is None:
        with shipped() as own:
            return load(own, device=place, dtype=dtype, vae_dtype=vae_dtype, tiling=tiling, **clip)
    if isinstance(path, torch.nn.Module):
        path = assembled(path, vae, scheduler)
    elif vae is not None or scheduler is not None:
        raise ValueError(f"vae and scheduler go with a denoiser of diffusers, got {type(path).__name__} in its place")
    if _is_pipeline(path):
        if vae_dtype is not None and (own := network(path, "vae")) is not None:
            own.to(dtype=vae_dtype)
        if device != "auto":
            path.to(place)
        made = of_pipeline(path, **clip, at_most=at_most)
        return made if dtype is None else made.to(made.device, dtype)
    if not isinstance(path, str | Path):
        raise ValueError(
            f"a generator is loaded from a folder, a hub id or a pipeline of diffusers, got {type(path).__name__}"
        )
    folder = Path(path)
    if not folder.exists() and str(path) in SHIPPED:
        with shipped(str(path)) as own:
            return load(own, device=place, dtype=dtype, vae_dtype=vae_dtype, tiling=tiling, **clip)
    if is_hub_id(path):
        folder = download(str(path), revision=revision, variant=variant)
    dtype, vae_dtype = dtype or torch.float32, vae_dtype or torch.float32
    if folder.is_file():
        return load_file(
            folder,
            config=config,
            dtype=dtype,
            vae_dtype=vae_dtype,
            tiling=tiling,
            variant=variant,
            device=place,
            **clip,
            at_most=at_most,
        )
    if config is not None:
        raise ValueError(f"config= goes with one file of weights, and {folder} is none")
    if is_foreign(folder):
        about = {"tiling": tiling, "variant": variant, "device": place, "at_most": at_most, **clip}
        return load_foreign(folder, dtype=dtype, vae_dtype=vae_dtype, **about)
    if not (folder / "generator.json").is_file():
        raise FileNotFoundError(
            f"{folder} holds no generator.json; give a folder written by NativeGenerator.save, or one of diffusers, "
            "with model_index.json (a pipeline) or config.json (an autoencoder)"
        )
    if tiling or vae_dtype != torch.float32:
        raise ValueError(
            "vae_dtype= and tiling= are for models of diffusers; latentlab's own autoencoder is small, and computes in "
            "float32"
        )
    if asked := [name for name, value in clip.items() if value is not None]:
        raise ValueError(f"{', '.join(asked)}: for pipelines of diffusers; this model makes clips of one size")
    return _load_native(folder).to(place, dtype)


def _load_native(folder: Path) -> ImageGenerator | NativeGenerator:
    """A generator from the folder that its `save` wrote."""
    file = folder / "generator.json"
    config = _config(file)
    if (kind := kind_of(folder / "denoiser.safetensors")) == "image":
        return ImageGenerator(load_pixels(folder), load_image_denoiser(folder), config)
    denoiser, autoencoder = load_denoiser(folder), load_autoencoder(folder)
    _check_fits(file, config, autoencoder, denoiser)
    made: Any = DENOISERS[kind].generator
    return made(autoencoder, denoiser, load_clip(folder), config)


def _is_pipeline(thing: object) -> bool:
    """Whether it is a pipeline of diffusers, which is not loaded to tell."""
    return any(kind.__name__ == "DiffusionPipeline" for kind in type(thing).__mro__)


def _config(file: Path) -> GeneratorConfig:
    """The settings of a generator, each a number of its kind and above 0; guidance may be below, one may be unknown."""
    try:
        config = GeneratorConfig(**json.loads(file.read_text(encoding="utf-8")))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{file} is not what NativeGenerator.save writes: {error}") from error
    for field in fields(GeneratorConfig):
        value, kind = getattr(config, field.name), float if field.default is None else type(field.default)
        if value is None and field.default is None:
            continue
        least = -math.inf if field.name == "guidance" else 0
        right = isinstance(value, kind | int) and not isinstance(value, bool)
        if value is None or not right or not least < value < math.inf:
            raise ValueError(f"{file}: expected a {field.name} such as {field.default}, got {value!r}")
    if config.num_frames * config.height * config.width > LARGEST:
        raise ValueError(
            f"{file}: a clip of {config.num_frames} frames of {config.height} x {config.width} is larger than "
            f"{LARGEST:,} pixels, the most that is taken for real"
        )
    return config


def _check_fits(file: Path, config: GeneratorConfig, autoencoder: Autoencoder, denoiser: Preconditioned) -> None:
    """Raises unless the networks can hold clips of these settings."""
    window = denoiser.config.window
    side = autoencoder.spatial_compression_ratio * denoiser.multiple
    if config.num_frames % window or config.height % side or config.width % side:
        raise ValueError(
            f"{file}: these networks hold clips of a multiple of {window} frames with sides that are multiples of "
            f"{side}, got {config.num_frames} frames of {config.height} x {config.width}"
        )


@clear_errors
def load_autoencoder(folder: str | Path) -> Autoencoder:
    """The autoencoder of a generator of videos, or of its training run."""
    return read_kind(Path(folder) / "autoencoder.safetensors", {None: AUTOENCODERS[None]})


@clear_errors
def load_denoiser(folder: str | Path) -> Denoiser | TransformerDenoiser:
    """The denoiser of a generator of videos, or of its run: a U-Net, a transformer or a student, as its header says."""
    return read_kind(Path(folder) / "denoiser.safetensors", {k: kind for k, kind in DENOISERS.items() if k != "image"})


@clear_errors
def load_pixels(folder: str | Path) -> Pixels:
    """What takes pixels to latents and back in a model of images."""
    return read_kind(Path(folder) / "autoencoder.safetensors", {"pixels": AUTOENCODERS["pixels"]})


@clear_errors
def load_image_denoiser(folder: str | Path) -> ImageDenoiser:
    """The denoiser of a model of images, or of its training run."""
    return read_kind(Path(folder) / "denoiser.safetensors", {"image": DENOISERS["image"]})


@clear_errors
def load_clip(folder: str | Path) -> ClipModel:
    """The CLIP model of a generator, or of its training run."""
    return read_kind(Path(folder) / "clip.safetensors", CAPTIONS)


def find_device(name: str | torch.device = "auto") -> torch.device:
    """A device by name; "auto" is cuda, then mps, then cpu.

    Raises:
        ValueError: there is no such device.
    """
    if name != "auto":
        try:
            device = torch.device(name)
        except RuntimeError as error:
            raise ValueError(f"no device {name!r}; there are auto, cpu, cuda (or cuda:1, ...) and mps") from error
        ready = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}.get(device.type)
        if ready is not None and not ready():
            raise ValueError(f"device {name!r}: this machine or this build of torch has none; take auto or cpu")
        return device
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
