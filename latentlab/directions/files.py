"""Sets of directions on disk: safetensors, with names and provenance as JSON in the header."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from latentlab.checks import clear_errors
from latentlab.directions.direction_set import Directions, DirectionSet, as_set
from latentlab.tensors import read_tensors, write_tensors

FORMAT = 1  # of the file; raised when an old one could be misread
_OPTIONAL = ("lengths", "t", "r2", "p")


@clear_errors
def save_directions(path: str | Path, directions: Directions, provenance: Mapping[str, Any] | None = None) -> None:
    """Writes directions, atomically.

    Args:
        path: of the file.
        directions: to write, or the fitted finder that found them.
        provenance: what made them beside what they say themselves, plain values: `space.describe()`, a seed, a set.

    Raises:
        TypeError: provenance that JSON cannot hold.

    >>> import tempfile
    >>> import numpy as np
    >>> from latentlab.directions import DirectionSet
    >>> found = DirectionSet(("light", "size"), np.eye(2), np.diag([4.0, 1.0]))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_directions(f"{folder}/found.safetensors", found)
    ...     again = load_directions(f"{folder}/found.safetensors")
    >>> again.names
    ('light', 'size')
    """
    directions = as_set(directions)
    try:
        software = version("latentlab")
    except PackageNotFoundError:  # run from a checkout
        software = ""
    header = {
        "format": FORMAT,
        "names": list(directions.names),
        "reads": directions.reads,
        "latentlab": software,
        "provenance": {**directions.provenance, **(provenance or {})},
    }
    tensors = {"vectors": directions.vectors, "covariance": directions.covariance}
    tensors |= {part: values for part in _OPTIONAL if (values := getattr(directions, part)) is not None}
    write_tensors(path, "directions", header, {name: torch.as_tensor(values) for name, values in tensors.items()})


@clear_errors
def load_directions(path: str | Path) -> DirectionSet:
    """Reads what `save_directions` wrote.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not such a file.

    >>> import tempfile
    >>> import numpy as np
    >>> from latentlab.directions import DirectionSet
    >>> found = DirectionSet(("light", "size"), np.eye(2), np.diag([4.0, 1.0]))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_directions(f"{folder}/found.safetensors", found)
    ...     again = load_directions(f"{folder}/found.safetensors")
    >>> again.names
    ('light', 'size')
    """
    read, header = read_tensors(path, "directions", "directions")
    tensors = {name: values.numpy() for name, values in read.items()}
    names, vectors, covariance = header.get("names"), tensors.get("vectors"), tensors.get("covariance")
    if header.get("format") != FORMAT or names is None or vectors is None or covariance is None:
        raise ValueError(f"{path} was not written by save_directions, or by another version of latentlab")
    optional: dict[str, Any] = {part: tensors.get(part) for part in _OPTIONAL}
    count = len(names)
    fits = vectors.ndim == 2 and len(vectors) == count and covariance.shape == (count, count)
    if not fits or any(values is not None and values.shape != (count,) for values in optional.values()):
        raise ValueError(f"{path} names {count} directions, but its tensors are of another number")
    told: dict[str, Any] = {"reads": header.get("reads", False), "provenance": header["provenance"]}
    return DirectionSet(tuple(names), vectors, covariance, **told, **optional)
