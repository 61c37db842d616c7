"""The colours of a decoded frame: as sRGB levels, with a word on what was guessed or is not honoured.

Frames of 8 bits are converted by swscale, to the level; deeper ones keep their depth. HDR (ITU-R BT.2100: PQ, HLG) is
shown as SDR: reference white, 203 cd/m2 (BT.2408), is white, primaries are brought from BT.2020 to BT.709 in linear
light, and what is brighter than 0.8 of white is rolled off up to 1,000 cd/m2.
"""

from collections.abc import Sequence

import av
import numpy as np
import torch
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter
from torch import Tensor

# swscale's defaults are off by up to 4 levels on 10-bit files; these are not.
_EXACT = int(Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT)

# Codes of ITU-T H.273, in which every container tags its colours.
_UNTAGGED, _FULL_RANGE, _PQ, _HLG = 2, 2, 16, 18
_KNOWN_MATRICES = {0, 1, 2, 3, 4, 5, 6, 7, 9}
_LUMA = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}  # Kr and Kb
_BT601 = (0.299, 0.114)
_WIDE = {4: "BT.470 M", 8: "film", 9: "BT.2020", 10: "XYZ", 11: "DCI-P3", 12: "Display P3"}
_ODD_TRANSFERS = {8: "linear", 9: "logarithmic", 10: "logarithmic", 17: "SMPTE 428"}

_WHITE, _PEAK, _KNEE = 203.0, 1000.0, 0.8  # cd/m2, cd/m2, share of white
_BT2020_TO_BT709 = torch.tensor(  # BT.2087
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
)


class Converter:
    """Turns the frames of one stream into red, green and blue; keeps swscale's tables from one frame to the next."""

    def __init__(self, codec: str) -> None:
        self._scale = VideoReformatter()
        self._is_bt601 = "jpeg" in codec or codec in ("webp", "vp8")  # by their own definition, at any size

    def rgb(self, frame: av.VideoFrame) -> tuple[Sequence[np.ndarray], list[str]]:
        """Three planes `(height, width)`, uint8 in 0..255 or float32 in [-1, 1], and what is to be told of them."""
        kind = frame.format
        is_yuv = not kind.is_rgb and not kind.has_palette and len(kind.components) >= 3
        is_hdr = frame.color_trc in (_PQ, _HLG)
        told = _tags(frame, is_yuv, is_hdr)
        matrix = frame.colorspace
        # swscale takes what is untagged as BT.601; players and makers of HD take it as BT.709
        if is_yuv and matrix == _UNTAGGED and not self._is_bt601 and (frame.height >= 720 or frame.width >= 1280):
            matrix = int(Colorspace.ITU709)
            told.append("its untagged colours were taken as BT.709, as it is HD")
        if is_hdr or max(part.bits for part in kind.components) > 8:
            deep = self._deep_yuv(frame, matrix) if is_yuv else self._deep_rgb(frame)
            deep = tone_mapped(deep, frame.color_trc == _HLG) if is_hdr else deep
            return list(deep.clamp(0, 1).mul(2).sub(1).numpy()), told
        has_alpha = kind.has_palette or any(part.is_alpha for part in kind.components)
        green, blue, red, *alpha = self._planes(frame, "gbrap" if has_alpha else "gbrp", np.uint8, matrix)
        if alpha and alpha[0].min() < 255:
            told.append("its transparency was dropped")
        return (red, green, blue), told

    def _deep_rgb(self, frame: av.VideoFrame) -> Tensor:
        green, blue, red, *_ = self._planes(frame, "gbrp16le", np.uint16)
        return torch.from_numpy(np.stack([red, green, blue]).astype(np.float32)) / 65535

    def _deep_yuv(self, frame: av.VideoFrame, matrix: int) -> Tensor:
        """Red, green, blue `(3, height, width)`, 0 black and 1 white, of YCbCr of any depth (H.273, 8.3)."""
        planes = np.stack(self._planes(frame, "yuv444p16le", np.uint16)[:3]).astype(np.float32)
        y, cb, cr = torch.from_numpy(planes) / 256  # in levels of 8 bits
        if frame.color_range == _FULL_RANGE:
            last = 256 - 256 / 2 ** frame.format.components[0].bits
            y, cb, cr = y / last, (cb - 128) / last, (cr - 128) / last
        else:
            y, cb, cr = (y - 16) / 219, (cb - 128) / 224, (cr - 128) / 224
        kr, kb = _LUMA.get(matrix, _BT601)
        red, blue = y + 2 * (1 - kr) * cr, y + 2 * (1 - kb) * cb
        return torch.stack([red, (y - kr * red - kb * blue) / (1 - kr - kb), blue])

    def _planes(self, frame: av.VideoFrame, to: str, dtype: type, matrix: int | None = None) -> list[np.ndarray]:
        is_guess = matrix is not None and matrix != frame.colorspace
        source = Colorspace(matrix) if is_guess else None
        found = self._scale.reformat(frame, format=to, interpolation=_EXACT, src_colorspace=source)
        height, width = found.height, found.width
        return [np.frombuffer(memoryview(p), dtype).reshape(height, -1)[:, :width] for p in found.planes]


def tone_mapped(rgb: Tensor, is_hlg: bool) -> Tensor:
    """SDR of an HDR picture: both `(3, height, width)`, 0 black and 1 white, nonlinear."""
    light = (_hlg_light if is_hlg else _pq_light)(rgb.clamp(0, 1)) / _WHITE
    light = torch.einsum("ij,jhw->ihw", _BT2020_TO_BT709, light).clamp_(min=0)
    # Reinhard's curve with a white point, beyond the knee, on the brightest channel so that hues stay
    bright = light.amax(0).clamp(min=_KNEE)
    beyond, most = (bright - _KNEE) / (1 - _KNEE), (_PEAK / _WHITE - _KNEE) / (1 - _KNEE)
    light = light * (_KNEE + (1 - _KNEE) * beyond * (1 + beyond / most**2) / (1 + beyond)) / bright
    return torch.where(light <= 0.0031308, 12.92 * light, 1.055 * light.clamp(min=0.0031308) ** (1 / 2.4) - 0.055)


def _pq_light(signal: Tensor) -> Tensor:
    """cd/m2 of a PQ signal (BT.2100, table 4)."""
    power = signal ** (32 / 2523)
    return 10_000 * ((power - 0.8359375).clamp(min=0) / (18.8515625 - 18.6875 * power)) ** (8192 / 1305)


def _hlg_light(signal: Tensor) -> Tensor:
    """cd/m2 of an HLG signal on a display of 1,000 cd/m2 (BT.2100, table 5)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = torch.where(signal <= 0.5, signal**2 / 3, (((signal - c) / a).exp() + b) / 12)
    luminance = torch.einsum("i,ihw->hw", torch.tensor([0.2627, 0.6780, 0.0593]), scene)
    return 1000 * luminance**0.2 * scene


def _tags(frame: av.VideoFrame, is_yuv: bool, is_hdr: bool) -> list[str]:
    """What the tags of a frame ask for, and is not given to it."""
    told = []
    if is_hdr:
        told.append(f"HDR ({'HLG' if frame.color_trc == _HLG else 'PQ'}) was tone-mapped to SDR")
    elif frame.color_trc in _ODD_TRANSFERS:
        told.append(f"its {_ODD_TRANSFERS[frame.color_trc]} transfer was taken as that of BT.709")
    if frame.color_primaries in _WIDE and not (is_hdr and _WIDE[frame.color_primaries] == "BT.2020"):
        told.append(f"its {_WIDE[frame.color_primaries]} primaries were taken as {'BT.2020' if is_hdr else 'BT.709'}")
    if is_yuv and frame.colorspace not in _KNOWN_MATRICES:
        told.append(f"its colour matrix (code {frame.colorspace}) is unknown and was taken as BT.601")
    if frame.interlaced_frame:
        told.append("it is interlaced, two half pictures a frame, and was not deinterlaced (`ffmpeg -vf bwdif` does)")
    return told
