"""Control: tell a generator where and what, by masks, keyframes, references, adapters and words."""

from latentlab.control.adapters import extract, merge
from latentlab.control.attend import Attend
from latentlab.control.branch import Control, read_control
from latentlab.control.conflicts import Conflicts, conflicts
from latentlab.control.effect import word_effect
from latentlab.control.fusion import Fusion, Given
from latentlab.control.image_prompt import ImagePrompt, read_reference
from latentlab.control.inpaint import inpaint
from latentlab.control.inpainted import Inpainted
from latentlab.control.keyframes import keyframes
from latentlab.control.known import Known
from latentlab.control.known_region import KnownRegion, read_known_region
from latentlab.control.long import extend, stream
from latentlab.control.maps import WordMaps, word_maps
from latentlab.control.masks import as_mask, box, dilate, erode, feather, hull, invert, read_mask, union
from latentlab.control.nearest import nearest_caption
from latentlab.control.prompt import Prompt
from latentlab.control.propagate import Propagated, propagate
from latentlab.control.reference import Reference
from latentlab.control.rewrite import Rewritten, rewrite
from latentlab.control.shaped import Shaped
from latentlab.control.why import Why, why
from latentlab.control.words import Prompted, prompted
from latentlab.generator.grid import to_grid

__all__ = [
    "Attend",
    "Conflicts",
    "Control",
    "Fusion",
    "Given",
    "ImagePrompt",
    "Inpainted",
    "Known",
    "KnownRegion",
    "Prompt",
    "Prompted",
    "Propagated",
    "Reference",
    "Rewritten",
    "Shaped",
    "Why",
    "WordMaps",
    "as_mask",
    "box",
    "conflicts",
    "dilate",
    "erode",
    "extend",
    "extract",
    "feather",
    "hull",
    "inpaint",
    "invert",
    "keyframes",
    "merge",
    "nearest_caption",
    "prompted",
    "propagate",
    "read_control",
    "read_known_region",
    "read_mask",
    "read_reference",
    "rewrite",
    "stream",
    "to_grid",
    "union",
    "why",
    "word_effect",
    "word_maps",
]
