"""Moved to `latentlab.preference.bradley_terry`; this name stays for one version."""

from latentlab.face import moved

__getattr__ = moved(__name__, "latentlab.preference.bradley_terry")
