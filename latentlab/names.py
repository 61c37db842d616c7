"""Words that functions of the library and options of the command line take alike; nothing here loads a library."""

from __future__ import annotations

from typing import Literal

LevelsFor = Literal["sampling", "analysis"]  # what the levels of a solver are for
Joined = Literal["keyframes", "average", "shuffled", "pinned"]  # how windows of a longer clip are
Blend = Literal["match", "paste"]  # how what is painted meets what stays
Where = Literal["velocity", "embedding", "attention"]  # words of a caption are weighed
SpaceKind = Literal["latent", "noise", "h-space"]  # in which clips are edited
MemoryJob = Literal["caption", "encode", "invert", "sample", "decode", "roundtrip", "h-space", "attention"]
