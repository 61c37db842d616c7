"""The user's own clips with what is known of each: a table of numbers and words, or a folder for each class."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from latentlab.checks import Count, clear_errors
from latentlab.factors import BYTE_ORDER_MARK, Factor, FactorTable
from latentlab.shapes import Video, in_a_line
from latentlab.video import IMAGE_SUFFIXES, VIDEO_SUFFIXES, natural_order, read_fitted
from latentlab.video.files import existing

KINDS = {*VIDEO_SUFFIXES, *IMAGE_SUFFIXES}
CLASS = "class"  # what the folders of classes differ in


@dataclass(frozen=True, eq=False)
class Labelled:
    """Clips, and the factors that somebody knows of them.

    Attributes:
        video: `(clip, 3, frame, height, width)`, fitted to one length and size.
        factors: a row for each clip; NaN where a cell was empty.
        names: of the files.
        source: where the labels come from, in words.
    """

    video: Video
    factors: FactorTable
    names: tuple[str, ...]
    source: str

    __repr__ = in_a_line

    def __len__(self) -> int:
        return len(self.names)


@clear_errors
def labelled(path: str | os.PathLike[str], num_frames: Count, size: tuple[int, int], *, fit: str = "crop") -> Labelled:
    """Reads clips, or images, and their labels.

    Args:
        path: a table, or a folder that holds a folder of clips or images for each class. The table is a CSV file whose
            first line names the columns and whose first column holds files, from the table's own folder on; a column of
            numbers is a continuous factor, one of words a categorical one, and an empty cell says nothing.
        num_frames: of the clips; 1 takes images.
        size: height and width of the clips, in pixels.
        fit: "crop", "pad" or "stretch".

    Raises:
        FileNotFoundError: no such path, or a file of the table that is not there.
        ValueError: a table without columns or rows, or lines of another length; fewer than two classes.

    >>> import tempfile
    >>> from latentlab.video import write
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("a", "b"):
    ...         write(f"{folder}/{name}.png", torch.zeros(1, 3, 1, 8, 8))
    ...     _ = Path(folder, "table.csv").write_text("file,age,colour\\na.png,3,red\\nb.png,,blue\\n")
    ...     found = labelled(f"{folder}/table.csv", 1, (8, 8))
    >>> found.factors.values, found.factors.kinds
    (array([[ 3.,  1.],
           [nan,  0.]]), ('continuous', 'categorical'))
    """
    place = Path(path)
    if not place.exists():
        raise FileNotFoundError(f"{place} does not exist; labels are a table (CSV) or a folder with a folder a class")
    if place.is_dir():
        files, columns = _classes(place)
        source = f"the folders of {place.name}"
    else:
        files, columns = _table(place)
        source = f"the table {place.name}"
    clips = [read_fitted(file, num_frames, size, fit=fit).video for file in files]
    factors = [_factor(name, cells) for name, cells in columns.items()]
    table = FactorTable(np.stack([values for _, values in factors], 1), tuple(spec for spec, _ in factors))
    return Labelled(torch.cat(clips), table, tuple(file.name for file in files), source)


def clips_in(folder: str | os.PathLike[str]) -> list[Path]:
    """The videos and images right below a folder, in natural order; a folder of them is no clip here.

    Raises:
        ValueError: there is none.
    """
    root = existing(folder)
    found = [file for file in (root.iterdir() if root.is_dir() else [root]) if file.suffix.lower() in KINDS]
    if not found:
        raise ValueError(f"{root} holds no video and no image ({' '.join(sorted(KINDS))})")
    return sorted(found, key=natural_order)


def _classes(root: Path) -> tuple[list[Path], dict[str, list[str]]]:
    groups = {
        below.name: sorted((file for file in below.iterdir() if file.suffix.lower() in KINDS), key=natural_order)
        for below in sorted(filter(Path.is_dir, root.iterdir()), key=natural_order)
    }
    groups = {name: files for name, files in groups.items() if files}
    if len(groups) < 2:
        raise ValueError(
            f"{root} should hold a folder of clips or images for each of two classes or more, got "
            f"{', '.join(groups) or 'none'}"
        )
    files = [file for group in groups.values() for file in group]
    return files, {CLASS: [name for name, group in groups.items() for _ in group]}


def _table(path: Path) -> tuple[list[Path], dict[str, list[str]]]:
    try:
        text = path.read_text(encoding="utf-8").removeprefix(BYTE_ORDER_MARK)
        rows = [[cell.strip() for cell in row] for row in csv.reader(text.splitlines()) if any(map(str.strip, row))]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is no table of comma-separated values in UTF-8: {error}") from error
    if len(rows) < 2 or len(rows[0]) < 2:
        raise ValueError(
            f"{path} should name a file and a factor in its first line, as file,age, and hold a line a clip"
        )
    head, lines = rows[0], rows[1:]
    if wrong := next((i for i, row in enumerate(lines, 2) if len(row) != len(head)), None):
        raise ValueError(f"line {wrong} of {path} has {len(lines[wrong - 2])} cells, its first line {len(head)}")
    if len(set(head)) < len(head) or not all(head):
        raise ValueError(f"the columns of {path} should have a name each, got {', '.join(head)}")
    files = [path.parent / row[0] for row in lines]
    if gone := [file for file in files if not file.exists()]:
        raise FileNotFoundError(
            f"{path} names {gone[0].name}, which is not in {gone[0].parent} ({len(gone)} such files)"
        )
    return files, {name: [row[i] for row in lines] for i, name in enumerate(head) if i}


def _factor(name: str, cells: Sequence[str]) -> tuple[Factor, np.ndarray]:
    """A column as numbers, where all that is told are numbers; else words by their order."""
    told = [cell for cell in cells if cell]
    try:
        values = np.array([float(cell) if cell else np.nan for cell in cells])
    except ValueError:
        words = tuple(sorted(set(told)))
        code: Mapping[str, float] = {word: float(i) for i, word in enumerate(words)} | {"": np.nan}
        return Factor(name, "categorical", 0, len(words) - 1, labels=words), np.array([code[cell] for cell in cells])
    known = values[np.isfinite(values)]
    if not len(known):
        raise ValueError(f"the column {name!r} says nothing of any clip")
    return Factor(name, "continuous", float(known.min()), float(known.max())), values
