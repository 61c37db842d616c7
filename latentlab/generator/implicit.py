"""Moved to `latentlab.generator.anderson`; this name stays for one version."""

import warnings

from latentlab.generator.anderson import TOLERANCE, fixed_point

__all__ = ["TOLERANCE", "fixed_point"]
warnings.warn("latentlab.generator.implicit is now latentlab.generator.anderson", DeprecationWarning, stacklevel=2)
