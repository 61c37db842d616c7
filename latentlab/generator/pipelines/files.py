"""What the files of a diffusers folder say before any of them is read: which weights are there, and whether whole."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path


def check_weights(folder: Path, parts: Sequence[str], variant: str | None = None) -> None:
    """Raises where the weights of a part are absent, of another variant, in pickles alone, or cut short.

    Args:
        folder: of a pipeline or of one network.
        parts: names of its folders; "" is the folder itself. Those without weights, such as tokenizers, pass.
        variant: of the weights that are to be read, such as "fp16".

    Raises:
        ValueError: the message names the file, and says what to do.
    """
    for part in parts:
        place = folder / part
        files = sorted(place.glob("*.safetensors"))
        pickles = sorted([*place.glob("*.bin"), *place.glob("*.ckpt"), *place.glob("*.pt")])
        if not files and pickles:
            raise ValueError(
                f"{place} holds its weights as {pickles[0].name} alone, a pickle that may carry code and is not read "
                "here; if you trust its source, write it anew: DiffusionPipeline.from_pretrained(folder, "
                "use_safetensors=False).save_pretrained(new_folder)"
            )
        if not files and _is_network(place / "config.json"):
            raise ValueError(f"{place} holds settings alone, and no weights; fetch them, too, or name {part} null")
        named = {_variant(file) for file in files}
        if files and variant not in named and None not in named:
            others = " or ".join(f"variant={name!r}" for name in sorted(name for name in named if name))
            raise ValueError(f"{place} holds no weights {_of(variant)}; load with {others}")
        for file in files:
            if (short := missing_bytes(file)) > 0:
                raise ValueError(f"{file} is cut short by {short:,} bytes; fetch it again")
        for index in place.glob("*.safetensors.index.json"):
            shards = set(json.loads(index.read_text(encoding="utf-8")).get("weight_map", {}).values())
            if gone := sorted(name for name in shards if not (place / name).is_file()):
                raise ValueError(f"{index} names {', '.join(gone)}, which are not there; fetch them again")


def missing_bytes(file: Path) -> int:
    """Bytes that the header of a safetensors file tells of and the file does not hold."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or 8 + length > size:
            return max(8 + length - size, 1)
        try:
            header = json.loads(stream.read(length))
        except ValueError:
            return 0  # no safetensors; whoever reads it says so
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    return 8 + length + max(ends, default=0) - size


def _is_network(settings: Path) -> bool:
    """Whether settings are of a network of diffusers or transformers, which has weights."""
    if not settings.is_file():
        return False
    try:
        return bool({"_class_name", "architectures"} & set(json.loads(settings.read_text(encoding="utf-8"))))
    except ValueError:
        return False  # whoever reads it says so


def _variant(file: Path) -> str | None:
    """The variant in a name: "fp16" in `model.fp16.safetensors` and in `model.fp16-00001-of-00002.safetensors`."""
    middle = file.name.removesuffix(".safetensors").split(".")[1:]
    return middle[0].split("-")[0] if middle else None


def _of(variant: str | None) -> str:
    return "without a variant" if variant is None else f"of variant {variant!r}"
