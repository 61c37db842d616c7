"""A space that remembers what it encoded."""

from __future__ import annotations

import hashlib
import json
import os
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from latentlab.shapes import Codes, Video
from latentlab.spaces.space import Described


class Cached(Described):
    """A space whose codes are kept, clip by clip, so that no clip is inverted twice.

    A clip is known by the SHA-256 of its values and of everything that decides its code: the space's description, which
    holds the fingerprint of the weights. What was used longest ago goes first when room runs out.

    Args:
        space: whose codes.
        megabytes: at most, in memory and, where there is a folder, in it.
        folder: to keep codes in from one session to the next, a safetensors file for each clip; None keeps them in
            memory alone.

    Attributes:
        hits, misses: clips that were known, and that were not.

    Raises:
        ValueError: a space of codes that stand for nothing clip by clip, see `by_place`.

    >>> from latentlab import LatentSpace, load
    >>> space = LatentSpace(load(device="cpu"))
    >>> from latentlab.data import moving_shapes
    >>> video, _ = moving_shapes(1)
    >>> kept = Cached(space)
    >>> codes = kept.encode(video), kept.encode(video)
    >>> kept.hits, kept.misses
    (1, 1)
    """

    def __init__(self, space: Described, *, megabytes: float = 512, folder: str | Path | None = None) -> None:
        if space.by_place:
            raise ValueError(
                f"codes of this {type(space).__name__} belong to the clips that they were encoded with, all in their "
                "order, and cannot be kept clip by clip; keep them yourself"
            )
        if megabytes <= 0:
            raise ValueError(f"megabytes must be positive, got {megabytes}")
        self.space, self.room = space, int(megabytes * 2**20)
        self.shape, self.axes, self.prior = space.shape, space.axes, space.prior
        self.folder = None if folder is None else Path(folder)
        self.hits = self.misses = 0
        self._known: OrderedDict[str, Tensor] = OrderedDict()
        self._bytes = 0

    def settings(self) -> dict[str, Any]:
        return self.space.settings()

    def describe(self) -> dict[str, Any]:
        return self.space.describe()

    def encode(self, video: Video) -> Codes:
        """Codes of clips; only those that are new are encoded."""
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
        device = found[keys[new[0]]].device if new else video.device
        return torch.stack([found[key].to(device) for key in keys])

    def decode(self, codes: Codes) -> Video:
        """Clips of codes."""
        return self.space.decode(codes)

    def _recall(self, key: str) -> Tensor | None:
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        path = self._path(key)
        if path is None or not path.is_file():
            return None
        try:
            code = load_file(path)["code"]
        except (SafetensorError, KeyError):  # cut short or foreign: as if it were not there, and written anew
            return None
        if code.shape != (self.dim,):
            return None
        os.utime(path)
        self._remember(key, code)
        return code

    def _keep(self, key: str, code: Tensor) -> None:
        self._remember(key, code)
        path = self._path(key)
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        save_file({"code": code.contiguous()}, partial)
        os.replace(partial, path)
        files = sorted(path.parent.glob("*.safetensors"), key=lambda file: file.stat().st_mtime)
        over = sum(file.stat().st_size for file in files) - self.room
        for file in files:
            if over <= 0:
                break
            over -= file.stat().st_size
            file.unlink(missing_ok=True)

    def _remember(self, key: str, code: Tensor) -> None:
        self._known[key] = code.clone()
        self._bytes += code.nbytes
        while self._bytes > self.room:
            _, oldest = self._known.popitem(last=False)
            self._bytes -= oldest.nbytes

    def _path(self, key: str) -> Path | None:
        return None if self.folder is None else self.folder / f"{key}.safetensors"


def content_key(clip: Tensor, context: str) -> str:
    """SHA-256 of a clip's shape, type and values, and of what else decides its code."""
    digest = hashlib.sha256(f"{context} {tuple(clip.shape)} {clip.dtype}".encode())
    digest.update(clip.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
