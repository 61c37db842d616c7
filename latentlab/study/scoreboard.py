"""Moved to `latentlab.scoreboard.direction_score`; this name stays for one version."""

from latentlab.face import moved
from latentlab.stats import interval as interval

__getattr__ = moved(__name__, "latentlab.scoreboard.direction_score", {"Ground": "Testbed"})
