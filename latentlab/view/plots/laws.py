"""Codes against what chance gives: their norms and the chi law, their components and shuffled dims."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from latentlab.checks import Count, Natural, Seed, clear_errors
from latentlab.view.chart import Chart
from latentlab.view.marks import Columns, Line, Mark, Panel


@clear_errors
def norms(codes: ArrayLike, *, bins: Count = 40) -> Chart:
    """Norms of codes beside the law they follow if the codes are standard normal: chi with `dim` degrees of freedom.

    >>> norms(np.random.default_rng(0).normal(size=(50, 9))).alt
    'Norms of 50 codes, mean 2.95; the chi law of 9 dims has mean 2.92.'
    """
    from scipy.stats import chi

    from latentlab.view.quality import checked

    rows = checked(codes, least=1)
    norm, dim = np.linalg.norm(rows.astype(np.float64), axis=1), rows.shape[1]
    heights, edges = np.histogram(norm, bins=bins, density=True)
    law: Any = chi(dim)
    low, high = min(edges[0], law.ppf(0.001)), max(edges[-1], law.ppf(0.999))
    x = np.linspace(low, high, 200)
    marks = [Columns(edges, heights, f"{len(norm):,} codes"), Line(x, law.pdf(x), f"chi law, {dim:,} dims", hue=1)]
    alt = (
        f"Norms of {len(norm):,} codes, mean {norm.mean():.3g}; the chi law of {dim:,} dims has mean {law.mean():.3g}."
    )
    return Chart([Panel(marks, xlabel="norm of a code", ylabel="density")], alt)


@clear_errors
def scree(codes: ArrayLike, *, components: Count = 30, null: Natural = 3, seed: Seed = 0) -> Chart:
    """Variance of the principal components, beside that of codes whose dims were shuffled apart (Horn 1965).

    Args:
        codes: `(sample, dim)`.
        components: shown, at most.
        null: shuffles, whose mean is the level that structure has to exceed; 0 leaves it out.
        seed: of the shuffles.
    """
    from latentlab.view.quality import checked

    rows = checked(codes)
    shown = min(components, *rows.shape)
    variance = _variances(rows)
    total = variance.sum()
    number = np.arange(1, shown + 1)
    lines: list[Mark] = [Line(number, variance[:shown] / total, "codes", dots=shown <= 30)]
    if null:
        rng = np.random.default_rng(seed)
        levels = np.mean([_variances(rng.permuted(rows, axis=0)) for _ in range(null)], axis=0)
        lines.append(Line(number, levels[:shown] / total, "dims shuffled apart", hue=1))
    summed = Line(number, np.cumsum(variance[:shown]) / total, hue=2, dots=shown <= 30)
    panels = [
        Panel(lines, xlabel="component", ylabel="share of the variance"),
        Panel([summed], xlabel="component", ylabel="share up to here"),
    ]
    first, all_shown = variance[0] / total, variance[:shown].sum() / total
    alt = f"Variance of {shown} components, the first {first:.0%}, together {all_shown:.0%}."
    return Chart(panels, alt, size=(8, 3.4))


def _variances(rows: np.ndarray) -> np.ndarray:
    """Of the principal components, from whichever of the two covariance matrices is smaller."""
    centred = rows - rows.mean(0)
    n, dim = rows.shape
    matrix = centred.T @ centred if dim <= n else centred @ centred.T
    return np.clip(np.linalg.eigvalsh(matrix)[::-1], 0, None) / (n - 1)
