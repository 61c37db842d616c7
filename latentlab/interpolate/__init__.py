"""Paths between points of a latent space, and combinations of many."""

from latentlab.interpolate.advise import Advice, advise
from latentlab.interpolate.combine import combine, nlerp
from latentlab.interpolate.pair import lerp, slerp
from latentlab.interpolate.path import spline, uniform

__all__ = ["Advice", "advise", "combine", "lerp", "nlerp", "slerp", "spline", "uniform"]
