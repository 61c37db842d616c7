"""Moved to `latentlab.scoreboard.oracle`; this name stays for one version."""

from latentlab.face import moved

__getattr__ = moved(__name__, "latentlab.scoreboard.oracle")
