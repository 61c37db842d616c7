"""A folder of the user's own video files as a training set."""

import hashlib
import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from latentlab.shapes import Video
from latentlab.video import VIDEO_SUFFIXES, Info, natural_order, probe, read_at
from latentlab.video.fit import check_fit


class FolderClips:
    """Random windows of the videos below a folder, each read when it is asked for.

    The files are those with a video's suffix, in natural order, hidden ones and links out of the folder left aside.
    Nothing is opened before the first clip is asked for, or `look`. A file that cannot be read is replaced by the next
    good one, named once in a warning, and kept with its reason in `skipped`.

    Args:
        root: the folder, searched with all its subfolders.
        num_frames: frames of a window; a shorter video holds its last frame.
        size: (height, width) of the clips, in pixels.
        fit: "crop", "pad" or "stretch", see `latentlab.video.fit`.
        step: take every `step`-th frame of the file.
        count: how many clips, None for one of each file; clip i is a window of file i modulo their number.

    Attributes:
        paths: the files.
        skipped: the files found unusable so far, and why.

    Raises:
        FileNotFoundError: if `root` does not exist.
        NotADirectoryError: if `root` is no folder.
        ValueError: if it holds no video, or `num_frames`, `step`, `count`, `size` or `fit` is out of range.

    Example:
        >>> clips = FolderClips("my_videos", num_frames=16, size=(64, 64))  # doctest: +SKIP
        >>> clips.clip(0, seed=1).shape  # doctest: +SKIP
        torch.Size([1, 3, 16, 64, 64])
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        num_frames: int,
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
        self._infos: dict[Path, Info] = {}
        self.root = Path(root)
        self.paths = self._find(self.root)
        self.count = count or len(self.paths)

    def __len__(self) -> int:
        return self.count

    @property
    def identity(self) -> str:
        """Tells this set from others: how clips are cut, and a hash of the files' names and sizes."""
        listed = "".join(f"{path.relative_to(self.root)} {path.stat().st_size}\n" for path in self.paths)
        digest = hashlib.sha256(listed.encode(errors="surrogateescape")).hexdigest()[:12]
        cut = f"{self.num_frames} frames of {self.size[0]} x {self.size[1]}, {self.fit}, step {self.step}"
        return f"{len(self.paths)} videos {digest}, {cut}"

    @property
    def windows(self) -> int:
        """How many different windows the good files have; opens all files."""
        self.look()
        return sum(max(1, self._room(path)) for path in self._infos)

    def look(self, *, progress: bool = False) -> None:
        """Opens every file, so that `skipped` lists all bad ones before the first clip; warns of none.

        Raises:
            ValueError: if no file can be read.
        """
        for path in tqdm(self.paths, desc="opening videos", disable=not progress):
            self._open(path)
        self._good(0)

    def clip(self, index: int, *, seed: int = 0, frames: Sequence[int] | None = None) -> Video:
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
        if not positions or min(positions) < 0 or max(positions) >= self.num_frames:
            raise ValueError(f"`frames` must be positions from 0 to {self.num_frames - 1}, got {list(positions)}")
        path = self._good(index)
        start = int(np.random.default_rng([seed, index]).integers(max(self._room(path), 1)))
        last = self._infos[path].num_frames - 1
        window = [min(start + position * self.step, last) for position in positions]
        try:
            return read_at(path, window, size=self.size, fit=self.fit).video
        except ValueError:
            # The window lies in a damaged stretch. Going to another file here would make later windows of this one
            # depend on earlier ones; its first frame is known to decode.
            return read_at(path, [0] * len(window), size=self.size, fit=self.fit).video

    def caption(self, index: int, *, seed: int = 0) -> str:
        """The text beside the file that `clip(index)` reads (`wave.txt` beside `wave.mp4`), "" if there is none.

        There is one wording, whatever the seed.
        """
        text = self._good(index).with_suffix(".txt")
        return text.read_text(encoding="utf-8", errors="replace").strip() if text.is_file() else ""

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
                warnings.warn(f"skipped {path}, the next good file stands in for it: {reason}", stacklevel=3)
        path, reason = next(iter(self.skipped.items()))
        raise ValueError(f"none of the {len(self.paths)} videos can be read; the first: {path}: {reason}")

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
        if not root.exists():
            raise FileNotFoundError(f"{root} does not exist; give a folder of video files")
        if not root.is_dir():
            raise NotADirectoryError(f"{root} is a file; give the folder of video files it lies in")
        found, others = [], 0
        for folder, folders, names in os.walk(root):  # does not follow links to folders
            folders[:] = [name for name in folders if not name.startswith(".")]
            for path in (Path(folder, name) for name in names if not name.startswith(".")):
                if path.suffix.lower() not in VIDEO_SUFFIXES or not path.is_file():
                    others += 1
                elif not path.resolve().is_relative_to(root.resolve()):
                    self.skipped[path] = "a link to a file outside the folder"
                else:
                    found.append(path)
        if not found:
            kinds = f"{others} other files, {len(self.skipped)} links out of it"
            raise ValueError(f"{root} holds no video, found {kinds}; expected {' '.join(VIDEO_SUFFIXES)}")
        return tuple(sorted(found, key=natural_order))
