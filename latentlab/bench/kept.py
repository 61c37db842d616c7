"""Answers that a script keeps in a file each, so that a run that was stopped goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from latentlab.record import to_json
from latentlab.store import short_digest, write_text


def kept_answer(folder: Path, name: str, settings: Mapping[str, Any], make: Callable[[], Any]) -> Any:
    """What `make` returned the first time with these settings, all that decides what it returns; plain values.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     first = kept_answer(Path(folder), "sum", {"of": [1, 2]}, lambda: {"sum": 1 + 2})
    ...     kept_answer(Path(folder), "sum", {"of": [1, 2]}, lambda: {"sum": "made again"}) == first
    True
    """
    path = folder / f"{name}_{settings_key(settings)}.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):  # not yet, or damaged
        write_text(path, to_json(make()) + "\n")
    return json.loads(path.read_text(encoding="utf-8"))


def settings_key(settings: Mapping[str, Any]) -> str:
    """Tells settings apart in the name of a file."""
    return short_digest(to_json(dict(settings)))
