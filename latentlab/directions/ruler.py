"""The name of `factor_units` in version 0.1."""

from latentlab.face import moved

__getattr__ = moved(__name__, "latentlab.directions.factor_units", {"Ruler": "FactorUnits"})
