"""Plots of what latentlab computes, each a `Chart`: matplotlib for files, plotly for screens, one visual language."""

from latentlab.view.plots.jitter import flicker, flicker_map
from latentlab.view.plots.laws import norms, scree
from latentlab.view.plots.maps import projection, trajectory
from latentlab.view.plots.tables import effect_matrix, matrix, metric_bars
from latentlab.view.plots.tiles import attention, traversal

__all__ = [
    "attention",
    "effect_matrix",
    "flicker",
    "flicker_map",
    "matrix",
    "metric_bars",
    "norms",
    "projection",
    "scree",
    "trajectory",
    "traversal",
]
