"""Moved to `latentlab.scoreboard.side_effects`; this name stays for one version."""

from latentlab.face import moved

NAMES = {"collateral": "measure_side_effects", "Collateral": "SideEffects"}
__getattr__ = moved(__name__, "latentlab.scoreboard.side_effects", NAMES)
