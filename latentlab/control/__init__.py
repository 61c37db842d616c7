"""Control: tell a generator where and what, by masks, keyframes, references, adapters and words."""

from latentlab.control.adapters import extract, merge
from latentlab.control.inpaint import inpaint
from latentlab.control.inpainted import Inpainted
from latentlab.control.known import Known
from latentlab.control.long import extend, stream
from latentlab.control.masks import as_mask, box, dilate, erode, feather, hull, invert, read_mask, union
from latentlab.control.propagate import Propagated, propagate
from latentlab.control.why import Why, why
from latentlab.control.words import Prompt, Prompted, prompted, word_effect
from latentlab.generator.grid import to_grid

__all__ = [
    "Inpainted",
    "Known",
    "Prompt",
    "Prompted",
    "Propagated",
    "Why",
    "as_mask",
    "box",
    "dilate",
    "erode",
    "extend",
    "extract",
    "feather",
    "hull",
    "inpaint",
    "invert",
    "merge",
    "prompted",
    "propagate",
    "read_mask",
    "stream",
    "to_grid",
    "union",
    "why",
    "word_effect",
]
