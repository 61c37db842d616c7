"""A folder of the user's own video files as a training set."""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from latentlab.shapes import Video
from latentlab.video import VIDEO_SUFFIXES, Info, natural_order, probe, read_at
from latentlab.video.fit import check_fit


class FolderClips:
    """Random windows of the videos below a folder, each read when it is asked for.

    The files are those with a video's suffix, in natural order, hidden ones and links out of the folder left aside.
    Nothing is opened before the first clip is asked for. A file that cannot be read is replaced by the next good one,
    named once in a warning, and kept with its reason in `skipped`.

    Args:
        root: the folder, searched with all its subfolders.
        num_frames: frames of a window; a shorter video holds its last frame.
        size: (height, width) of the clips, in pixels.
        fit: "crop", "pad" or "stretch", see `latentlab.video.fit`.
        step: take every `step`-th frame of the file.

    Attributes:
        paths: the files, one an index.
        skipped: the files found unusable so far, and why.

    Raises:
        FileNotFoundError: if `root` does not exist.
        NotADirectoryError: if `root` is no folder.
        ValueError: if it holds no video, or `num_frames`, `step`, `size` or `fit` is out of range.

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
    ) -> None:
        if num_frames < 1 or step < 1:
            raise ValueError(f"`num_frames` and `step` must be at least 1, got {num_frames} and {step}")
        check_fit(size, fit)
        self.num_frames, self.size, self.fit, self.step = num_frames, size, fit, step
        self.skipped: dict[Path, str] = {}
        self._infos: dict[Path, Info] = {}
        self.paths = self._find(Path(root))

    def __len__(self) -> int:
        return len(self.paths)

    def clip(self, index: int, *, seed: int = 0, frames: Sequence[int] | None = None) -> Video:
        """Read a window of consecutive frames, placed at random by `(seed, index)` and by nothing else.

        Args:
            index: number of the file, 0 to `len(self) - 1`.
            seed: another seed, another window.
            frames: positions within the window to read, 0 to `num_frames - 1`; None reads them all.

        Returns:
            A clip of shape `(1, 3, frame, *size)`.

        Raises:
            IndexError: if there is no such file.
            ValueError: if `frames` leaves the window, or no file of the folder can be read.
        """
        positions = range(self.num_frames) if frames is None else frames
        if not positions or min(positions) < 0 or max(positions) >= self.num_frames:
            raise ValueError(f"`frames` must be positions from 0 to {self.num_frames - 1}, got {list(positions)}")
        path = self._good(index)
        total = self._infos[path].num_frames
        room = total - (self.num_frames - 1) * self.step  # places where a whole window can begin
        start = int(np.random.default_rng([seed, index]).integers(max(room, 1)))
        window = [min(start + position * self.step, total - 1) for position in positions]
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
        """The file at `index`, or the next good one after it, from the last on to the first."""
        if not 0 <= index < len(self):
            raise IndexError(f"`index` must be 0 to {len(self) - 1}, got {index}")
        for path in self.paths[index:] + self.paths[:index]:
            if self._is_good(path):
                return path
        path, reason = next(iter(self.skipped.items()))
        raise ValueError(f"none of the {len(self)} videos can be read; the first: {path}: {reason}")

    def _is_good(self, path: Path) -> bool:
        if path not in self._infos and path not in self.skipped:
            try:
                self._infos[path] = probe(path)
            except (ValueError, OSError) as error:
                self.skipped[path] = str(error)
                warnings.warn(f"skipped {path}, the next good file stands in for it: {error}", stacklevel=4)
        return path in self._infos

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
