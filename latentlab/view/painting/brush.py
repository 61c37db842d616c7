"""The brush of notebooks: a clip to paint a mask on, frame by frame."""

from __future__ import annotations

from typing import Any

import anywidget
import numpy as np
import torch
import traitlets
from torch import Tensor

from latentlab.checks import clear_errors
from latentlab.control.masks import as_mask
from latentlab.shapes import Mask, Video, check_video
from latentlab.view.film import strip
from latentlab.view.pages import script


class MaskBrush(anywidget.AnyWidget):
    """A clip to paint a mask on, at its own pixels: name it at the end of a cell, paint, and read `mask` in the next.

    By mouse, touch or pen, with shift or the right button to wipe; by keys: arrows move the brush, space paints, delete
    wipes, + and - size it, z takes back and y does again.

    Args:
        clip: `(1, 3, frame, height, width)`.
        mask: to begin with, see `control.as_mask`; None is nothing.
        size: of the picture on the page, pixels.

    Raises:
        ValueError: several clips, or a mask of another clip.

    >>> import latentlab as ll
    >>> brush = ll.view.MaskBrush(ll.data.moving_shapes(1, seed=0)[0])
    >>> brush.mask.shape, float(brush.mask.max())
    (torch.Size([1, 1, 16, 64, 64]), 0.0)
    """

    _esm = script("mask_brush.mjs")
    shape = traitlets.List(traitlets.Int()).tag(sync=True)
    pictures = traitlets.List(traitlets.Unicode()).tag(sync=True)
    masks = traitlets.Bytes(b"").tag(sync=True)
    size = traitlets.Int(384).tag(sync=True)

    @clear_errors
    def __init__(self, clip: Video, mask: Tensor | np.ndarray | None = None, *, size: int = 384, **more: Any) -> None:
        check_video(clip=clip)
        if len(clip) != 1:
            raise ValueError(f"one clip (1, 3, frame, height, width) is painted on, got {tuple(clip.shape)}")
        shape = [int(n) for n in clip.shape[2:]]
        pictures = [strip(clip[:, :, k : k + 1]) for k in range(shape[0])]
        painted = b"" if mask is None else _bytes(as_mask(mask, clip))
        super().__init__(shape=shape, pictures=pictures, masks=painted, size=size, **more)

    @property
    def mask(self) -> Mask:
        """What is painted, `(1, 1, frame, height, width)` in [0, 1]."""
        if not self.masks:
            return torch.zeros(1, 1, *self.shape)
        return torch.from_numpy(np.frombuffer(self.masks, np.uint8).reshape(self.shape) / np.float32(255))[None, None]


def _bytes(mask: Mask) -> bytes:
    return (mask[0, 0].cpu().numpy() * 255).round().astype(np.uint8).tobytes()
