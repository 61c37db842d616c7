"""What every command does with its answer: a record beside the files, lines or JSON on the screen."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentlab.generator.generator import Generator
from latentlab.metrics import flicker, psnr
from latentlab.metrics.residual import ROUNDING
from latentlab.record import Record, frame_hash, to_json
from latentlab.shapes import Video
from latentlab.video import read, read_fitted, write
from latentlab.video.write import check_above

if TYPE_CHECKING:
    from latentlab.study.fidelity import Fidelity

FLOOR = f"rounding to 8 bits alone reads up to {ROUNDING:.2f} where something moves"
UNSEEN = "flicker not seen: it takes 3 frames or more, and motion that can be followed"


def fitted(path: str, generator: Generator) -> tuple[Video, str, float]:
    """A clip in the shape that the generator takes, what was done to it, and its frames a second."""
    c = generator.config
    clip = read_fitted(path, c.num_frames, (c.height, c.width))
    return clip.video, clip.note, clip.fps


def written(path: Path, clip: Video, fps: float) -> tuple[Video, dict[str, Any]]:
    """Writes a clip and reads it again: what is measured and recorded is what the file holds.

    Returns:
        The clip of the file, its flicker (None of less than three frames) and how near it is to what was written, dB.
    """
    write(path, clip, fps=fps)
    file = read(path).video
    near = psnr(file[..., : clip.shape[3], : clip.shape[4]], clip.cpu())  # some kinds of file repeat a last row
    seen = float(flicker(file).overall) if file.shape[2] > 2 else math.nan
    return file, {"flicker": None if math.isnan(seen) else round(seen, 3), "file_psnr": round(float(near), 2)}


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


def record_path(path: str | Path) -> Path:
    """Where the record of a file stands, or that of a clip which is a folder of images."""
    return Path(path).with_name(Path(path).stem + ".record.json")


def check_file(path: str | Path) -> None:
    """Raises if no file could be written there, before minutes go into what it would hold."""
    if Path(path).is_dir():
        raise ValueError(f"cannot write {path}: it is a folder; give the name of a file")
    check_above(path)


def check_idle(options: Mapping[str, Any], why: str) -> None:
    """Raises if options were given that would do nothing."""
    if given := [f"--{name}" for name, value in options.items() if value is not None]:
        raise ValueError(f"{', '.join(given)} {why}")


def warned(known: Fidelity | None) -> list[str]:
    """A line for clips that the model does not know; none for others."""
    return [f"WARNING: {known.warning}"] if known is not None and known.warning else []


def emit(result: Any, as_json: bool, lines: Sequence[str]) -> None:
    """The answer on the screen, for people or as JSON."""
    try:
        print(to_json(result) if as_json else "\n".join(line for line in lines if line), flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python tries again on its way out
        if not isinstance(error, BrokenPipeError):  # whoever read has had enough
            raise OSError(f"the files are written, but the answer could not be printed: {error.strerror}") from error


def say(line: str) -> None:
    """What begins now, in a line, where no bar shows it."""
    if sys.stderr is not None and not sys.stderr.isatty():
        print(line, file=sys.stderr, flush=True)
