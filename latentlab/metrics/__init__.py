"""Measures of clips and of codes."""

from latentlab.metrics.frechet import frechet_distance
from latentlab.metrics.perceptual import psnr
from latentlab.metrics.temporal import Flicker, flicker

__all__ = ["Flicker", "flicker", "frechet_distance", "psnr"]
