"""What moved sliders did, in words: what was asked, what came of it, what else moved, and whether the rest was kept."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np

from latentlab.data.moving.dataset import MovingShapes
from latentlab.data.moving.measure import measure
from latentlab.directions.factor_units import FactorUnits
from latentlab.shapes import Video
from latentlab.study.account import REFERENCE_SEED, SEEN, TOLD, FactorReading
from latentlab.study.contract import BENT, OUTSIDE, judge_rest


def moved_lines(unedited: Video, video: Video, strengths: Mapping[str, float]) -> tuple[str, ...]:
    """What an edit along several directions did to one clip of moving shapes.

    Args:
        unedited: the clip as the space gives it back.
        video: with the edit.
        strengths: standard deviations along each direction; those named after a factor, such as "light" or "hue@240",
            are held to it.

    Returns:
        A line for each direction, one for all else that moved, one for the contract (`latentlab.study.contract`); none
        where nothing was moved, or where the clip is not one that can be read.

    >>> from latentlab.data import moving_shapes
    >>> same = {"shape": 3, "hue": 10, "size": 8, "speed": 0.5, "background_hue": 200, "blur": 0.0}
    >>> dark, bright = (moving_shapes(1, seed=0, fixed={**same, "light": light})[0] for light in (0.6, 0.9))
    >>> for line in moved_lines(dark, bright, {"light": 2.0}):
    ...     print(line)
    light: asked +2.0 sd, reached light 0.6 to 0.9 share of full brightness (+2.06 sd)
    else: nothing moved
    kept: each target moved, and all else is within its tolerance
    """
    strengths = {name: strength for name, strength in strengths.items() if strength}
    if not strengths or unedited.shape[1:] != (3, 16, 64, 64):
        return ()
    tables, factor_units = (measure(unedited), measure(video)), _factor_units()
    if np.isnan(tables[0].values).all():
        return ()
    moved, own, lines, still = factor_units.distances(*tables)[0], set(), [], []
    for name, strength in strengths.items():
        try:
            factor = factor_units.target(name)[0]
        except KeyError:
            lines.append(f"{name}: asked {strength:+.1f} sd; it names no factor")
            continue
        own.add(factor_units.names[factor])
        went = float(np.sign(strength) * factor_units.along(name, *tables)[0])
        before, after = (float(table.values[0, factor]) for table in tables)
        reading = FactorReading(factor_units.specs[factor], before, after, went)
        lines.append(f"{name}: asked {strength:+.1f} sd, reached {reading}")
        still += [] if went >= SEEN else [f"{name} did not move as asked"]
    values = [table.values[0] for table in tables]
    others = [
        FactorReading(*one) for one in zip(factor_units.specs, *values, moved, strict=True) if one[0].name not in own
    ]
    seen = [str(one) for one in sorted(others, key=lambda one: -np.nan_to_num(one.moved)) if one.moved >= TOLD]
    lines.append(f"else: {', '.join(seen) or 'nothing moved'}")
    if not own:
        return tuple(lines)
    broken = [*still, *_broken(unedited, video, own)]
    kept = "kept: each target moved, and all else is within its tolerance"
    return (*lines, f"not kept: {', '.join(broken)}" if broken else kept)


def _broken(unedited: Video, video: Video, own: set[str]) -> list[str]:
    """What of the rest is out of its tolerance."""
    judged = judge_rest(unedited, video, own)
    said = {
        "outside": f"pixels outside the object keep {judged.outside[0]:.0f} dB of {OUTSIDE:g}",
        "overlap": f"the shape is bent or turned: {judged.lost[0]:.2f} of its overlap are lost, and {BENT:g} may be",
    }
    return [said.get(name, f"{name} is out of its tolerance") for name in judged.broken()]


@cache
def _factor_units() -> FactorUnits:
    """Units of the world's factors."""
    return FactorUnits.of(MovingShapes(1024, REFERENCE_SEED).factors())
