"""A file of finished rows, so that long work over many clips goes on where it was stopped."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from latentlab.record import to_json
from latentlab.store import digest

FORMAT = 3  # raised when a row changes its meaning, so that old ones are made again
HEAVY = ("series", "map", "features")  # parts of a row that stay in the file, so that memory does not grow with them


@dataclass
class RowLog:
    """Rows that are finished, one line of a file each, and the clips that gave none."""

    path: Path
    done: dict[str, dict[str, Any]] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def open(path: Path) -> RowLog:
        """Reads the file if there is one."""
        row_log = RowLog(path)
        for key, row in row_log._lines():
            row_log.done[key] = _light(row)
        return row_log

    def rows(
        self,
        paths: Sequence[Path],
        doing: str,
        settings: Any,
        make: Callable[[Path], dict[str, Any]],
        sources: Callable[[Path], Sequence[Path]],
    ) -> list[dict[str, Any]]:
        """A row for each clip that gives one: from the file if its sources and the settings are as they were.

        Whatever goes wrong with a clip is its reason in `unreadable`; the others go on.
        """
        rows = []
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write("\n" if file.tell() else "")  # ends a line that was cut short
            for path in tqdm(paths, desc=doing, disable=not paths or None):
                try:
                    key = _key(doing, settings, *sources(path))
                    row = None if key in self.done else json.loads(to_json(make(path)))
                except Exception as error:  # a codec or OpenCV has errors of its own
                    self.unreadable[str(path)] = reason(error)
                    continue
                if row:
                    file.write(json.dumps({"key": key, "row": row, "sum": digest(json.dumps(row))}) + "\n")
                    file.flush()
                    self.done[key] = _light(row)
                rows.append({**self.done[key], "clip": str(path), "key": key})
        return rows

    def details(self, keys: Collection[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Key and heavy parts of some rows, one at a time, read from the file again."""
        wanted = set(keys)
        return ((key, {name: row.get(name) for name in HEAVY}) for key, row in self._lines() if key in wanted)

    def _lines(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """One line at a time; what a kill left of a line, or a fault of the disk made of it, is passed over."""
        if not self.path.is_file():
            return
        with self.path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                with suppress(ValueError, KeyError, TypeError, RecursionError):
                    entry = json.loads(line)
                    if digest(json.dumps(entry["row"])) == entry["sum"]:
                        yield entry["key"], entry["row"]


def reason(error: Exception) -> str:
    """What an error says, in one line; of a kind that is not meant for users, its kind too."""
    said = " ".join(str(error).split())
    return said if said and isinstance(error, ValueError | OSError) else f"{type(error).__name__}: {said}"


def _light(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in HEAVY}


def _key(doing: str, settings: Any, *paths: Path) -> str:
    parts = []
    for path in paths:
        inside = sorted(path.iterdir()) if path.is_dir() else [path]
        stats = [f.stat(follow_symlinks=f.exists()) for f in inside]  # of a link to nowhere, the link
        parts.append([str(path.resolve()), [(s.st_size, s.st_mtime_ns) for s in stats]])
    return digest(json.dumps([FORMAT, doing, settings, parts]))
