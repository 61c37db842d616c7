"""What every command does with its answer: a record beside the files, lines or JSON on the screen."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from latentlab.generator.generator import Generator
from latentlab.record import Record, frame_hash, to_json
from latentlab.shapes import Video
from latentlab.video import read_fitted
from latentlab.video.write import check_above


def fitted(path: str, generator: Generator) -> tuple[Video, str, float]:
    """A clip in the shape that the generator takes, what was done to it, and its frames a second."""
    c = generator.config
    clip = read_fitted(path, c.num_frames, (c.height, c.width))
    return clip.video, clip.note, clip.fps


def record_of(generator: Generator, command, settings, seed, numbers, clips: dict[str, Video]) -> Record:
    """What a command leaves beside its result."""
    return Record(
        command=f"latentlab {command}",
        settings=settings,
        seed=seed,
        device=str(generator.device),
        weights=generator.fingerprint(),
        numbers=numbers,
        frames={name: frame_hash(clip) for name, clip in clips.items()},
    )


def beside(path: Path) -> Path:
    """Where the record of a file or a folder stands."""
    return path / "record.json" if path.is_dir() else path.with_name(path.stem + ".record.json")


def check_file(path: str | Path) -> None:
    """Raises if no file could be written there, before minutes go into what it would hold."""
    if Path(path).is_dir():
        raise ValueError(f"cannot write {path}: it is a folder; give the name of a file")
    check_above(path)


def tell(result: Any, as_json: bool, lines: Sequence[str]) -> None:
    """The answer on the screen, for people or as JSON."""
    text = to_json(result) if as_json else "\n".join(line for line in lines if line)
    sys.stdout.write(text + "\n")
