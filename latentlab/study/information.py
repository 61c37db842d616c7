"""Moved to `latentlab.dimensions.mutual_information`; this name stays for one version."""

from latentlab.face import moved

__getattr__ = moved(__name__, "latentlab.dimensions.mutual_information")
