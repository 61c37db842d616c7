"""Moved to `latentlab.generator.guides`; this name stays for one version."""

import warnings

from latentlab.generator.guides import Energy, steered

__all__ = ["Energy", "steered"]
warnings.warn(
    "latentlab.generator.steer is now latentlab.generator.guides; generator.guided(Descent(energy, weight)) runs a "
    "generator so",
    DeprecationWarning,
    stacklevel=2,
)
