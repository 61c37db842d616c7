"""Moved to `latentlab.dimensions.perturbation`; this name stays for one version."""

from latentlab.face import moved

__getattr__ = moved(__name__, "latentlab.dimensions.perturbation")
