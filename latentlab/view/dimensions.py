"""Pictures of what each dimension does and knows, from `study.perturb` and `study.information`."""

from __future__ import annotations

import numpy as np

from latentlab.study.information import Information
from latentlab.study.perturb import Perturbation
from latentlab.view.chart import Chart, Heat, Line, Panel
from latentlab.view.plots import NO_TICKS, effect_matrix
from latentlab.view.style import Scale

MAPS_SHOWN, LINES_SHOWN = 12, 5  # of the units that change most


def effects(found: Perturbation) -> Chart:
    """What each unit changes, in standard deviations of the attribute for a strength of one, signed where it is one."""
    signed = np.copysign(found.effect, np.nan_to_num(found.slope))
    return effect_matrix(signed, found.units, found.attributes, label="change (sd)")


def maps(found: Perturbation) -> Chart:
    """Where in the picture each unit acts: its map, in 8-bit levels, on one scale."""
    scale = Scale("sequential", 0.0, max(float(found.map.max()), 1e-6), "change (levels)")
    chosen = _strongest(found, MAPS_SHOWN)
    panels = [
        Panel([Heat(found.map[i], scale)], f"{found.units[i]}: {found.acts[i]}", xticks=NO_TICKS, yticks=NO_TICKS,
              equal=True)
        for i in chosen
    ]  # fmt: skip
    alt = "Maps of change. " + " ".join(f"{found.units[i]}: {found.acts[i]}." for i in chosen)
    return Chart(panels, alt, size=(1.0 + 1.5 * len(panels), 2.2))


def profiles(found: Perturbation) -> Chart:
    """When in the clip the units act that change most."""
    frames = np.arange(found.profile.shape[1])
    chosen = _strongest(found, LINES_SHOWN)
    lines = [Line(frames, found.profile[i], found.units[i], hue) for hue, i in enumerate(chosen)]
    alt = "Change over the frames. " + " ".join(
        f"{found.units[i]}: {found.profile[i, 0]:.3g} to {found.profile[i, -1]:.3g} levels." for i in chosen
    )
    return Chart([Panel(lines, xlabel="frame", ylabel="change (levels)")], alt, size=(5, 3))


def knowledge(found: Information) -> Chart:
    """What share of each attribute each unit knows, beyond chance; the rest is left empty."""
    share = np.where(found.real, found.share, np.nan)
    if not found.real.any():
        raise ValueError("no unit knows of any attribute beyond chance; there is nothing to draw")
    return effect_matrix(share, found.units, found.attributes, label="share known")


def _strongest(found: Perturbation, count: int) -> list[int]:
    """Units by how much they change, the most first."""
    return [int(i) for i in np.argsort(-found.level, kind="stable")[:count]]
