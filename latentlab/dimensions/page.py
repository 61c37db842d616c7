"""Pictures of what each dimension does and knows, from `perturb` and `information`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from latentlab.dimensions.mutual_information import Information
from latentlab.dimensions.perturbation import SILENT, Perturbation
from latentlab.view.chart import Chart
from latentlab.view.marks import NO_TICKS, Heat, Line, Panel
from latentlab.view.plots import matrix
from latentlab.view.style import Scale

MAPS_SHOWN, LINES_SHOWN = 6, 5  # of the units that change most
FAINT = 0.1  # sd; colours reach as far at least, so that what hardly changes looks so


def effects(found: Perturbation) -> Chart:
    """What each unit changes, in standard deviations of the attribute for a strength of one, signed where it is one."""
    signed = np.copysign(found.effect, np.nan_to_num(found.slope))
    read = np.flatnonzero(np.isfinite(signed).any(0))
    if not len(read):
        raise ValueError("no attribute could be read; there is nothing to draw")
    names = [found.attributes[j] for j in read]
    high = max(float(np.nanmax(np.abs(signed))), FAINT)
    return _matrix(signed[:, read], found.units, names, Scale("diverging", -high, high, "change (sd)"))


def maps(found: Perturbation) -> Chart:
    """Where in the picture the units act that change most: their maps, in 8-bit levels, on one scale."""
    high = max(float(found.map.max()), SILENT)
    chosen = [i for i in _strongest(found, MAPS_SHOWN) if found.acts[i] != "nothing"] or _strongest(found, 1)
    panels = []
    for i in chosen:
        scale = Scale("sequential", 0.0, high, "change (levels)" if i == chosen[-1] else "")
        title = f"{found.units[i]}: {found.acts[i]}"
        panels.append(Panel([Heat(found.map[i], scale)], title, xticks=NO_TICKS, yticks=NO_TICKS))
    alt = "Maps of change. " + " ".join(f"{found.units[i]}: {found.acts[i]}." for i in chosen)
    return Chart(panels, alt, size=(0.6 + 1.7 * len(panels), 1.7))


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
    return _matrix(share, found.units, found.attributes, Scale("sequential", 0.0, 1.0, "share known"))


def _matrix(values: np.ndarray, units: Sequence[str], attributes: Sequence[str], scale: Scale) -> Chart:
    """The numbers written in; units go down the page, but where attributes are many more, these do."""
    alt = f"{scale.label} of {len(attributes)} attributes by {len(units)} units"
    if len(attributes) > 2 * len(units):
        return matrix(values.T, attributes, units, scale, alt, ylabel="attribute", xlabel="dimension")
    return matrix(values, units, attributes, scale, alt, ylabel="dimension", xlabel="attribute")


def _strongest(found: Perturbation, count: int) -> list[int]:
    """Units by how much they change, the most first."""
    return [int(i) for i in np.argsort(-found.level, kind="stable")[:count]]
