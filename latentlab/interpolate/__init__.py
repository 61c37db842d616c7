"""Paths between points of a latent space, and combinations of many."""

from latentlab.interpolate.advise import Advice, advise
from latentlab.interpolate.combine import combine, nlerp
from latentlab.interpolate.learned import Between, fit_between, held_out_error, through
from latentlab.interpolate.pair import lerp, slerp
from latentlab.interpolate.path import spline
from latentlab.interpolate.spacing import picture_distance, uniform, walk

__all__ = [
    "Advice", "Between", "advise", "combine", "fit_between", "held_out_error", "lerp", "nlerp",
    "picture_distance", "slerp", "spline", "through", "uniform", "walk",
]  # fmt: skip
