"""Effects and scores: matrices with their numbers written in, and bars with intervals and null levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from latentlab.checks import as_numbers, clear_errors
from latentlab.view.chart import Chart
from latentlab.view.marks import Heat, Intervals, Panel
from latentlab.view.style import Scale, scale_of


@clear_errors
def effect_matrix(
    effects: ArrayLike,
    directions: Sequence[str],
    factors: Sequence[str],
    *,
    label: str = "effect (sd)",
    top: float | None = None,
) -> Chart:
    """What each direction moves: a row for each direction, a column for each factor, the numbers written in.

    Args:
        effects: `(direction, factor)`; NaN stays empty.
        directions: names of the rows.
        factors: names of the columns.
        label: of the colours, with unit.
        top: value of the last colour, its negative has the first; None is the largest effect.

    Raises:
        ValueError: effects of another shape.

    >>> effect_matrix([[1.0, 0.1]], ["light"], ["light", "size"]).alt
    'Effects of 1 directions on 2 factors, from 0.1 to 1.'
    """
    values = as_numbers("effects", effects).astype(float)
    if values.shape != (len(directions), len(factors)):
        raise ValueError(f"effects must be ({len(directions)}, {len(factors)}), got {values.shape}")
    scale = scale_of(values, label, "diverging") if top is None else Scale("diverging", -top, top, label)
    alt = f"Effects of {len(directions)} directions on {len(factors)} factors"
    return matrix(values, directions, factors, scale, alt, ylabel="direction", xlabel="factor")


@clear_errors
def matrix(
    values: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    scale: Scale,
    alt: str,
    *,
    ylabel: str = "",
    xlabel: str = "",
) -> Chart:
    """A table in colours, the numbers written in; NaN stays empty.

    >>> matrix(np.eye(2), ["a", "b"], ["c", "d"], Scale("sequential", 0, 1), "Shares").alt
    'Shares, from 0 to 1.'
    """
    shown = values.round(2) + 0.0  # no minus before a zero
    words = [name.replace("_", "\n") for name in columns]
    panel = Panel(
        [Heat(shown, scale, written=True)], xlabel=xlabel, ylabel=ylabel, xticks=(range(len(words)), words),
        yticks=(range(len(rows)), rows),
    )  # fmt: skip
    low, high = (f"{x:.3g}" for x in (np.nanmin(shown), np.nanmax(shown)))
    return Chart([panel], f"{alt}, from {low} to {high}.", size=(2.6 + 0.8 * len(columns), 1.4 + 0.42 * len(rows)))


@clear_errors
def metric_bars(scores: Mapping[str, Any] | Sequence[Any], *, label: str = "score") -> Chart:
    """Scores as bars, with their intervals and the level that codes which know nothing reach.

    Args:
        scores: by name: a disentanglement `Score`, a number, or `(value, (low, high) or None, null level or None)`. A
            sequence of `Score` has its names inside.

    Raises:
        ValueError: no scores, or one that is none of these.

    >>> metric_bars({"mig": (0.4, (0.35, 0.45), 0.02)}).alt
    'Bars of score. mig: 0.4, null level 0.02.'
    """
    try:
        named = scores if isinstance(scores, Mapping) else {score.name: score for score in scores}
    except AttributeError as error:
        raise ValueError("scores without names must be those of disentanglement, each with its own") from error
    if not named:
        raise ValueError("no scores to show")
    rows = {name: _measured(name, score) for name, score in named.items()}
    values, low, high, null = (np.array(column, dtype=float) for column in zip(*rows.values(), strict=True))
    said = [
        f"{name}: {row[0]:.3g}{'' if row[3] != row[3] else f', null level {row[3]:.3g}'}." for name, row in rows.items()
    ]
    panel = Panel([Intervals(list(rows), values, low, high, null)], xlabel=label)
    return Chart([panel], " ".join([f"Bars of {label}.", *said]), size=(6, 1.2 + 0.38 * len(rows)))


def _measured(name: str, score: Any) -> tuple[float, float, float, float]:
    """Value, interval and null level, NaN for none."""
    nan = float("nan")
    try:
        score = score.item() if isinstance(score, np.generic | Tensor) else score  # numpy's and torch's own
        if isinstance(score, int | float):
            value, interval, null = score, None, None
        elif isinstance(score, Sequence):
            value, interval, null = score
        else:
            value, interval, null = score.value, score.ci, score.null
            if interval is not None and score.adjusted is not None and null is not None:
                interval = [
                    null + end * (1 - null) for end in interval
                ]  # of the adjusted value; bars show the published
        low, high = (nan, nan) if interval is None else interval
        return float(value), float(low), float(high), nan if null is None else float(null)
    except (AttributeError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"{name!r} must be a Score, a number or (value, (low, high) or None, null level or None), got {score!r}"
        ) from error
