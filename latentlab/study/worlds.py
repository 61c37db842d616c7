"""Moved to `latentlab.scoreboard.worlds`; this name stays for one version."""

from latentlab.face import moved

__getattr__ = moved(__name__, "latentlab.scoreboard.worlds")
