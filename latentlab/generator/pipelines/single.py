"""A generator of one file of weights, as models are handed round; what the networks are is said by a folder beside it.

The file is in the layout of the model's authors or of diffusers: a whole checkpoint (denoiser, autoencoder, text
encoders), a denoiser alone, quantised or not, or an autoencoder alone. Nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from latentlab.generator.generator import GeneratorConfig
from latentlab.generator.pipelines.coded import AutoencoderOnly, Coded
from latentlab.generator.pipelines.driver import DENOISERS
from latentlab.generator.pipelines.families import (
    autoencoder_kind,
    diffusers_for,
    of_pipeline,
    pipeline_kind,
    read_json,
    read_pipeline,
    tiled,
)
from latentlab.generator.pipelines.files import missing_bytes
from latentlab.generator.pipelines.foreign import class_named

TEXT = ("cond_stage_model.", "conditioner.", "text_encoders.")  # what keys of text encoders begin with
PARTS = (*TEXT, "first_stage_model.", "vae.")  # and those of a checkpoint that is more than a denoiser
PICKLES = (".bin", ".ckpt", ".pt", ".pth")


def load_file(
    file: Path,
    *,
    config: str | Path | None,
    dtype: torch.dtype,
    vae_dtype: torch.dtype,
    tiling: bool = False,
    variant: str | None = None,
    device: torch.device | None = None,
    **options: Any,
) -> Coded:
    """The generator of one file of weights.

    Args:
        file: `.safetensors`, or `.gguf` of a denoiser, which stays quantised.
        config: folder of a pipeline (or an autoencoder) of diffusers. Its settings, tokenizers and scheduler are taken;
            weights too, of parts that the file does not hold.
        dtype, vae_dtype, tiling, variant, device, options: as in `families.load_foreign`.

    Raises:
        ValueError: a file of another kind, one cut short, no `config`, or one of another model.
    """
    keys = _keys(file)
    if config is None:
        raise ValueError(
            f"{file} holds weights alone, not what they are weights of; give config=, the folder of its pipeline in "
            f"diffusers' layout, of which settings suffice{_looks_like(file, keys)}"
        )
    folder = Path(config)
    diffusers = diffusers_for(file)
    if not (folder / "model_index.json").is_file():
        if not (folder / "config.json").is_file():
            raise ValueError(
                f"config={str(config)!r} is no folder here with model_index.json (a pipeline) or config.json (an "
                f"autoencoder); from the hub: {_fetch('OWNER/NAME')}"
            )
        kind = autoencoder_kind(diffusers, folder, read_json(folder / "config.json"))
        vae = _network(kind, file, folder, "", vae_dtype)
        return AutoencoderOnly(tiled(vae, tiling), GeneratorConfig()).to(device or "cpu")
    index = read_json(folder / "model_index.json")
    kind = pipeline_kind(diffusers, folder, index)
    dtypes = {"dtype": dtype, "vae_dtype": vae_dtype}
    if keys and any(key.startswith(PARTS) for key in keys):
        pipe = _whole(kind, file, folder, index, keys, **dtypes)
    else:
        role = next((role for role in DENOISERS if _readable(index.get(role))), None)
        if role is None:
            raise ValueError(f"diffusers reads no denoiser of a {kind.__name__} from one file; load its folder")
        denoiser = _network(getattr(diffusers, index[role][1]), file, folder, role, dtype)
        pipe = read_pipeline(diffusers, folder, variant=variant, given={role: denoiser}, **dtypes)
    if tiling:
        tiled(pipe.vae, tiling)
    return of_pipeline(pipe.to(device or "cpu"), **options)


def _whole(
    kind: Any,
    file: Path,
    folder: Path,
    index: Mapping[str, Any],
    keys: list[str],
    *,
    dtype: torch.dtype,
    vae_dtype: torch.dtype,
) -> Any:
    """The pipeline of a checkpoint that holds its autoencoder, and perhaps its text encoders."""
    from diffusers.loaders import FromSingleFileMixin

    if not issubclass(kind, FromSingleFileMixin):
        raise ValueError(f"diffusers reads no {kind.__name__} from one file; load its folder")
    import diffusers

    given: dict[str, Any] = {}
    if vae_dtype != dtype and _readable(index.get("vae")):
        given["vae"] = _network(getattr(diffusers, index["vae"][1]), file, folder, "vae", vae_dtype)
    if not any(key.startswith(TEXT) for key in keys):
        texts = [name for name in index if name.startswith("text_encoder") and index[name][0] is not None]
        given |= {name: None for name in texts if not any((folder / name).glob("*.safetensors"))}
    pipe = _fitting(kind.from_single_file, file, folder, torch_dtype=dtype, **given)
    for name, part in pipe.components.items():
        if isinstance(part, nn.Module):
            _check_filled(part, name, file, folder)
    return pipe


def _network(kind: Any, file: Path, folder: Path, role: str, dtype: torch.dtype) -> nn.Module:
    """One network of a file, of the settings of its folder."""
    more: dict[str, Any] = {}
    if file.suffix == ".gguf":
        from diffusers import GGUFQuantizationConfig

        more["quantization_config"] = GGUFQuantizationConfig(compute_dtype=dtype)
    network = _fitting(kind.from_single_file, file, folder, subfolder=role, torch_dtype=dtype, **more)
    _check_filled(network, role or kind.__name__, file, folder)
    return network


def _fitting(read: Any, file: Path, folder: Path, **options: Any) -> Any:
    """What diffusers reads of a file, or one line that says why it does not."""
    from diffusers.loaders.single_file_utils import SingleFileComponentError

    try:
        return read(str(file), config=str(folder), local_files_only=True, **options)
    except SingleFileComponentError as error:
        said = str(error.message).split(". Weights")[0]
        raise ValueError(
            f"{file} lacks a part of the pipeline, and so does {folder} ({said}); put its weights into that folder"
        ) from error
    except (KeyError, RuntimeError, ValueError) as error:
        said = " ".join(str(error).split("\n\n")[0].split())
        raise ValueError(f"{file} does not fit the settings in {folder}, it is of another model ({said})") from error


def _check_filled(network: nn.Module, name: str, file: Path, folder: Path) -> None:
    """Raises where a weight was neither in the file nor in the folder, which diffusers leaves without numbers."""
    if empty := [key for key, tensor in network.state_dict().items() if tensor.is_meta]:
        raise ValueError(
            f"{file} lacks {len(empty)} weights of {name}, such as {empty[0]}; {folder} tells of another model"
        )


def _readable(part: Any) -> bool:
    """Whether a line of `model_index.json` names a network that diffusers reads from one file."""
    import diffusers
    from diffusers.loaders import FromOriginalModelMixin

    own = class_named(diffusers, part[1]) if isinstance(part, list) and part[0] == "diffusers" else None
    return isinstance(own, type) and issubclass(own, FromOriginalModelMixin)


def _keys(file: Path) -> list[str]:
    """Names of the tensors of a file; none of a gguf, which is of a denoiser.

    Raises:
        ValueError: a pickle, a file of another kind, or one that is cut short.
    """
    if file.suffix in PICKLES:
        raise ValueError(
            f"{file} is a pickle that may carry code and is not read here; if you trust its source, write it anew: "
            f"safetensors.torch.save_file(torch.load('{file.name}', weights_only=True)['state_dict'], "
            f"'{file.stem}.safetensors')"
        )
    if file.suffix == ".gguf":
        return []
    if file.suffix != ".safetensors":
        raise ValueError(f"{file} is no file of weights; expected .safetensors or .gguf, or a folder")
    if (short := missing_bytes(file)) > 0:
        raise ValueError(f"{file} is cut short by {short:,} bytes; fetch it again")
    try:
        with safe_open(file, "pt") as weights:
            return list(weights.keys())
    except SafetensorError as error:
        raise ValueError(f"{file} is no safetensors file ({error}); fetch it again") from error


def _looks_like(file: Path, keys: list[str]) -> str:
    """How to get the settings of the model that a file's names and shapes are of, where diffusers knows it."""
    if not keys:
        return f"; from the hub: {_fetch('OWNER/NAME')}"
    from diffusers.loaders.single_file_utils import fetch_diffusers_config

    with safe_open(file, "pt") as weights:
        shapes = {key: torch.empty(weights.get_slice(key).get_shape(), device="meta") for key in keys}
    found = fetch_diffusers_config(shapes)["pretrained_model_name_or_path"]  # of Stable Diffusion 1 where in doubt
    return f". It looks most like {found}: {_fetch(found)}, then config='settings'"


def _fetch(hub_id: str) -> str:
    return f'hf download {hub_id} --include "*.json" "*.txt" "*.model" --local-dir settings'
