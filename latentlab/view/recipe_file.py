"""Files of an explorer: settings, and the identity of all that they are drawn from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from latentlab.directions import Direction
from latentlab.record import frame_hash, to_json
from latentlab.store import digest, write_text
from latentlab.view.drawing import Drawing
from latentlab.view.setting import ExplorerState

FORMAT = 2  # of the file; raised when an old one could be misread
REPLAYED = ".safetensors"  # ending of files that `Recipe.load` reads


def recipe(drawing: Drawing, setting: ExplorerState, presets: Mapping[str, ExplorerState]) -> dict[str, Any]:
    """A setting and named ones, with what identifies all that they are drawn from."""
    return {
        "format": FORMAT,
        "setting": setting.to_dict(),
        "presets": {name: kept.to_dict() for name, kept in presets.items()},
        "made with": dependencies(drawing, (setting, *presets.values())),
    }


def write_explorer(
    path: str | Path, drawing: Drawing, setting: ExplorerState, presets: Mapping[str, ExplorerState]
) -> None:
    """Writes a setting as a `Recipe`, or with the presets as what `read_explorer` reads, by its ending; see `export`.

    Raises:
        ValueError: another ending, or a direction that no recipe holds.
    """
    path = Path(path)
    if path.suffix == REPLAYED:
        drawing.recipe(setting).save(path)
    elif path.suffix == ".json":
        write_text(path, to_json(recipe(drawing, setting, presets)))
    else:
        raise ValueError(f"a recipe ends in {REPLAYED} or .json, got {path.name!r}")


def read_explorer(path: str | Path, drawing: Drawing) -> tuple[ExplorerState, dict[str, ExplorerState]]:
    """The setting and the presets of a file, if they mean here what they meant there.

    Raises:
        ValueError: no such file's content, or something that its settings use is another one here.
    """
    try:
        written = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no recipe of an explorer: {error}") from error
    if not isinstance(written, dict) or written.get("format") != FORMAT:
        raise ValueError(f"{path} was not written by an explorer, or by that of another version of latentlab")
    setting = ExplorerState.from_dict(written["setting"])
    presets = {name: ExplorerState.from_dict(kept) for name, kept in written["presets"].items()}
    was = written["made with"]
    now = json.loads(json.dumps(dependencies(drawing, (setting, *presets.values()))))
    if other := [f"{name} ({was.get(name)} then, {now.get(name)} now)" for name in was | now
                 if was.get(name) != now.get(name)]:  # fmt: skip
        raise ValueError(f"this recipe was made with another {', another '.join(other)}")
    return setting, presets


def dependencies(drawing: Drawing, settings: Iterable[ExplorerState]) -> dict[str, Any]:
    """What some settings depend on besides themselves, by name; nothing that none of them uses."""
    settings, space, generator = list(settings), drawing.space, drawing.generator
    found = {name if name == "space" else f"space's {name}": value for name, value in space.describe().items()}
    if generator is not None:
        found["generator"] = generator.fingerprint()
    if any(setting.caption is None for setting in settings):
        found["clip"] = frame_hash(drawing.clip)
    if any(setting.position for setting in settings):
        found["second clip"] = None if drawing.other is None else frame_hash(drawing.other)
    for name in sorted({name for setting in settings for name in setting.names}):
        known = drawing.directions.get(name)
        found[f"direction {name}"] = None if known is None else _digest(known)
    return found


def _digest(direction: Direction) -> str:
    """Of vector and scale as an edit takes them, in single precision."""
    vector = np.asarray([*direction.vector, direction.scale], dtype="<f4")
    return digest(vector)
