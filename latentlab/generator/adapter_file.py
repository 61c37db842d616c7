"""Files of adapters: latentlab's own, which are peft's with a header, and those of peft, diffusers and kohya.

Trainers call the two factors differently (`lora_A`, `lora_down`, `lora.down`) and say alpha in different places: peft
in `adapter_config.json`, diffusers in the file's header, kohya's in a tensor beside the factors. Where nobody says it,
alpha is the rank, as diffusers takes it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from latentlab.generator.update import LowRank, Update, Whole
from latentlab.store import replacing, write_text
from latentlab.tensors import write_tensors

HEADER = "adapter"  # key of our header
DIFFUSERS = "lora_adapter_metadata"  # key of that of diffusers
WORD = "lora_word."  # before a new word's embedding; "lora", for diffusers reads no file with a key that lacks it
FACTORS = {
    ".lora_A.weight": "down", ".lora_B.weight": "up", ".lora_A.default.weight": "down",
    ".lora_B.default.weight": "up", ".lora_down.weight": "down", ".lora_up.weight": "up", ".lora.down.weight": "down",
    ".lora.up.weight": "up", ".alpha": "alpha", ".diff": "weight", ".diff_b": "bias",
}  # fmt: skip
STRANGE = {"dora_scale": "DoRA", "lora_magnitude_vector": "DoRA", "hada_": "LoHa", "lokr_": "LoKr", "lora_mid": "CP"}

ROLES = ("transformer", "transformer_2", "unet", "text_encoder", "text_encoder_2", "autoencoder")  # before a layer

Contents = tuple[dict[str, Update], dict[str, Tensor], dict[str, Any]]


def read_adapter(path: Path) -> Contents:
    """Updates by place, words, and what the file says of itself.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not readable, no adapter, or one of a kind that is not read.
    """
    folder = path if path.is_dir() else path.parent
    file = path / "adapter_model.safetensors" if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(f"no adapter at {path}; give a .safetensors file, or a folder that peft wrote")
    try:
        with safe_open(file, framework="pt") as opened:
            header = dict(opened.metadata() or {})
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError, ValueError) as error:
        raise ValueError(f"{path} is not a readable safetensors file: {error}") from error
    config = folder / "adapter_config.json"
    if file.name == "adapter_model.safetensors" and config.is_file():
        header.setdefault(DIFFUSERS, config.read_text(encoding="utf-8"))
    try:
        about, said = json.loads(header.get(HEADER, "{}")), json.loads(header.get(DIFFUSERS, "{}"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: its header is damaged: {error}") from error
    words = {name.removeprefix(WORD): row for name, row in tensors.items() if name.startswith(WORD)}
    others = {name: tensor for name, tensor in tensors.items() if not name.startswith(WORD)}
    return updates(path, others, said), words, about


def updates(
    path: str | Path, tensors: Mapping[str, Tensor], said: Mapping[str, Any] | None = None
) -> dict[str, Update]:
    """Updates by place, of tensors as files name them; `said` is what peft's config or header says."""
    return {place: _update(path, place, part, said or {}) for place, part in _parts(path, tensors).items()}


def _parts(path: str | Path, tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Tensors by place and part: "down", "up", "alpha", "weight", "bias"."""
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        ending = next((ending for ending in FACTORS if name.endswith(ending)), None)
        if ending is None:
            kind = next((kind for mark, kind in STRANGE.items() if mark in name), None)
            what = f"is an adapter of the kind {kind}" if kind else "is no adapter that is known here"
            raise ValueError(f"{path} {what}: it holds {name!r}; those read are LoRA (lora_A, lora_down) and .diff")
        place = name.removesuffix(ending).removeprefix("base_model.model.")
        parts.setdefault(place, {})[FACTORS[ending]] = tensor
    return parts


def _update(path: str | Path, place: str, part: Mapping[str, Tensor], said: Mapping[str, Any]) -> Update:
    if not {"down", "up"} & part.keys() and {"weight", "bias"} & part.keys():
        return Whole(part.get("weight"), part.get("bias"))
    if not {"down", "up"} <= part.keys():
        raise ValueError(f"{path} is cut short: of {place} it holds {', '.join(part)} alone")
    down, up = part["down"], part["up"]
    if down.ndim < 2 or up.ndim < 2 or len(down) != up.shape[1]:
        raise ValueError(f"{path}: A {tuple(down.shape)} and B {tuple(up.shape)} of {place} are no pair of factors")
    alpha = float(part["alpha"]) if "alpha" in part else _alpha(place, len(down), said)
    return LowRank(down, up, alpha, part.get("bias"))


def _alpha(place: str, rank: int, said: Mapping[str, Any]) -> float:
    """What peft's config says, for all or for layers by pattern; diffusers puts the network's name before each key."""
    role = next((f"{name.split('.')[0]}." for name in said if place.startswith(f"{name.split('.')[0]}.")), "")
    own = {name.removeprefix(role): value for name, value in said.items() if name.startswith(role)} if role else said
    layer = place.removeprefix(role)
    patterns: Mapping[str, float] = own.get("alpha_pattern") or {}
    matching = (value for key, value in patterns.items() if re.fullmatch(rf"(.*\.)?({key})", layer))  # as peft does
    alpha = next(matching, own.get("lora_alpha", rank))
    return float(alpha) * (math.sqrt(rank) if own.get("use_rslora") else 1)  # alpha / sqrt(r) of rank-stabilised LoRA


def write_adapter(
    path: Path, changes: Mapping[str, Update], words: Mapping[str, Tensor], about: Mapping[str, Any]
) -> None:
    """Writes what `read_adapter` reads; a path without a suffix becomes a folder as peft's, with its config."""
    parts = {place: place.split(".")[0] if place.split(".")[0] in ROLES else "" for place in changes}
    tensors = {f"{WORD}{word}": row for word, row in words.items()}
    for place, update in changes.items():
        name = place if parts[place] else f"base_model.model.{place}"
        tensors |= {f"{name}.{part}": tensor for part, tensor in update.tensors().items()}
    said = {}
    for role in sorted(set(parts.values())):
        before = f"{role}." if role else ""
        low = {p.removeprefix(before): u for p, u in changes.items() if parts[p] == role and isinstance(u, LowRank)}
        said |= {f"{before}{key}": value for key, value in _config(low).items()}
    more = {"format": "pt", **({DIFFUSERS: json.dumps(said, sort_keys=True)} if said else {})}
    if path.suffix:
        write_tensors(path, HEADER, about, tensors, more=more)
        return
    with replacing(path) as folder:
        folder.mkdir()
        write_tensors(folder / "adapter_model.safetensors", HEADER, about, tensors, more=more)
        config = {"peft_type": "LORA", "base_model_name_or_path": None, **said}
        write_text(folder / "adapter_config.json", json.dumps(config, indent=2) + "\n")


def _config(updates: Mapping[str, LowRank]) -> dict[str, Any]:
    """Rank, alpha and targets as peft's `LoraConfig` takes them; layers that differ from the first are told each."""
    if not updates:
        return {}
    first = next(iter(updates.values()))
    return {
        "r": first.rank,
        "lora_alpha": first.alpha,
        "target_modules": list(updates),
        "rank_pattern": {place: u.rank for place, u in updates.items() if u.rank != first.rank},
        "alpha_pattern": {place: u.alpha for place, u in updates.items() if u.alpha != first.alpha},
    }
