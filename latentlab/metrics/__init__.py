"""Measures of clips and of codes."""

from latentlab.metrics import disentanglement, published
from latentlab.metrics.clip_model import Towers
from latentlab.metrics.disentanglement import dci, mig, sap
from latentlab.metrics.features import Features, i3d, inception, time_difference, videomae
from latentlab.metrics.flow import dis, fields, raft, still
from latentlab.metrics.frechet import Moments, frechet_distance, frechet_infinity
from latentlab.metrics.kernel import PrecisionRecall, kernel_distance, precision_recall
from latentlab.metrics.paths import path_smoothness, ppl
from latentlab.metrics.perceptual import (
    background_preservation,
    clip_direction,
    clip_score,
    identity,
    lpips,
    psnr,
    ssim,
)
from latentlab.metrics.segments import dice, segmentation_consistency
from latentlab.metrics.sets import Comparison, compare, compare_clips, fid, fvd, fvd_infinity, kid, kvd
from latentlab.metrics.spectral import spectral
from latentlab.metrics.temporal import Flicker, flicker, flicker_loss, latent_flicker

__all__ = [
    "Comparison",
    "Features",
    "Flicker",
    "Moments",
    "PrecisionRecall",
    "Towers",
    "background_preservation",
    "clip_direction",
    "clip_score",
    "compare",
    "compare_clips",
    "dci",
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
    "fvd_infinity",
    "i3d",
    "identity",
    "inception",
    "kernel_distance",
    "kid",
    "kvd",
    "latent_flicker",
    "lpips",
    "mig",
    "path_smoothness",
    "ppl",
    "precision_recall",
    "psnr",
    "published",
    "raft",
    "sap",
    "segmentation_consistency",
    "spectral",
    "ssim",
    "still",
    "time_difference",
    "videomae",
]
