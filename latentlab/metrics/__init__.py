"""Measures of clips and of codes."""

from latentlab.metrics import disentanglement, published
from latentlab.metrics.features import Features, i3d, inception, videomae
from latentlab.metrics.flow import dis, fields, raft, still
from latentlab.metrics.frechet import Moments, frechet_distance, frechet_infinity
from latentlab.metrics.kernel import kernel_distance, precision_recall
from latentlab.metrics.perceptual import (
    background_preservation,
    clip_direction,
    clip_score,
    dice,
    identity,
    lpips,
    ppl,
    psnr,
    ssim,
)
from latentlab.metrics.sets import Comparison, compare, compare_clips, fid, fvd, kid, kvd
from latentlab.metrics.spectral import spectral
from latentlab.metrics.temporal import Flicker, flicker, flicker_loss, latent_flicker

__all__ = [
    "Comparison",
    "Features",
    "Flicker",
    "Moments",
    "background_preservation",
    "clip_direction",
    "clip_score",
    "compare",
    "compare_clips",
    "dice",
    "dis",
    "disentanglement",
    "fid",
    "fields",
    "flicker",
    "flicker_loss",
    "frechet_distance",
    "frechet_infinity",
    "fvd",
    "i3d",
    "identity",
    "inception",
    "kernel_distance",
    "kid",
    "kvd",
    "latent_flicker",
    "lpips",
    "ppl",
    "precision_recall",
    "psnr",
    "published",
    "raft",
    "spectral",
    "ssim",
    "still",
    "videomae",
]
