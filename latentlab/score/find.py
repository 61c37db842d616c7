"""Which clips there are, and which reference belongs to which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from latentlab.video import IMAGE_SUFFIXES, VIDEO_SUFFIXES, natural_order


def find_clips(paths: Iterable[str | Path]) -> dict[Path, Path]:
    """Clips at and below the paths, in natural order, each once, with their places below them, without suffix.

    Raises:
        FileNotFoundError: nothing at a path.
        ValueError: a folder that holds neither videos nor images.
    """
    found: dict[Path, Path] = {}
    for path in map(Path, paths):
        if not path.exists():
            raise FileNotFoundError(f"{path} does not exist; give video files or folders")
        if path.is_file():
            found.setdefault(path, Path(path.stem))
            continue
        inside = sorted((f for f in path.rglob("*") if not f.name.startswith(".") and _candidate(f)), key=natural_order)
        videos = [f for f in inside if f.suffix.lower() in VIDEO_SUFFIXES]
        pictures = {f.parent: None for f in inside if f.suffix.lower() in IMAGE_SUFFIXES}
        if not videos and not pictures:
            raise ValueError(f"{path} holds no video and no image")
        for folder in {f.parent for f in videos} & pictures.keys():
            del pictures[folder]  # pictures beside videos are not a clip
        for f in videos:
            found.setdefault(f, f.relative_to(path).with_suffix(""))
        for f in pictures:
            found.setdefault(f, f.relative_to(path) if f != path else Path(path.name))
    return found


def _candidate(path: Path) -> bool:
    """A file, or a link to nowhere, which is to be named and not passed over."""
    return path.is_file() or (path.is_symlink() and not path.exists())


def partners(clips: Mapping[Path, Path], references: Mapping[Path, Path]) -> dict[Path, Path]:
    """Which reference each clip is compared with: of its place, of its name alone, or one clip with one."""
    if len(clips) == len(references) == 1:
        return {next(iter(clips)): next(iter(references))}
    pairs: dict[Path, Path] = {}
    for short in (False, True):
        ours, theirs = _by_name(clips, short), _by_name(references, short)
        for name in ours.keys() & theirs.keys():
            if len(ours[name]) == len(theirs[name]) == 1:
                pairs.setdefault(ours[name][0], theirs[name][0])
    return pairs


def _by_name(clips: Mapping[Path, Path], short: bool) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path, place in clips.items():
        found.setdefault(place.name if short else str(place), []).append(path)
    return found
