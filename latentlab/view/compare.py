"""Moved to `latentlab.preference.page`; this name stays for one version."""

from latentlab.face import moved

__getattr__ = moved(__name__, "latentlab.preference.page")
