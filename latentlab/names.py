"""Words that functions of the library and options of the command line take alike; nothing here loads a library."""

from __future__ import annotations

from typing import Literal

LevelsFor = Literal["sampling", "analysis"]  # what the levels of a solver are for
Joined = Literal["keyframes", "average", "shuffled", "pinned"]  # how windows of a longer clip are
Blend = Literal["match", "paste"]  # how what is painted meets what stays
Where = Literal["velocity", "embedding", "attention"]  # words of a caption are weighed
SpaceKind = Literal["latent", "noise", "h-space"]  # in which clips are edited
EditMethod = Literal["auto", "network", "flow"]  # by which they are
When = float | Literal["always", "forming"]  # edits on the way from noise act; a number is a flow time
MemoryJob = Literal["caption", "encode", "invert", "sample", "decode", "roundtrip", "h-space", "attention"]
ImageObjective = Literal["ddpm", "x0", "v", "flow", "edm"]  # what a network of pictures answers
VectorObjective = Literal[
    "autoencoder", "beta-vae", "annealed-vae", "beta-tcvae", "factor-vae", "dip-vae-i", "dip-vae-ii"
]  # what a vector VAE is trained for
AdapterKind = Literal["lora", "full", "word"]  # low-rank updates, differences of all weights, a new word's embedding
AdapterTarget = Literal["all", "attention"]  # matrices and convolutions, or those of attention alone
