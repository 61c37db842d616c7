"""One clip on the easel: what the page asks for, without the page."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from latentlab.control import Inpainted, inpaint, propagate
from latentlab.control.propagate import fine
from latentlab.control.refine import decoder
from latentlab.generator.generator import Generator
from latentlab.generator.native import NativeGenerator
from latentlab.record import Record, frame_hash
from latentlab.shapes import Mask, Video
from latentlab.video import read, to_uint8, write

State = Literal["running", "done", "failed", "cancelled"]
OPTIONS: Mapping[str, Callable[[str], Any]] = {
    "seed": int, "steps": int, "start": float, "grow": int, "feather": int, "refine": int,
}  # fmt: skip
KINDS = {int: "a whole number", float: "a number"}


class Busy(ValueError):
    """Something is being done already."""


class Cancelled(Exception):
    """Whoever asked for the work wants no more of it."""


@dataclass(frozen=True)
class PaintingJob:
    """Work that the page asked for, and how far it is."""

    id: int = 0
    kind: str = ""
    state: State = "done"
    share: float = 0.0
    said: str = ""
    lines: tuple[str, ...] = ()


@dataclass
class Session:
    """A clip, a generator that may fill it, and the work that is done; one at a time, in a thread of its own.

    Args:
        clip: `(1, 3, frame, height, width)`.
        generator: that fills; None where masks alone are painted.
        name: of the clip.
        fps: frames a second.
        caption: that the page begins with.
        notes: what to know of the clip.
        warnings: what the model cannot do with it.
        out: where each filled clip is written too, with its record beside it; None is nowhere.

    >>> import latentlab as ll
    >>> session = Session(ll.data.moving_shapes(1, seed=0)[0])
    >>> mask = np.zeros((16, 64, 64), np.uint8)
    >>> mask[0, 8:24, 8:24] = 255
    >>> session.propagate(mask, [0])
    >>> session.wait().said
    'carried to 15 frames more'
    """

    clip: Video
    generator: Generator | None = None
    name: str = "clip"
    fps: float = 8.0
    caption: str = ""
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    out: Path | None = None
    job: PaintingJob = field(default_factory=PaintingJob, init=False)
    filled: Inpainted | None = field(default=None, init=False)
    record: Record | None = field(default=None, init=False)
    masks: np.ndarray | None = field(default=None, init=False)  # that were carried

    def __post_init__(self) -> None:
        self._lock, self._thread = threading.Lock(), threading.Thread()
        self._unwanted = threading.Event()
        self.source = to_uint8(self.clip)[0]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, height and width."""
        frames, height, width = self.clip.shape[2:]
        return frames, height, width

    def facts(self) -> dict[str, Any]:
        """What the page shows of clip and model."""
        frames, height, width = self.shape
        told = {"name": self.name, "count": frames, "height": height, "width": width, "fps": self.fps}
        said = {"notes": self.notes, "warnings": self.warnings, "caption": self.caption}
        return told | said | _of_model(self.generator)

    def frame(self, kind: str, index: int) -> np.ndarray:
        """One frame as a picture, of the "source" or of the last "result".

        Raises:
            KeyError: there is no such frame.
        """
        pictures = self.source if kind == "source" else self.result if kind == "result" else None
        if pictures is None or not 0 <= index < len(pictures):
            raise KeyError(f"no frame {index} of {kind!r}")
        return pictures[index]

    @property
    def result(self) -> np.ndarray | None:
        """Frames of the last filled clip."""
        return None if self.filled is None else to_uint8(self.filled.video.cpu())[0]

    def run(self, masks: np.ndarray, caption: str, options: Mapping[str, str]) -> None:
        """Begins to fill what masks `(frame, height, width)`, 0 to 255, cover.

        Raises:
            ValueError: a setting that is none, or other work goes on.
        """
        generator = self.generator
        if generator is None:
            raise ValueError("no model was loaded to fill with: this page paints masks alone")
        settings = {name: _number(name, options[name]) for name in OPTIONS if name in options}
        solving = {"num_steps": settings.pop("steps", 25)}
        mask = mask_tensor(masks)

        def work() -> tuple[str, tuple[str, ...]]:
            found = inpaint(generator, self.clip, mask, caption, callback=self._passed, **settings, **solving)
            frames = {"source": self.clip, "mask": mask.expand(-1, 3, -1, -1, -1) * 2 - 1, "filled": found.video.cpu()}
            if self.out is not None:  # the record is of what the file holds
                write(self.out, frames["filled"], fps=self.fps)
                frames["filled"] = read(self.out).video
            record = Record(
                command="latentlab paint",
                settings={"clip": self.name, "caption": caption, **settings, **solving},
                seed=settings.get("seed", 0),
                device=str(generator.device),
                weights=generator.fingerprint(),
                numbers=found.numbers(),
                frames={name: frame_hash(clip) for name, clip in frames.items()},
            )
            if self.out is not None:
                record.save(self.out.with_name(self.out.stem + ".record.json"))
            self.filled, self.record = found, record
            return "filled", tuple(found.lines())

        self._begin("run", "filling", work)

    def propagate(self, masks: np.ndarray, painted: list[int]) -> None:
        """Begins to carry the masks of painted frames to all others."""
        mask, frames = mask_tensor(masks), self.shape[0]
        calls = 0

        def flow(a: Tensor, b: Tensor) -> Tensor:
            nonlocal calls
            calls += 1
            self._passed(min(1.0, calls / (2 * max(1, frames - 1) * (1 if len(painted) < 2 else 2))))
            return fine(a, b)

        def work() -> tuple[str, tuple[str, ...]]:
            found = propagate(mask, self.clip, painted=painted or None, flow=flow)
            self.masks = (found.mask[0, 0] * 255).round().byte().numpy()
            doubt = [i + 1 for i, sure in enumerate(_sure(found.mask, found.confidence)) if sure < 0.5]
            lines = (f"look at frames {', '.join(map(str, doubt))}: little there tells where it is",) if doubt else ()
            return f"carried to {frames - len(found.painted)} frames more", lines

        self._begin("propagate", "carrying", work)

    def cancel(self) -> None:
        """Ends the work at its next step."""
        self._unwanted.set()

    def wait(self) -> PaintingJob:
        """The work, once it has ended."""
        if self._thread.ident is not None:
            self._thread.join()
        return self.job

    def _begin(self, kind: str, said: str, work: Callable[[], tuple[str, tuple[str, ...]]]) -> None:
        with self._lock:
            if self.job.state == "running":
                raise Busy(f"{self.job.said} is not done yet; wait, or cancel it")
            self._unwanted.clear()
            self.job = PaintingJob(self.job.id + 1, kind, "running", said=said)

        def run() -> None:
            try:
                said, lines = work()
                self.job = replace(self.job, state="done", share=1.0, said=said, lines=lines)
            except Cancelled:
                self.job = replace(self.job, state="cancelled", said="cancelled; nothing was changed")
            except Exception as error:  # whatever a model raises, the page survives
                self.job = replace(self.job, state="failed", said=str(error) or type(error).__name__)

        # No daemon: the interpreter would end under PyTorch's feet, which aborts the whole process.
        self._thread = threading.Thread(target=run, name="latentlab-paint", daemon=False)
        self._thread.start()

    def _passed(self, share: float) -> None:
        self.job = replace(self.job, share=share)
        if self._unwanted.is_set() or not threading.main_thread().is_alive():
            raise Cancelled


def mask_tensor(masks: np.ndarray) -> Mask:
    """Masks of 8 bits as a tensor `(1, 1, frame, height, width)` in [0, 1]."""
    return torch.from_numpy(masks.astype(np.float32) / 255)[None, None]


def _number(name: str, given: str) -> Any:
    kind = OPTIONS[name]
    try:
        return kind(given)
    except ValueError:
        raise ValueError(f"{name} is {KINDS[kind]}, got {given!r}") from None


def _sure(mask: Mask, confidence: Mask) -> list[float]:
    """Mean confidence of each frame where its mask is; 1 where it has none."""
    weight = mask.sum((0, 1, 3, 4))
    found = (mask * confidence).sum((0, 1, 3, 4)) / weight.clamp(min=1e-6)
    return torch.where(weight > 0, found, 1.0).tolist()


def _of_model(generator: Generator | None) -> dict[str, Any]:
    """What the page says of the model, and with what it begins."""
    if generator is None:
        return {"model": "", "words": "", "refine": 0}
    name = "latentlab's own model" if isinstance(generator, NativeGenerator) else type(generator).__name__
    known = generator.clip_model.config.vocabulary if isinstance(generator, NativeGenerator) else ()
    try:
        decoder(generator)
    except ValueError:  # a decoder without gradients, which refining takes
        return {"model": name, "words": " ".join(known), "refine": 0}
    return {"model": name, "words": " ".join(known), "refine": 30}
