"""Moved to `latentlab.dimensions.page`; this name stays for one version."""

from latentlab.face import moved

__getattr__ = moved(__name__, "latentlab.dimensions.page")
