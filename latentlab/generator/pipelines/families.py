"""Generators of diffusers: pipelines held in memory or read from folders, by a family's own code or driven, and
autoencoders alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from inspect import Parameter, signature
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from latentlab.generator.generator import GeneratorConfig
from latentlab.generator.methods import check_counts
from latentlab.generator.pipelines.coded import AutoencoderOnly, Coded
from latentlab.generator.pipelines.cogvideox import CogVideoX
from latentlab.generator.pipelines.driven import Driven
from latentlab.generator.pipelines.files import check_weights
from latentlab.generator.pipelines.foreign import Encodes, TakesTiles, class_named
from latentlab.generator.pipelines.hunyuan import Hunyuan
from latentlab.generator.pipelines.ltx import LTX
from latentlab.generator.pipelines.mochi import Mochi
from latentlab.generator.pipelines.pipeline import Pipeline
from latentlab.generator.pipelines.svd import StableVideo
from latentlab.generator.pipelines.taesd import find_taesd, load_taesd
from latentlab.generator.pipelines.unet import AnimateDiff, ModelScope
from latentlab.generator.pipelines.wan import Wan
from latentlab.warning import warn

FAMILIES: dict[str, type[Pipeline]] = {  # by the pipeline's class in model_index.json
    "AnimateDiffPipeline": AnimateDiff,
    "StableVideoDiffusionPipeline": StableVideo,
    "TextToVideoSDPipeline": ModelScope,
    "CogVideoXPipeline": CogVideoX,
    "CogVideoXImageToVideoPipeline": CogVideoX,
    "WanPipeline": Wan,
    "WanImageToVideoPipeline": Wan,
    "LTXPipeline": LTX,
    "LTXImageToVideoPipeline": LTX,
    "HunyuanVideoPipeline": Hunyuan,
    "MochiPipeline": Mochi,
}


def of_pipeline(
    pipe: Any,
    *,
    num_frames: int | None = None,
    height: int | None = None,
    width: int | None = None,
    at_most: tuple[int, int] | None = None,
    call: Mapping[str, Any] | None = None,
) -> Coded:
    """The generator of a pipeline held in memory: by its family's own code, or driven.

    Args:
        pipe: a `DiffusionPipeline`; its weights are used as they are, quantised, adapted or offloaded.
        num_frames, height, width: of its clips; None are the family's, or the pipeline's own defaults.
        at_most: frames, and pixels a side, to which such defaults are held.
        call: further arguments of the pipeline's call; where there are any, it is driven.

    Raises:
        ValueError: it cannot be driven, or makes no clips of this length and size; the message says why.
    """
    given = {"num_frames": num_frames, "height": height, "width": width}
    asked = {name: value for name, value in given.items() if value is not None}
    check_counts(**asked)
    if at_most is not None:
        check_counts(**{f"at_most[{i}]": value for i, value in enumerate(at_most)})
    pipe.set_progress_bar_config(disable=True)
    family = family_of(pipe)
    if family is None or call:
        return Driven(pipe, call=call, num_frames=num_frames, height=height, width=width, at_most=at_most)
    generator = family(pipe)
    if at_most is not None:
        generator.config = generator.held_to(*at_most)
    generator.config = replace(generator.config, **asked)
    generator.check_config()
    return generator


def family_of(pipe: Any) -> type[Pipeline] | None:
    """The family whose code knows a pipeline; None where it is driven."""
    family = FAMILIES.get(type(pipe).__name__)
    if family is CogVideoX and pipe.transformer.config.patch_size_t is not None:
        return None  # 1.5 takes latent frames in groups
    return family


def is_foreign(folder: Path) -> bool:
    """Whether a folder holds a pipeline or a network of diffusers, or a tiny autoencoder."""
    named = any((folder / name).is_file() for name in ("model_index.json", "config.json"))
    return named or find_taesd(folder) is not None


def load_foreign(
    folder: Path,
    *,
    dtype: torch.dtype,
    vae_dtype: torch.dtype = torch.float32,
    tiling: bool = False,
    variant: str | None = None,
    device: torch.device | None = None,
    **options: Any,
) -> Coded:
    """The generator of a folder in the format of diffusers, or of a tiny autoencoder.

    Args:
        folder: with `model_index.json` (a pipeline), `config.json` (an autoencoder), or `*_encoder.pth` and
            `*_decoder.pth` (a tiny autoencoder, which needs no diffusers).
        dtype: of the denoiser and text encoder.
        vae_dtype: of the autoencoder.
        tiling: whether the autoencoder takes clips in tiles.
        variant: of the weights' files, such as "fp16".
        device: of the networks.
        options: of a pipeline, see `of_pipeline`.

    Raises:
        ImportError: diffusers is not installed.
        ValueError: a pipeline or network of another kind, or one that cannot be driven.
    """
    tiny = find_taesd(folder)
    if tiny is not None:
        return AutoencoderOnly(tiled(load_taesd(*tiny).to(vae_dtype), tiling), GeneratorConfig()).to(device or "cpu")
    diffusers = diffusers_for(folder)
    if not (folder / "model_index.json").is_file():
        own = autoencoder_kind(diffusers, folder, read_json(folder / "config.json"))
        check_weights(folder, [""], variant)
        vae = own.from_pretrained(folder, dtype=vae_dtype, use_safetensors=True, variant=variant)
        return AutoencoderOnly(tiled(vae, tiling), GeneratorConfig()).to(device or "cpu")
    pipe = read_pipeline(diffusers, folder, dtype=dtype, vae_dtype=vae_dtype, variant=variant)
    if tiling:
        tiled(pipe.vae, tiling)
    return of_pipeline(pipe.to(device or "cpu"), **options)


def read_pipeline(
    diffusers: Any,
    folder: Path,
    *,
    dtype: torch.dtype,
    vae_dtype: torch.dtype,
    variant: str | None = None,
    given: Mapping[str, Any] = MappingProxyType({}),
) -> Any:
    """The pipeline of a folder, its parts but those given; one that is named there and absent is None, with a warning.

    A text encoder that is there as settings alone is absent, too: embeddings may stand in for it.
    """
    index = read_json(folder / "model_index.json")
    kind = pipeline_kind(diffusers, folder, index)
    needed = [name for name, p in signature(kind.__init__).parameters.items() if p.default is Parameter.empty]
    absent = {name: None for name in needed if name in index and index[name] in (None, [None, None])}
    parts = [name for name, value in index.items() if isinstance(value, list) and value[0] and name not in given]
    gone = [name for name in parts if not (folder / name).is_dir() or _unweighed(folder / name)]
    if gone:
        warn(f"{folder} names {', '.join(gone)} and does not hold it; loaded without")
        absent |= dict.fromkeys(gone)
    check_weights(folder, [name for name in parts if name not in gone], variant)
    dtypes = {"vae": vae_dtype, "default": dtype}
    return kind.from_pretrained(folder, dtype=dtypes, use_safetensors=True, variant=variant, **absent, **given)


def _unweighed(place: Path) -> bool:
    """Whether a text encoder is there as settings alone."""
    return (
        place.name.startswith("text_encoder") and not any(place.glob("*.safetensors")) and not any(place.glob("*.bin"))
    )


def read_json(file: Path) -> dict[str, Any]:
    """What a JSON file of diffusers says."""
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is no JSON, perhaps cut short ({error}); fetch it again") from error
    if not isinstance(said, dict):
        raise ValueError(f"{file} should hold the settings of a model of diffusers, got a {type(said).__name__}")
    return said


def tiled(vae, tiling: bool):
    """The same autoencoder, which takes clips in tiles if asked."""
    if tiling and not isinstance(vae, TakesTiles):
        raise ValueError(f"{type(vae).__name__} takes frames whole; load it without tiling=True")
    if tiling:
        vae.enable_tiling()
    return vae


def autoencoder_kind(diffusers, path: str | Path, config: Mapping[str, Any]) -> Any:
    name = str(config.get("_class_name", "network of an unknown class"))
    kind = class_named(diffusers, name)
    if not isinstance(kind, Encodes):
        raise ValueError(f"{path} holds a {name}; give the folder of an autoencoder or of a whole pipeline")
    return kind


def pipeline_kind(diffusers: Any, path: str | Path, index: Mapping[str, Any]) -> Any:
    name = index.get("_class_name")
    kind = class_named(diffusers, name) if isinstance(name, str) else None
    if not isinstance(kind, type) or not issubclass(kind, diffusers.DiffusionPipeline):
        raise ValueError(
            f"{path} holds a {name}, which is no pipeline of diffusers {diffusers.__version__}; one of other code is "
            "loaded by that code, and given as it is held in memory: latentlab.load(pipe)"
        )
    return kind


def diffusers_for(path: str | Path) -> Any:
    try:
        import diffusers
    except ImportError as error:
        raise ImportError(f"{path} is read by diffusers: pip install 'latentlab[diffusers]'") from error
    return diffusers
