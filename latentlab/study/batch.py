"""Batches of a brief: drawn into a folder, rated, and the next one proposed from what was liked."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from latentlab.checks import clear_errors
from latentlab.preference.taste import Taste
from latentlab.record import frame_hash, to_json
from latentlab.shapes import Video
from latentlab.store import write_text
from latentlab.study.brief import Brief
from latentlab.video import read, write

DrawClip = Callable[[Mapping[str, Any], int], Video]  # one clip of a setting and a seed
Look = Callable[[Video, str, Sequence[str]], Sequence[str]]  # which of some words a clip of a caption shows
COLUMNS = ("clip", "liked")
ANSWERS = {"1": True, "0": False}


@dataclass(frozen=True)
class DrawnClip:
    """One clip of a batch, drawn or to be.

    Attributes:
        name: of its file, without the ending.
        batch: number of the batch.
        setting: value on each axis.
        caption: what was said.
        seed: of its noise.
        frames: hash of its file's frames; "" while it is to be drawn.
        shows: forbidden words that were found in it.
    """

    name: str
    batch: int
    setting: Mapping[str, Any]
    caption: str
    seed: int
    frames: str = ""
    shows: tuple[str, ...] = ()


class Batches:
    """The batches of a brief in a folder: `manifest.json`, `ratings.csv` and the clips.

    What was begun is gone on with: the manifest says what is to be drawn before it is.

    Args:
        brief: what to draw.
        folder: of the clips; is made where it is missing.
        draw: one clip of a setting and a seed.
        look: which of some words a clip of a caption shows; None does not look.
        model: what identifies the model; a folder of another one is refused.
        suffix: of the files.
        fps: of the files.

    Raises:
        ValueError: a folder that holds batches of another brief or model, or a manifest that is none.
    """

    @clear_errors
    def __init__(
        self,
        brief: Brief,
        folder: str | Path,
        draw: DrawClip,
        look: Look | None = None,
        *,
        model: str = "",
        suffix: str = ".mp4",
        fps: float = 8.0,
    ) -> None:
        self.brief, self.folder, self.draw, self.look, self.suffix, self.fps = (
            brief,
            Path(folder),
            draw,
            look,
            suffix,
            fps,
        )
        names = ("caption", "axes", "forbidden", "seed", "steps")
        self.made_of = json.loads(to_json({"model": model, **{name: getattr(brief, name) for name in names}}))
        self.clips: list[DrawnClip] = []
        if (path := self.folder / "manifest.json").exists():
            self.clips = self._read(path)

    @property
    def ratings(self) -> dict[str, bool]:
        """What was said of each clip that somebody rated."""
        path = self.folder / "ratings.csv"
        return read_ratings(path) if path.exists() else {}

    @clear_errors
    def rate(self, ratings: Mapping[str, bool]) -> None:
        """Adds ratings, in the place of older ones of the same clips.

        Raises:
            ValueError: of a clip that was not drawn.
        """
        known = {clip.name for clip in self.clips if clip.frames}
        if strange := sorted(ratings.keys() - known):
            raise ValueError(f"{self.folder} has no clip {strange[0]!r}; it has {len(known)}")
        rows = io.StringIO()
        table = csv.writer(rows, lineterminator="\n")
        table.writerow(COLUMNS)
        table.writerows([name, int(liked)] for name, liked in sorted((self.ratings | dict(ratings)).items()))
        write_text(self.folder / "ratings.csv", rows.getvalue())

    def taste(self) -> Taste:
        """What the ratings say."""
        said, axes = self.ratings, self.brief.axes
        rated = [clip for clip in self.clips if clip.name in said]
        tried = [[list(values).index(clip.setting[name]) for name, values in axes.items()] for clip in rated]
        return Taste(axes, tried, [said[clip.name] for clip in rated])

    @property
    def state(self) -> str:
        """What comes next: "draw", "rate", or none, as it is "settled" or "ended" by the number of ratings."""
        said = self.ratings
        if not self.clips or any(not clip.frames for clip in self.clips):
            return "draw"
        if any(clip.name not in said for clip in self.clips):
            return "rate"
        if self.taste().settled():
            return "settled"
        return "ended" if len(said) >= self.brief.ratings else "draw"

    def step(self) -> Iterable[DrawnClip]:
        """Draws what is to be drawn, a clip at a time: the rest of a batch, or a new one that the taste proposes."""
        if self.state != "draw":
            return
        if all(clip.frames for clip in self.clips):
            self._propose()
        for i, clip in enumerate(self.clips):
            if not clip.frames:
                video = self.draw(clip.setting, clip.seed)
                write(self.file(clip), video, fps=self.fps)
                video = read(self.file(clip)).video  # what is looked at, rated and recorded is what the file holds
                shows = tuple(self.look(video, clip.caption, self.brief.forbidden)) if self.look else ()
                self.clips[i] = replace(clip, frames=frame_hash(video), shows=shows)
                self._save()
                yield self.clips[i]

    @clear_errors
    def file(self, clip: DrawnClip) -> Path:
        """Where a clip is."""
        return self.folder / f"{clip.name}{self.suffix}"

    def last(self) -> list[DrawnClip]:
        """The clips of the last batch."""
        return [clip for clip in self.clips if clip.batch == self.clips[-1].batch] if self.clips else []

    def _propose(self) -> None:
        brief, first = self.brief, len(self.clips)
        count = min(brief.batch, max(1, brief.ratings - len(self.ratings)))
        number = self.clips[-1].batch + 1 if self.clips else 0
        settings = self.taste().propose(count, seed=brief.seed, repeat="seed" not in brief.axes)
        for i, setting in enumerate(settings, first):
            seed = setting.get("seed", brief.seed * 1_000_003 + i)
            self.clips.append(DrawnClip(f"{i:03d}", number, setting, brief.said(setting), seed))
        self._save()

    def _save(self) -> None:
        write_text(
            self.folder / "manifest.json",
            to_json({"brief": self.made_of, "clips": [asdict(clip) for clip in self.clips]}) + "\n",
        )

    def _read(self, path: Path) -> list[DrawnClip]:
        try:
            given = json.loads(path.read_text(encoding="utf-8"))
            made_of, rows = (
                given["brief"],
                [DrawnClip(**{**row, "shows": tuple(row["shows"])}) for row in given["clips"]],
            )
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is no manifest of batches: {error}") from error
        for key, own in self.made_of.items():
            if made_of.get(key) != own:
                raise ValueError(
                    f"{self.folder} holds batches of another {'model' if key == 'model' else 'brief'} ({key} was "
                    f"{str(made_of.get(key))[:60]}); give another --out"
                )
        # a clip whose file went is drawn again
        return [row if self.file(row).exists() else replace(row, frames="", shows=()) for row in rows]


@clear_errors
def read_ratings(path: str | Path) -> dict[str, bool]:
    """Ratings of clips by their names, of a table `clip,liked` with 1 and 0.

    Raises:
        ValueError: another table, an answer that is neither.
    """
    with Path(path).open(encoding="utf-8", errors="replace", newline="") as file:
        rows = [row for row in csv.reader(file) if row]
    if not rows or tuple(rows[0]) != COLUMNS:
        raise ValueError(f"{path} is no table of ratings: its first line should be {','.join(COLUMNS)}")
    found = {}
    for row in rows[1:]:
        if len(row) != 2 or row[1] not in ANSWERS:
            raise ValueError(f"{path}: a rating is a clip and 1 or 0, got {','.join(row)!r}")
        found[row[0]] = ANSWERS[row[1]]
    return found
