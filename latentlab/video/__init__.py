"""Read, write and show clips: the one package that knows uint8, frame rates and codecs.

Inside latentlab a video is float32 in [-1, 1] with axes `batch channel frame height width`.
"""

from latentlab.video.clip import Clip, Pictures, from_uint8, to_uint8
from latentlab.video.files import IMAGE_SUFFIXES, VIDEO_SUFFIXES, natural_order
from latentlab.video.fit import fit_clip
from latentlab.video.read import Info, probe, read, read_at, read_fitted
from latentlab.video.show import Player, data_uri, show
from latentlab.video.write import check_target, write, write_parts

__all__ = [
    "IMAGE_SUFFIXES",
    "VIDEO_SUFFIXES",
    "Clip",
    "Info",
    "Pictures",
    "Player",
    "check_target",
    "data_uri",
    "fit_clip",
    "from_uint8",
    "natural_order",
    "probe",
    "read",
    "read_at",
    "read_fitted",
    "show",
    "to_uint8",
    "write",
    "write_parts",
]
