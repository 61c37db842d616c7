"""Moved to `latentlab.generator.exact_inversion`; this name stays for one version."""

import warnings

from latentlab.generator.exact_inversion import invert_exactly as invert
from latentlab.generator.exact_inversion import sample_exactly as sample
from latentlab.generator.trace import Trace, concatenate

__all__ = ["Trace", "concatenate", "invert", "sample"]
warnings.warn(
    "latentlab.generator.exactness is now latentlab.generator.exact_inversion, with invert_exactly and sample_exactly",
    DeprecationWarning,
    stacklevel=2,
)
