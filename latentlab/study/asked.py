"""Whether what is asked for can be done to what clips show, and whether they show it already."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from latentlab.checks import clear_errors
from latentlab.data.moving.factors import FACTORS, NAMES
from latentlab.data.moving.measure_scenes import SeenScene
from latentlab.shapes import OVERSHOOT, Video, check_video
from latentlab.study.change import Change
from latentlab.study.contract import TOLERANCE
from latentlab.study.contract_scenes import WantedScene, two_objects

ClipFactors = WantedScene | np.ndarray  # of a clip of two objects, or a row of factors of one


@clear_errors
def scenes_of(clip: Video, unedited: Video) -> list[SeenScene | None]:
    """Each clip decoded, where both itself and the clip that was encoded show two objects."""
    check_video(OVERSHOOT, clip=clip, unedited=unedited)
    each = zip(two_objects(clip.cpu()), two_objects(unedited), strict=True)
    return [decoded if given else None for given, decoded in each]


@clear_errors
def check_place(at: tuple[float, float] | None, side: int) -> None:
    """Raises unless this is a place in a frame, pixels from the left and the top."""
    if at is None:
        return
    try:
        x, y = map(float, at)
    except (TypeError, ValueError):
        raise ValueError(f"at is a place, two numbers of pixels from the left and the top, got {at!r}") from None
    if not (0 <= x <= side and 0 <= y <= side):
        raise ValueError(f"at is a place in the frame, 0 to {side} pixels from the left and the top, got {at!r}")


@clear_errors
def check_asked(
    wanted: Sequence[Change],
    known: Sequence[ClipFactors],
    at: tuple[float, float] | None,
    caption: str | None,
) -> None:
    """Raises unless each clip shows what is to change, and can be changed so, one change after another."""
    if at is not None and (second := [change for change in wanted if change.object]):
        raise ValueError(f"{second[0]}: at={at} says which object is meant; ask for {second[0].name} of it")
    for one in known:
        for change in wanted:
            if not isinstance(one, WantedScene):
                if change.object:
                    raise ValueError(f"{change}: the clip does not show two objects; ask for {change.name}")
                change.check(one)
                one = change.after(one)
                continue
            if caption is not None and at is None:
                raise ValueError(
                    f"the clip shows two objects, and {caption!r} does not say which is meant: tell it by at, a place "
                    'in the first frame, or ask by to, as {"hue": "blue"} for the left one, {"hue.2": "blue"} for the '
                    "other"
                )
            mine = one.meant(change, at)
            mine.check(one.objects[mine.object].rows[0], several=True)
            one = one.after(mine)


@clear_errors
def is_shown(change: Change, known: ClipFactors, at: tuple[float, float] | None) -> bool:
    """Whether a clip shows already what a word asks for."""
    if isinstance(known, WantedScene):
        mine = known.meant(change, at)
        return _shows(mine, known.objects[mine.object].rows[0])
    return _shows(change, known)


@clear_errors
def not_shown(wanted: Sequence[Change], known: Sequence[ClipFactors], at: tuple[float, float] | None) -> list[Change]:
    """Those that some clip does not show yet, of `named` changes. What all show asks for nothing, and has to stay."""
    return [change for change in wanted if not all(is_shown(change, one, at) for one in known)]


def _shows(change: Change, row: np.ndarray) -> bool:
    """Whether a clip shows already what a word asks for: every pass of the network costs a little of the shape."""
    after = change.after(row)
    for name in change.columns:
        spec, apart = FACTORS[NAMES.index(name)], abs(after[NAMES.index(name)] - row[NAMES.index(name)])
        apart = min(apart % 360, -apart % 360) if spec.kind == "circular" else apart
        if not apart <= (0 if spec.kind == "categorical" else TOLERANCE[name]):
            return False
    return True
