"""What the chapters of the tour share: the generator, the clip, and what has been found so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from latentlab.data.labelled import Labelled
from latentlab.generator.generator import Generator
from latentlab.metrics.temporal import flicker
from latentlab.record import frame_hash
from latentlab.shapes import Video
from latentlab.study.fidelity import Fidelity
from latentlab.video import read, write
from latentlab.view.report import Player

STRENGTHS = (-2.0, -1.0, 0.0, 1.0, 2.0)


@dataclass
class Walk:
    """What the chapters of the tour share and fill."""

    generator: Generator
    seed: int
    tick: Callable[[str], None]
    source: Video
    known: Fidelity
    num_steps: int
    labels: Labelled | None = None
    numbers: dict[str, Any] = field(default_factory=dict)
    frames: dict[str, str] = field(default_factory=dict)

    def player(self, name: str, clip: Video, title: str, *notes: str) -> Player:
        """A player of a clip, with its flicker; both this and the hash in the record are of the film on the page."""
        with TemporaryDirectory() as folder:
            write(Path(folder) / "film.mp4", clip, fps=self.generator.config.fps)
            film = read(Path(folder) / "film.mp4").video
        self.frames[name] = frame_hash(film)
        if film.shape[2] < 3:
            return Player(clip.cpu(), title, " · ".join(notes), fps=self.generator.config.fps)
        measured = flicker(film)
        self.numbers.setdefault("flicker", {})[name] = round(float(measured.overall), 3)
        note = " · ".join([*notes, measured.summary()])
        return Player(clip.cpu(), title, note, fps=self.generator.config.fps)
