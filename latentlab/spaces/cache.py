"""A space that remembers what it encoded."""

from __future__ import annotations

import json
from collections import OrderedDict
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from latentlab.checks import clear_errors
from latentlab.shapes import Codes, Video
from latentlab.spaces.around import Around
from latentlab.spaces.space import Described, Space, as_space
from latentlab.store import digest
from latentlab.tensors import read_tensors, write_tensors

Element = TypeVar("Element")


class Cached(Described):
    """A space whose codes are kept, clip by clip, so that no clip is inverted twice.

    A clip is known by the SHA-256 of its values and of everything that decides its code: the space's description, which
    holds the fingerprint of the weights. What was used longest ago goes first when room runs out.

    Args:
        space: whose codes.
        megabytes: at most, in memory and, where there is a folder, in it; processes that share a folder each count
            what they found there and wrote.
        folder: to keep codes in from one session to the next, a safetensors file for each clip; None keeps them in
            memory alone.

    Attributes:
        hits, misses: clips that were known, and that were not.

    Raises:
        ValueError: a space of codes that stand for nothing clip by clip, see `batch_dependent`.

    >>> from latentlab import LatentSpace, load
    >>> space = LatentSpace(load(device="cpu"))
    >>> from latentlab.data import moving_shapes
    >>> video, _ = moving_shapes(1)
    >>> kept = Cached(space)
    >>> codes = kept.encode(video), kept.encode(video)
    >>> kept.hits, kept.misses
    (1, 1)
    """

    @clear_errors
    def __init__(self, space: Space, *, megabytes: float = 512, folder: str | Path | None = None) -> None:
        self.space = as_space(space)
        if self.space.batch_dependent:
            raise ValueError(
                f"codes of this {type(space).__name__} belong to the clips that they were encoded with, all in their "
                "order, and cannot be kept clip by clip; keep them yourself"
            )
        if megabytes <= 0:
            raise ValueError(f"megabytes must be positive, got {megabytes}")
        self.prior, self.device, self.room = self.space.prior, self.space.device, int(megabytes * 2**20)
        self.folder = None if folder is None else Path(folder)
        self.hits = self.misses = 0
        self._known: Kept[Tensor] = Kept(self.room)
        self._files: Kept[Path] = Kept(self.room)
        if self.folder is not None:
            for file in sorted(self.folder.glob("*.safetensors"), key=lambda file: file.stat().st_mtime):
                self._book(file)

    @property
    def shape(self) -> tuple[int, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Of a code, as the space has it."""
        return self.space.shape

    @property
    def axes(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The space's own."""
        return self.space.axes

    @property
    def grid(self) -> tuple[int, ...] | None:
        return self.space.grid

    def settings(self) -> dict[str, Any]:
        return self.space.settings()

    def describe(self) -> dict[str, Any]:
        return self.space.describe()

    @clear_errors
    def encode(self, video: Video) -> Codes:
        """Codes of clips; only those that are new are encoded."""
        if not len(video):
            return self.space.encode(video)
        context = json.dumps(self.space.describe(), sort_keys=True)
        keys = [content_key(clip, context) for clip in video]
        found = {key: code for key in keys if (code := self._recall(key)) is not None}
        new = [i for i, key in enumerate(keys) if key not in found and key not in keys[:i]]
        self.misses += len(new)
        self.hits += len(keys) - len(new)
        if new:
            for i, code in zip(new, self.space.encode(video[new]), strict=True):
                found[keys[i]] = code
                self._keep(keys[i], code.detach().cpu())
        device = self.device or video.device
        return torch.stack([found[key].to(device) for key in keys])

    @clear_errors
    def decode(self, codes: Codes) -> Video:
        """Clips of codes."""
        return self.space.decode(codes)

    def around(self, video: Video) -> Around:
        """Clips in the space itself, whose way back may hold more than a code."""
        return self.space.around(video)

    def _recall(self, key: str) -> Tensor | None:
        if (code := self._known.get(key)) is not None:
            return code
        path = self._path(key)
        if path is None or not path.is_file():
            return None
        try:
            tensors, header = read_tensors(path, "code", "a code")
            code, intact = tensors["code"], header["sum"]
        except (ValueError, KeyError, TypeError):  # cut short or foreign: as if it were not there, and written anew
            return None
        if code.ndim != 1 or content_key(code, key) != intact:
            return None
        path.touch()
        self._files.get(key)
        self._known.add(key, code, code.nbytes)
        return code

    def _keep(self, key: str, code: Tensor) -> None:
        self._known.add(key, code.clone(), code.nbytes)
        if (path := self._path(key)) is not None:
            write_tensors(path, "code", {"sum": content_key(code, key)}, {"code": code})
            self._book(path)

    def _book(self, path: Path) -> None:
        """Counts a file in, and removes those that it leaves no room for."""
        for old in self._files.add(path.stem, path, path.stat().st_size):
            old.unlink(missing_ok=True)

    def _path(self, key: str) -> Path | None:
        return None if self.folder is None else self.folder / f"{key}.safetensors"


class Kept(Generic[Element]):
    """Things by key, of so many bytes together at most; what was asked for longest ago goes first."""

    def __init__(self, room: int) -> None:
        self.room, self.bytes = room, 0
        self.items: OrderedDict[str, tuple[Element, int]] = OrderedDict()

    def get(self, key: str) -> Element | None:
        """What is kept under a key, which was asked for just now."""
        if key not in self.items:
            return None
        self.items.move_to_end(key)
        return self.items[key][0]

    def add(self, key: str, item: Element, size: int) -> list[Element]:
        """Keeps a thing; returns what went for it."""
        self.bytes += size - self.items.pop(key, (item, 0))[1]
        self.items[key] = item, size
        gone = []
        while self.bytes > self.room:
            old, size = self.items.popitem(last=False)[1]
            self.bytes -= size
            gone.append(old)
        return gone


def content_key(clip: Tensor, context: str) -> str:
    """SHA-256 of a clip's shape, type and values, and of what else decides its code."""
    return digest(
        f"{context} {tuple(clip.shape)} {clip.dtype}", clip.detach().cpu().contiguous().view(torch.uint8).numpy()
    )
