"""Measures of clips and of codes."""

from latentlab.metrics import disentanglement
from latentlab.metrics.flow import dis, still
from latentlab.metrics.frechet import frechet_distance
from latentlab.metrics.perceptual import psnr
from latentlab.metrics.temporal import Flicker, flicker

__all__ = ["Flicker", "dis", "disentanglement", "flicker", "frechet_distance", "psnr", "still"]
