"""Tiny networks of random weights."""

from __future__ import annotations

import torch
from torch import nn

from latentlab.generator.autoencoder import Autoencoder, AutoencoderConfig
from latentlab.generator.clip_model import ClipConfig, ClipModel
from latentlab.generator.denoiser import Denoiser, DenoiserConfig
from latentlab.generator.generator import GeneratorConfig
from latentlab.generator.image import ImageGenerator
from latentlab.generator.native import NativeGenerator
from latentlab.generator.networks.image import ImageDenoiser, ImageDenoiserConfig, PixelConfig, Pixels

WORDS = ("a", "red", "blue", "star", "moving", "left", ",")


def awake(network: nn.Module, *, seed: int = 0) -> nn.Module:
    """The network with every weight that starts at zero drawn at random, so that all its paths carry something."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.abs().max() == 0:
                parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
    return network


def generator() -> NativeGenerator:
    """Clips of 4 frames of 16 x 16, latents (2, 4, 2, 2)."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        autoencoder = Autoencoder(AutoencoderConfig(2, (8, 8, 8), (1, 1, 1), (1, 1, 1)))
        denoiser = awake(Denoiser(DenoiserConfig(2, 32, (16, 32), 1, head_width=8, window=1, frame_patch=1)))
        clip = ClipModel(ClipConfig(WORDS, 8, 16, 32, text_layers=1, vision_layers=1, frame_size=16))
    return NativeGenerator(autoencoder, denoiser, clip, GeneratorConfig(num_frames=4, height=16, width=16))


def images(objective: str = "ddpm") -> ImageGenerator:
    """Pictures of 8 x 8 in grey, of the classes a and b."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        shape = ImageDenoiserConfig(1, ("a", "b"), objective, (8, 16), attention=(False, True), head_width=8)
        denoiser = awake(ImageDenoiser(shape))
    return ImageGenerator(Pixels(PixelConfig(1, -0.4, 0.7)), denoiser, GeneratorConfig(1, 8, 8))
