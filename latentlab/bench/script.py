"""Scripts of `benchmarks/`: found by name, loaded, their settings checked."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from types import ModuleType
from typing import Any

SCRIPTS = Path(__file__).parents[2] / "benchmarks"
ANY_MODEL = "any_model"  # the script that asks of no model more than any has
KINDS: dict[type, tuple[type, ...]] = {float: (int, float), tuple: (list, tuple)}  # that will do for a default's


def load_script(path: Path) -> ModuleType:
    """The script as a module, named after its folder, where processes that it starts find it too."""
    path = path.resolve()
    above = str(path.parents[1])
    if above not in sys.path:
        sys.path.insert(0, above)
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}.{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path} cannot be loaded as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


def config_of(script: ModuleType, settings: Mapping[str, Any], *, seed: int = 0, work: Path = Path()) -> Any:
    """The script's Config.

    Args:
        script: a module that `load_script` made.
        settings: fields that are not as they stand there.
        seed: added to the script's own.
        work: folder that it may write to.

    Raises:
        ValueError: no such setting, or a value of another kind than the default.
    """
    name = script.__name__.rpartition(".")[2]
    known = [field.name for field in fields(script.Config)]
    config = script.Config(**({"out": str(work)} if "out" in known else {}))
    for field, value in settings.items():
        if field not in known:
            raise ValueError(f"{name} has no setting {field!r}; it has {', '.join(known)}")
        _check_kind(f"{name}.{field}", value, getattr(config, field))
    config = replace(config, **{k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()})
    return replace(config, seed=config.seed + seed) if "seed" in known else config


def _check_kind(setting: str, value: Any, default: Any) -> None:
    """A value must be of the kind of the default, if that is not None; a whole number will do for any number."""
    allowed = KINDS.get(type(default), (type(default),))
    if default is not None and (not isinstance(value, allowed) or isinstance(value, bool) != (bool in allowed)):
        raise ValueError(f"{setting} is of the kind of {json.dumps(default)}, got {value!r}")


def find_scripts(folder: str | Path) -> dict[str, Path]:
    """Scripts with `run(config)`, by name.

    Raises:
        FileNotFoundError: no such folder, or none in it.
    """
    files = sorted(Path(folder).glob("*.py"))
    found = {file.stem: file for file in files if "\ndef run(config" in file.read_text(encoding="utf-8")}
    if not found:
        raise FileNotFoundError(
            f"{folder} holds no benchmark, a script with run(config); they are in a checkout of latentlab, not in the "
            "installed package: give their folder by --scripts"
        )
    return found


def parse_settings(given: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Settings by script, from `NAME.FIELD=VALUE`; a value is JSON, or else text.

    >>> parse_settings(["inversion.clips=4", 'inversion.methods=["ddim"]', "inversion.model=folder"])
    {'inversion': {'clips': 4, 'methods': ['ddim'], 'model': 'folder'}}
    """
    found: dict[str, dict[str, Any]] = {}
    for text in given:
        target, equals, value = text.partition("=")
        name, dot, field = target.partition(".")
        if not (equals and dot and name and field):
            raise ValueError(f"a setting is NAME.FIELD=VALUE, such as inversion.clips=4, got {text!r}")
        try:
            found.setdefault(name, {})[field] = json.loads(value)
        except json.JSONDecodeError:
            found.setdefault(name, {})[field] = value
    return found


def settings_of_model(
    names: Sequence[str],
    about: Mapping[str, Any],
    settings: Mapping[str, Mapping[str, Any]],
    scripts: str | Path = SCRIPTS,
) -> dict[str, dict[str, Any]]:
    """Settings by script, those of a model among them.

    Args:
        names: of the scripts.
        about: "model", and what else is told of it, such as "num_frames"; None says nothing.
        settings: further ones, which go first.
        scripts: their folder.

    Raises:
        ValueError: a script that takes no model, or not what is told of it.
    """
    found, files = {name: dict(own) for name, own in settings.items()}, find_scripts(scripts)
    told = {field: value for field, value in about.items() if value is not None}
    for name in (name for name in names if name in files):
        known = {field.name for field in fields(load_script(files[name]).Config)}
        if missing := [field for field in told if field not in known]:
            raise ValueError(f"{name} takes no {missing[0]}; {ANY_MODEL} takes {', '.join(told)}")
        found[name] = told | found.get(name, {})
    return found
