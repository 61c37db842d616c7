"""A folder of the user's own video files as a training set."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from latentlab.checks import Count, Seed, clear_errors
from latentlab.data.caption import read_caption
from latentlab.shapes import Video
from latentlab.store import digest
from latentlab.video import VIDEO_SUFFIXES, Info, natural_order, probe, read_at
from latentlab.video.files import existing, files_below
from latentlab.video.fit import check_fit
from latentlab.warning import warn


class FolderClips:
    """Random windows of the videos below a folder, each read when it is asked for.

    The files are those with a video's suffix, in natural order. What else lies there is in `skipped` with the reason,
    but for captions and hidden files. Nothing is opened before the first clip is asked for, or `look`. A file that
    cannot be read is replaced by the next good one, named once in a warning, and is in `skipped`, too.

    Args:
        root: the folder, searched with all its subfolders.
        num_frames: frames of a window; a shorter video holds its last frame.
        size: (height, width) of the clips, in pixels.
        fit: "crop", "pad" or "stretch", see `latentlab.video.fit`.
        step: take every `step`-th frame of the file.
        count: how many clips, None for one of each file; clip i is a window of file i modulo their number.

    Attributes:
        paths: the files.
        skipped: the files left out, those found unusable so far among them, and why.
        notes: what was done to the files read so far, and what is not honoured in them, where there is anything.

    Raises:
        FileNotFoundError: if `root` does not exist.
        NotADirectoryError: if `root` is no folder.
        ValueError: if it holds no video, or `num_frames`, `step`, `count`, `size` or `fit` is out of range.

    Example:
        >>> clips = FolderClips("my_videos", num_frames=16, size=(64, 64))  # doctest: +SKIP
        >>> clips.clip(0, seed=1).shape  # doctest: +SKIP
        torch.Size([1, 3, 16, 64, 64])
    """

    @clear_errors
    def __init__(
        self,
        root: str | os.PathLike[str],
        num_frames: Count,
        size: tuple[int, int],
        *,
        fit: str = "crop",
        step: int = 1,
        count: int | None = None,
    ) -> None:
        if num_frames < 1 or step < 1 or (count is not None and count < 1):
            raise ValueError(f"`num_frames`, `step`, `count` must be at least 1, got {num_frames}, {step}, {count}")
        check_fit(size, fit)
        self.num_frames, self.size, self.fit, self.step = num_frames, size, fit, step
        self.skipped: dict[Path, str] = {}
        self.notes: dict[Path, str] = {}
        self._infos: dict[Path, Info] = {}
        self.root = existing(root)
        self.paths = self._find(self.root)
        self.count = count or len(self.paths)

    def __len__(self) -> int:
        return self.count

    @property
    def identity(self) -> str:
        """Tells this set from others: how clips are cut, and a hash of the files' names and sizes."""
        listed = "".join(f"{path.relative_to(self.root)} {path.stat().st_size}\n" for path in self.paths)
        cut = f"{self.num_frames} frames of {self.size[0]} x {self.size[1]}, {self.fit}, step {self.step}"
        return f"{len(self.paths)} videos {digest(listed)[:12]}, {cut}"

    @property
    def windows(self) -> int:
        """How many different windows the good files have; opens all files."""
        self.look()
        return sum(max(1, self._room(path)) for path in self._infos)

    @clear_errors
    def look(self, *, progress: bool = False) -> None:
        """Opens every file, so that `skipped` lists all bad ones before the first clip; warns of none.

        Raises:
            ValueError: if no file can be read.
        """
        for path in tqdm(self.paths, desc="opening videos", disable=not progress or None):
            self._open(path)
        self._good(0)

    @clear_errors
    def clip(self, index: int, *, seed: Seed = 0, frames: Sequence[int] | None = None) -> Video:
        """Read a window of consecutive frames, placed at random by `(seed, index)` and by nothing else.

        Args:
            index: number of the clip, 0 to `len(self) - 1`.
            seed: another seed, another window.
            frames: positions within the window to read, 0 to `num_frames - 1`; None reads them all.

        Returns:
            A clip of shape `(1, 3, frame, *size)`.

        Raises:
            IndexError: if there is no such clip.
            ValueError: if `frames` leaves the window, or no file of the folder can be read.
        """
        positions = range(self.num_frames) if frames is None else frames
        if not len(positions) or min(positions) < 0 or max(positions) >= self.num_frames:
            raise ValueError(f"`frames` must be positions from 0 to {self.num_frames - 1}, got {list(positions)}")
        path = self._good(index)
        start = int(np.random.default_rng([seed, index]).integers(max(self._room(path), 1)))
        last = self._infos[path].num_frames - 1
        window = [min(start + position * self.step, last) for position in positions]
        try:
            clip = read_at(path, window, size=self.size, fit=self.fit)
        except ValueError:
            # The window lies in a damaged stretch. Going to another file here would make later windows of this one
            # depend on earlier ones; its first frame is known to decode.
            clip = read_at(path, [0] * len(window), size=self.size, fit=self.fit)
        if clip.note:
            self.notes[path] = clip.note
        return clip.video

    @clear_errors
    def caption(self, index: int, *, seed: Seed = 0) -> str:
        """The text beside the file that `clip(index)` reads (`wave.txt` beside `wave.mp4`), "" if there is none.

        There is one wording, whatever the seed; `read_caption` says how it may be written.
        """
        text = self._good(index).with_suffix(".txt")
        return read_caption(text) if text.is_file() else ""

    def _good(self, index: int) -> Path:
        """The file of clip `index`, or the next good one after it, from the last on to the first."""
        if not 0 <= index < len(self):
            raise IndexError(f"`index` must be 0 to {len(self) - 1}, got {index}")
        first = index % len(self.paths)
        for path in self.paths[first:] + self.paths[:first]:
            known = path in self.skipped
            if self._open(path):
                return path
            if not known:
                reason = self.skipped[path]
                warn(f"skipped {path}, the next good file stands in for it: {reason}")
        path = self.paths[0]
        raise ValueError(f"none of the {len(self.paths)} videos can be read; the first: {path}: {self.skipped[path]}")

    def _open(self, path: Path) -> bool:
        """Whether a file can be read; found out once."""
        if path not in self._infos and path not in self.skipped:
            try:
                self._infos[path] = probe(path)
            except (ValueError, OSError) as error:
                self.skipped[path] = str(error)
        return path in self._infos

    def _room(self, path: Path) -> int:
        """Places where a whole window can begin; none or fewer in a short file."""
        return self._infos[path].num_frames - (self.num_frames - 1) * self.step

    def _find(self, root: Path) -> tuple[Path, ...]:
        if not root.is_dir():
            raise NotADirectoryError(f"{root} is a file; give the folder of video files it lies in")
        found = []
        for path in files_below(root, self.skipped):
            if reason := _unfit(path, root):
                self.skipped[path] = reason
            else:
                found.append(path)
        for path in found:
            self.skipped.pop(path.with_suffix(".txt"), None)  # its caption
        if not found:
            kinds = f"{len(self.skipped)} other files"
            example = "".join(f" such as {path.name} ({why})" for path, why in list(self.skipped.items())[:1])
            raise ValueError(f"{root} holds no video, found {kinds}{example}; expected {' '.join(VIDEO_SUFFIXES)}")
        return tuple(sorted(found, key=natural_order))


def _unfit(path: Path, root: Path) -> str:
    """Why a file is no part of the set, "" if it is one."""
    if path.suffix.lower() not in VIDEO_SUFFIXES:
        return f"no video by its suffix {path.suffix!r}"
    if not path.exists():
        return "a link to nowhere"
    if not path.is_file():
        return "no regular file"
    return "" if path.resolve().is_relative_to(root.resolve()) else "a link to a file outside the folder"
