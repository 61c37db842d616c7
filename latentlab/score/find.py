"""Which clips there are, and which reference belongs to which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from latentlab.video import IMAGE_SUFFIXES, VIDEO_SUFFIXES, natural_order
from latentlab.video.files import existing, files_below


def find_clips(paths: Iterable[str | Path], left_out: dict[Path, str] | None = None) -> dict[Path, Path]:
    """Clips at and below the paths, in natural order, each once, with their places below them, without suffix.

    What else is found there is put into `left_out` with the reason, but for captions and hidden files.

    Raises:
        FileNotFoundError: nothing at a path.
        ValueError: a folder that holds neither videos nor images.
    """
    found: dict[Path, Path] = {}
    others: dict[Path, str] = {} if left_out is None else left_out
    for path in map(existing, paths):
        if not path.is_dir():
            found.setdefault(path, Path(path.stem))
            continue
        inside = sorted(files_below(path, others), key=natural_order)
        videos = [f for f in inside if f.suffix.lower() in VIDEO_SUFFIXES]
        images = [f for f in inside if f.suffix.lower() in IMAGE_SUFFIXES]
        with_videos = {f.parent for f in videos}
        pictures = {f.parent: None for f in images if f.parent not in with_videos}
        if not videos and not pictures:
            raise ValueError(f"{path} holds no video and no image")
        others |= {f: "a picture beside videos, which is no clip" for f in images if f.parent in with_videos}
        known, captions = {*videos, *images}, {f.with_suffix(".txt") for f in videos}
        unknown = (f for f in inside if f not in known | captions)
        others |= {f: f"neither video nor image by its suffix {f.suffix!r}" for f in unknown}
        for f in videos:
            found.setdefault(f, f.relative_to(path).with_suffix(""))
        for f in pictures:
            found.setdefault(f, f.relative_to(path) if f != path else Path(path.name))
    return found


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
