"""Moved to `latentlab.scoreboard.aggregate`; this name stays for one version."""

from latentlab.face import moved

__getattr__ = moved(__name__, "latentlab.scoreboard.aggregate")
